// The Python face of the core. Python has judged the arguments; what is checked here keeps memory safe.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <type_traits>

#include "bind_arrays.hpp"
#include "dispatch.hpp"
#include "layer.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace tconv;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::numpy, nb::device::cpu>;
template <class T>
using Packed = nb::ndarray<T, nb::numpy, nb::device::cpu, nb::c_contig>;
using AxisTuple = std::tuple<Index, Index, Index, Index>;  // kernel, stride, dilation, crop_lo

// What some tensors of PyTorch were when they were last looked at. Every call looks at its weight and bias; to fetch their
// attributes one by one and to copy the values took Python a microsecond, half as long as a small layer computes. A DLPack
// capsule tells a tensor's place, shape and strides at once.
class Stamps {
  public:
    using Values = nb::ndarray<nb::ro, nb::ndim<1>, nb::device::cpu>;
    using Parts = std::tuple<nb::object, nb::object, Values>;

    // Each a tensor, a weak reference to it and some of its values, where they lie; or None where there is no tensor.
    Stamps(const nb::sequence& tensors, nb::callable to_dlpack) : to_dlpack_(std::move(to_dlpack)) {
        for (const nb::handle parts : tensors) {
            stamps_.emplace_back();
            if (!parts.is_none()) stamps_.back().emplace(nb::cast<Parts>(parts), to_dlpack_);
        }
    }

    bool fit(const nb::tuple& tensors) const {
        if (tensors.size() != stamps_.size()) return false;
        for (std::size_t i = 0; i < stamps_.size(); ++i)
            if (stamps_[i] ? !stamps_[i]->fits(tensors[i], to_dlpack_) : !tensors[i].is_none()) return false;
        return true;
    }

  private:
    class Stamp {
      public:
        Stamp(Parts parts, const nb::callable& to_dlpack)
            : reference_(std::move(std::get<1>(parts))), values_(std::move(std::get<2>(parts))), width_(values_.itemsize()) {
            const nb::handle tensor = std::get<0>(parts);
            version_ = version(tensor);
            const nb::object capsule = to_dlpack(tensor);
            const nb::dlpack::dltensor& now = described(capsule);
            data_ = place(now);
            layout_.assign(now.shape, now.shape + now.ndim);
            layout_.insert(layout_.end(), now.strides, now.strides + now.ndim);
            for (std::size_t i = 0; i < values_.shape(0); ++i) seen_.append(value(i), width_);
        }

        // The values come last: where the tensor has moved, there may be no memory any more.
        bool fits(nb::handle tensor, const nb::callable& to_dlpack) const {
            return reference_().is(tensor) && version(tensor) == version_ && lies(to_dlpack(tensor)) && unchanged();
        }

      private:
        static Index version(nb::handle tensor) {
            static const nb::handle name = PyUnicode_InternFromString("_version");
            return nb::cast<Index>(tensor.attr(name));
        }

        static const nb::dlpack::dltensor& described(const nb::object& capsule) {
            const void* const tensor = PyCapsule_GetPointer(capsule.ptr(), "dltensor");
            if (!tensor) nb::raise_python_error();
            return *static_cast<const nb::dlpack::dltensor*>(tensor);
        }

        static const char* place(const nb::dlpack::dltensor& now) { return static_cast<const char*>(now.data) + now.byte_offset; }

        bool lies(const nb::object& capsule) const {
            const nb::dlpack::dltensor& now = described(capsule);
            const auto ndim = static_cast<std::size_t>(now.ndim);
            return place(now) == data_ && 2 * ndim == layout_.size() &&
                   std::equal(now.shape, now.shape + ndim, layout_.begin()) &&
                   std::equal(now.strides, now.strides + ndim, layout_.begin() + now.ndim);
        }

        const char* value(std::size_t i) const {
            return static_cast<const char*>(values_.data()) + static_cast<Index>(i * width_) * values_.stride(0);
        }

        bool unchanged() const {
            const auto same = [this](auto width) {
                for (std::size_t i = 0; i < values_.shape(0); ++i)
                    if (std::memcmp(value(i), seen_.data() + i * width, width)) return false;
                return true;
            };
            switch (width_) {  // widths that the compiler knows are compared without a call
                case 4: return same(std::integral_constant<std::size_t, 4>());
                case 8: return same(std::integral_constant<std::size_t, 8>());
                default: return same(width_);
            }
        }

        nb::object reference_;
        Values values_;
        std::size_t width_;
        Index version_;
        const char* data_;
        std::vector<Index> layout_;  // shape and strides
        std::string seen_;
    };

    std::vector<std::optional<Stamp>> stamps_;
    nb::callable to_dlpack_;
};

template <class T>
void bind_layer(nb::module_& m, const char* name) {
    nb::class_<Layer<T>>(m, name, "Weights packed for one backend; `run` computes any input size.")
        .def(
            "__init__",
            [](Layer<T>* self, const Packed<const T>& weight, nb::object bias, const std::vector<AxisTuple>& tuples,
               Index groups, const std::string& activation, T slope, const std::string& backend, bool lent, bool winograd) {
                expect(weight.ndim() == tuples.size() + 2 && !tuples.empty(), "weight rank does not fit the axes");
                expect(groups > 0 && weight.shape(0) % static_cast<std::size_t>(groups) == 0, "groups");
                std::vector<Axis> axes;
                for (std::size_t a = 0; a < tuples.size(); ++a) {
                    const auto [kernel, stride, dilation, crop_lo] = tuples[a];
                    expect(static_cast<Index>(weight.shape(a + 2)) == kernel && kernel > 0 && stride > 0 && dilation > 0,
                           "axis does not fit the weight");
                    axes.push_back({kernel, stride, dilation, crop_lo});
                }
                const Index out_channels = static_cast<Index>(weight.shape(1)) * groups;
                const T* bias_data = nullptr;
                Packed<const T> bias_array;
                if (!bias.is_none()) {
                    bias_array = nb::cast<Packed<const T>>(bias);
                    expect(bias_array.ndim() == 1 && static_cast<Index>(bias_array.shape(0)) == out_channels, "bias");
                    bias_data = bias_array.data();
                }
                const Choice* choice = choose(backend);
                expect(choice, "unknown or unsupported backend");
                new (self) Layer<T>(weight.data(), bias_data, lent, static_cast<Index>(weight.shape(0)), out_channels, groups,
                                    std::move(axes), activation_of(activation), slope, choice->backend, winograd);
            },
            "weight"_a, "bias"_a.none(), "axes"_a, "groups"_a, "activation"_a, "slope"_a, "backend"_a,
            "lent"_a = false, "winograd"_a = false)
        .def(
            "run",
            [](const Layer<T>& self, const Array<const T>& x, const Array<T>& y) {
                expect(x.ndim() == self.axes().size() + 2 && y.ndim() == x.ndim() && x.shape(0) == y.shape(0) &&
                           static_cast<Index>(x.shape(1)) == self.in_channels() &&
                           static_cast<Index>(y.shape(1)) == self.out_channels(),
                       "arrays do not fit the layer");
                const View<const T> in = view(x);
                const View<T> out = view(y);
                nb::gil_scoped_release unlocked;
                self.run(in, out);
            },
            "x"_a.noconvert(), "y"_a.noconvert(),
            "Write the output of `x` (batch, channels, *in) into `y` (batch, channels, *out), both strided as they come.")
        .def(
            "result",
            [](const Layer<T>& self, const Exchanged<const T>& x, const std::vector<std::size_t>& shape, bool last) {
                expect(x.ndim() == self.axes().size() + 2 && shape.size() == x.ndim() && x.shape(0) == shape[0] &&
                           static_cast<Index>(x.shape(1)) == self.in_channels() &&
                           static_cast<Index>(shape[1]) == self.out_channels(),
                       "arrays do not fit the layer");
                if (!x.data() && x.size()) throw nb::buffer_error("the input has no memory");
                const View<const T> in = view(x);
                const auto y = lent<T>(shape, last || (!without_gaps(in, false) && without_gaps(in, true)));
                const View<T> out = view(y);
                {
                    nb::gil_scoped_release unlocked;
                    self.run(in, out);
                }
                return y;
            },
            "x"_a.noconvert(), "shape"_a, "last"_a,
            nb::sig("def result(self, x: object, shape: Sequence[int], last: bool) -> object"),
            "The output of `x` (batch, channels, *in) as a new array of that shape, channels-last in memory if `x` is or with "
            "`last`, else C-contiguous; both DLPack capsules.")
        .def(
            "account",
            [](const Layer<T>& self, const std::vector<Index>& x_shape, const std::vector<Index>& x_strides,
               const std::vector<Index>& y_shape, const std::vector<Index>& y_strides) {
                const std::size_t dims = self.axes().size() + 2;
                expect(x_shape.size() == dims && x_strides.size() == dims && y_shape.size() == dims && y_strides.size() == dims,
                       "arrays do not fit the layer");
                const auto account = self.account({nullptr, x_shape, x_strides}, {nullptr, y_shape, y_strides});
                return std::make_tuple(std::string(account.way), account.workspace_bytes);
            },
            "x_shape"_a, "x_strides"_a, "y_shape"_a, "y_strides"_a,
            "(way of computing, bytes that each thread needs beside output and weights) for such arrays; strides count "
            "elements.");
}

}  // namespace

NB_MODULE(_core, m) {
    m.doc() = "tconv's compiled core; use it through tconv.native.";
    bind_layer<float>(m, "LayerF32");
    bind_layer<double>(m, "LayerF64");
    bind_norm(m);
    nb::class_<Stamps>(m, "Stamps", "What some tensors of PyTorch were; see tconv.nn.packing.")
        .def(nb::init<const nb::sequence&, nb::callable>(), "tensors"_a, "to_dlpack"_a,
             nb::sig("def __init__(self, tensors: Sequence[tuple[object, object, object] | None], "
                     "to_dlpack: object) -> None"))
        .def("fit", &Stamps::fit, "tensors"_a, nb::sig("def fit(self, tensors: tuple[object, ...]) -> bool"),
             "Whether they still are that: the same objects, versions, places, shapes, strides and values.");
    m.def("backends", [] {
        std::vector<std::tuple<std::string, std::string, bool>> all;
        for (const Choice& choice : choices()) all.emplace_back(choice.name, choice.description, choice.supported);
        return all;
    }, "(name, description, supported) of every backend, best first.");
    m.def("cpu_features", &cpu_features, "The instruction sets of this CPU that matter here.");
    m.def("lent", [](std::size_t bytes) { return lent<std::uint8_t>({bytes}, false); }, "bytes"_a,
          nb::sig("def lent(bytes: int) -> object"),
          "Memory that is used again when the last array in it is gone, as a DLPack capsule.");
    m.def("free_memory", &free_memory);
    m.def("num_threads", &num_threads);
    m.def("set_num_threads", &set_num_threads, "count"_a);
    m.def(
        "join_team",
        [](std::uintptr_t parallel, std::uintptr_t thread_number) {
            join_team(reinterpret_cast<Team>(parallel), reinterpret_cast<Seat>(thread_number));
        },
        "parallel"_a, "thread_number"_a);
}
