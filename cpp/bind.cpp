// The Python face of the core. Python has judged the arguments; what is checked here keeps memory safe.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <tuple>

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

template <class T>
View<T> view(const Array<T>& array) {
    return {array.data(), {array.shape_ptr(), array.ndim()}, {array.stride_ptr(), array.ndim()}};
}

void expect(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

Activation activation_of(const std::string& name) {
    static const char* const names[] = {"", "relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu"};
    for (int i = 0; i < 7; ++i)
        if (name == names[i]) return static_cast<Activation>(i);
    throw std::invalid_argument("unknown activation " + name);
}

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
    m.def("backends", [] {
        std::vector<std::tuple<std::string, std::string, bool>> all;
        for (const Choice& choice : choices()) all.emplace_back(choice.name, choice.description, choice.supported);
        return all;
    }, "(name, description, supported) of every backend, best first.");
    m.def("cpu_features", &cpu_features, "The instruction sets of this CPU that matter here.");
    m.def("num_threads", &num_threads);
    m.def("set_num_threads", &set_num_threads, "count"_a);
    m.def("join_team", [](std::uintptr_t address) { join_team(reinterpret_cast<Team>(address)); }, "address"_a);
}
