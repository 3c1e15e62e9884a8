// The Python face of codes.hpp; see bind.cpp.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bind_arrays.hpp"
#include "codes.hpp"
#include "dispatch.hpp"
#include "threads.hpp"

namespace tconv {
namespace {

using namespace nb::literals;

template <class T>
using Dense = nb::ndarray<T, nb::numpy, nb::device::cpu, nb::c_contig>;

constexpr std::size_t most_axes = 14;

template <class T>
void expect_shape(const Dense<T>& array, const std::vector<Index>& shape, const char* what) {
    expect(std::equal(shape.begin(), shape.end(), array.shape_ptr(), array.shape_ptr() + array.ndim()), what);
}

std::vector<Index> joined(std::vector<Index> front, const std::vector<Index>& back) {
    front.insert(front.end(), back.begin(), back.end());
    return front;
}

// The canvas without the room behind its rows, as an array that lives as long as its owner.
template <class T>
auto on_canvas(nb::handle_t<Codes<T>> owner, T* (Codes<T>::*data)()) {
    auto& codes = nb::cast<Codes<T>&>(owner);
    const std::vector<Index>& sizes = codes.canvas();
    const std::vector<std::size_t> shape(sizes.begin(), sizes.end());
    return nb::ndarray<T, nb::numpy>((codes.*data)(), shape.size(), shape.data(), owner, codes.canvas_strides().data());
}

template <class T>
void construct(Codes<T>* self, Index images, Index channels, Index kernels, const std::vector<Index>& kernel,
               const std::vector<Index>& stride, const std::vector<Index>& places, const std::string& backend) {
    const std::size_t axes = kernel.size();
    expect(axes > 0 && axes <= most_axes && stride.size() == axes && places.size() == axes, "axes");
    double cells = static_cast<double>(images * channels), taps = static_cast<double>(kernels * channels);
    double all = static_cast<double>(images * kernels);
    for (std::size_t a = 0; a < axes; ++a) {
        expect(kernel[a] > 0 && stride[a] > 0 && places[a] > 0, "a size below 1");
        cells *= static_cast<double>(stride[a]) * static_cast<double>(places[a]) + static_cast<double>(kernel[a]) + 64;
        taps *= static_cast<double>(kernel[a]) + 64;
        all *= static_cast<double>(places[a]);
    }
    expect(images > 0 && channels > 0 && kernels > 0 && cells < 1e15 && taps < 1e15 && all < 1e18, "sizes");
    const Choice* choice = choose(backend);
    expect(choice, "unknown or unsupported backend");
    new (self) Codes<T>({images, channels, kernels, kernel, stride, places}, choice->backend);
}

template <class T>
double screen(Codes<T>& self, Index image, Index first, const Dense<const T>& responses, T threshold, bool positive) {
    const CodeShape& shape = self.shape();
    expect(image >= 0 && image < shape.images && responses.ndim() == shape.places.size() + 1, "responses");
    const Index rows = static_cast<Index>(responses.shape(1)), end = first + rows;
    std::vector<Index> wanted = joined({shape.kernels}, shape.places);
    wanted[1] = rows;
    expect_shape(responses, wanted, "responses");
    expect(first >= 0 && rows > 0 && first % self.height() == 0 && end <= shape.places[0] &&
               (end % self.height() == 0 || end == shape.places[0]),
           "rows are not whole stripes");
    const nb::gil_scoped_release unlocked;
    return self.screen(image, first, rows, responses.data(), threshold, positive);
}

template <class T>
void set(Codes<T>& self, const Dense<const T>& kernels, const std::vector<Index>& plain) {
    const CodeShape& shape = self.shape();
    expect_shape(kernels, joined({shape.kernels, shape.channels}, shape.kernel), "kernels");
    expect(plain.size() == 2 * shape.kernel.size(), "plain");
    for (std::size_t a = 0; a < shape.kernel.size(); ++a)
        expect(plain[2 * a] >= 0 && plain[2 * a + 1] <= self.canvas()[a + 2], "plain");
    const nb::gil_scoped_release unlocked;
    self.set(kernels.data(), plain);
}

template <class T>
void correlate(const Codes<T>& self, const Dense<T>& sums, Index first) {
    const CodeShape& shape = self.shape();
    expect(sums.ndim() > 0 && first >= 0 && static_cast<Index>(sums.shape(0)) <= shape.kernels - first, "kernels");
    const auto count = static_cast<Index>(sums.shape(0));
    expect_shape(sums, joined({count, shape.channels}, shape.kernel), "sums");
    const nb::gil_scoped_release unlocked;
    self.correlate(sums.data(), first, count);
}

template <class T>
void move(Codes<T>& self, Index kernel, const Dense<const T>& change) {
    const CodeShape& shape = self.shape();
    expect(kernel >= 0 && kernel < shape.kernels, "kernel");
    expect_shape(change, joined({shape.channels}, shape.kernel), "change");
    const nb::gil_scoped_release unlocked;
    self.move(kernel, change.data());
}

template <class T>
std::vector<Index> dense_shape(const Codes<T>& self) {
    return joined({self.shape().images, self.shape().kernels}, self.shape().places);
}

template <class T>
std::pair<double, double> proximal(const Dense<T>& older, const Dense<const T>& z, const Dense<const T>& gradient, T pace,
                                   T threshold, T momentum, bool positive, const std::string& backend) {
    expect(older.size() == z.size() && z.size() == gradient.size(), "sizes differ");
    const Choice* choice = choose(backend);
    expect(choice, "unknown or unsupported backend");
    const Backend& some = choice->backend ? *choice->backend : portable_backend;
    const nb::gil_scoped_release unlocked;
    constexpr Index piece = 1 << 15;
    const auto count = static_cast<Index>(z.size()), pieces = ceil_div(count, piece);
    std::vector<std::array<double, 2>> sums(static_cast<std::size_t>(pieces), {0, 0});
    parallel(pieces, 16 * static_cast<double>(count), [&](Index n) {
        const Index at = n * piece, some_count = std::min(piece, count - at);
        double* const own = sums[static_cast<std::size_t>(n)].data();
        if constexpr (sizeof(T) == sizeof(float))
            some.f32.proximal(older.data() + at, z.data() + at, gradient.data() + at, some_count, pace, threshold, momentum,
                              positive, own);
        else
            some.f64.proximal(older.data() + at, z.data() + at, gradient.data() + at, some_count, pace, threshold, momentum,
                              positive, own);
    });
    std::pair<double, double> all{0, 0};
    for (const auto& own : sums) all.first += own[0], all.second += own[1];
    return all;
}

template <class T>
void bind(nb::module_& m, const char* name, const char* step) {
    nb::class_<Codes<T>>(m, name, "Sparse codes of some images, and what they leave of them; for one thread at a time.")
        .def("__init__", &construct<T>, "images"_a, "channels"_a, "kernels"_a, "kernel"_a, "stride"_a, "places"_a, "backend"_a)
        .def_prop_ro("height", &Codes<T>::height, "Rows of places of a stripe: `screen` takes whole stripes.")
        .def_prop_ro("lags", &Codes<T>::lags, "Distances per axis at which two atoms meet.")
        .def_prop_ro(
            "residual", [](nb::handle_t<Codes<T>> self) { return on_canvas(self, &Codes<T>::residual); },
            "(images, channels, *canvas), writable: weights times what the codes leave.")
        .def_prop_ro(
            "weights", [](nb::handle_t<Codes<T>> self) { return on_canvas(self, &Codes<T>::weights); },
            "(images, channels, *canvas), writable: how much each cell counts.")
        .def("set", &set<T>, "kernels"_a.noconvert(), "plain"_a,
             "Take kernels (kernels, channels, *kernel); values and residual stay. `plain`: low and high of each axis of a box "
             "in which all weights are 1.")
        .def("screen", &screen<T>, "image"_a, "first"_a, "responses"_a.noconvert(), "threshold"_a, "positive"_a,
             "Keep the atoms of these rows that are not zero, add those whose response is above the threshold; the largest "
             "response. `responses` is (kernels, rows, *places) from row `first` on.")
        .def("descend", &Codes<T>::descend, "alpha"_a, "positive"_a, "again"_a, nb::call_guard<nb::gil_scoped_release>(),
             "Bring each atom to its best value, and those that are not zero `again` times more; how much less the objective is.")
        .def("subtract", &Codes<T>::subtract, nb::call_guard<nb::gil_scoped_release>(),
             "Subtract weights times what the codes say from the residual.")
        .def("correlate", &correlate<T>, "sums"_a.noconvert(), "first"_a = 0,
             "Write the sums of value times residual, per tap, of the kernels first.. into `sums` (kernels, channels, *kernel).")
        .def("move", &move<T>, "kernel"_a, "change"_a.noconvert(), "Add to one kernel, and bring the residual up to date.")
        .def(
            "overlaps",
            [](const Codes<T>& self, const Dense<T>& sums) {
                expect_shape(sums, joined({self.shape().kernels, self.shape().kernels}, self.lags()), "sums");
                const nb::gil_scoped_release unlocked;
                self.overlaps(sums.data());
            },
            "sums"_a.noconvert(), "Add sums of z[k, p] * z[j, p + lag] to sums[k, j, *lag].")
        .def(
            "read",
            [](Codes<T>& self, const Dense<const T>& dense) {
                expect_shape(dense, dense_shape(self), "codes");
                const nb::gil_scoped_release unlocked;
                self.read(dense.data());
            },
            "dense"_a.noconvert(), "Take the values of (images, kernels, *places); the residual stays.")
        .def(
            "write",
            [](const Codes<T>& self, const Dense<T>& dense) {
                expect_shape(dense, dense_shape(self), "codes");
                const nb::gil_scoped_release unlocked;
                self.write(dense.data());
            },
            "dense"_a.noconvert(), "Write the values into (images, kernels, *places); what is zero is left as it is.")
        .def("clear", &Codes<T>::clear)
        .def("norm", &Codes<T>::norm)
        .def("count", &Codes<T>::count, "all"_a, "Atoms in the lists, or those that are not zero.")
        .def(
            "energy",
            [](const Codes<T>& self, Index kernel) {
                expect(kernel >= 0 && kernel < self.shape().kernels, "kernel");
                return self.energy(kernel);
            },
            "kernel"_a, "The sum of squares of a kernel's values.");
    m.def(step, &proximal<T>, "older"_a.noconvert(), "z"_a.noconvert(), "gradient"_a.noconvert(), "pace"_a, "threshold"_a,
          "momentum"_a, "positive"_a, "backend"_a,
          "older = soft(y + pace*gradient, threshold) with y = z + momentum*(z - older), in one pass; (sum of |older|, sum of "
          "(older - z)^2).");
}

}  // namespace

void bind_codes(nb::module_& m) {
    bind<float>(m, "CodesF32", "proximal_f32");
    bind<double>(m, "CodesF64", "proximal_f64");
}

}  // namespace tconv
