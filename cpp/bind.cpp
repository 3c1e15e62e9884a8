// The Python face of the core. Python has judged the arguments; what is checked here keeps memory safe.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <type_traits>

#include "bind_arrays.hpp"
#include "cache.hpp"
#include "dispatch.hpp"
#include "layer.hpp"
#include "threads.hpp"
#include "xla.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace tconv;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::numpy, nb::device::cpu>;
template <class T>
using Contiguous = nb::ndarray<T, nb::numpy, nb::device::cpu, nb::c_contig>;
template <class S>
using Weights = Contiguous<const typename InNumPy<S>::type>;

// The weights that a call lends, from its Python callable; asked for on the call's own thread, without Python's lock.
template <class S>
class Source {
  public:
    Source(const Layer<S>& layer, nb::handle source) {
        if (!source.is_none()) lender_ = [&layer, source] { return lent_by(layer, source); };
    }

    const Lender<S>* lender() const { return lender_ ? &lender_ : nullptr; }

  private:
    static std::shared_ptr<const S> lent_by(const Layer<S>& layer, nb::handle source) {
        const nb::gil_scoped_acquire locked;
        std::pair<nb::object, nb::object> numbers;
        auto array = std::make_unique<Weights<S>>();
        if (!nb::try_cast(source(), numbers) || !nb::try_cast(numbers.first, *array, false))
            throw nb::type_error("the source must return (weight, bias), the weight a C-contiguous array of the layer's dtype");
        const auto free = [](Weights<S>* array) {
            const nb::gil_scoped_acquire locked_again;
            delete array;
        };
        const std::shared_ptr<Weights<S>> weight(array.release(), free);
        bool fits = weight->ndim() == layer.axes().size() + 2 && static_cast<Index>(weight->shape(0)) == layer.in_channels() &&
                    static_cast<Index>(weight->size()) == layer.weights();
        for (std::size_t a = 0; fits && a < layer.axes().size(); ++a)
            fits = static_cast<Index>(weight->shape(a + 2)) == layer.axes()[a].kernel;
        expect(fits, "the source's weight does not fit the layer");
        return {weight, reinterpret_cast<const S*>(weight->data())};
    }

    Lender<S> lender_;
};

// What a call asks of this thread: its workers, and to end when Ctrl-C was pressed.
Workers workers(int threads, bool team) {
    return {threads, team, [] {
                const nb::gil_scoped_acquire locked;
                if (PyErr_CheckSignals() != 0) nb::raise_python_error();
            }};
}

template <class S>
void run(const Layer<S>& layer, const View<const S>& x, const View<S>& y, nb::handle source, int threads, bool team) {
    for (const auto& array : {x.shape, y.shape})
        for (std::size_t a = 2; a < array.size(); ++a) expect(array[a] < largest_size, "a size does not fit into 64 bits");
    const Source<S> lent(layer, source);
    const Employed employed(workers(threads, team));
    const nb::gil_scoped_release unlocked;
    layer.run(x, y, lent.lender());
}

template <class S>
nb::object kept(nb::handle owner, const S* data, std::vector<std::size_t> shape) {
    if (!data) return nb::none();
    return nb::cast(nb::ndarray<const typename InNumPy<S>::type, nb::numpy>(data, shape.size(), shape.data(), owner));
}

template <class S>
void bind_layer(nb::module_& m, const char* name) {
    using T = Sum<S>;
    using Bits = typename InNumPy<S>::type;
    nb::class_<Layer<S>>(m, name, "Weights packed for one backend; `run` computes any input size.")
        .def(
            "__init__",
            [](Layer<S>* self, const Weights<S>& weight, nb::object bias, const std::vector<AxisTuple>& tuples,
               Index groups, const std::string& activation, T slope, const std::string& backend, bool keeps, bool winograd) {
                std::vector<Axis> axes = axes_of(tuples, weight);
                expect(groups > 0 && weight.shape(0) % static_cast<std::size_t>(groups) == 0, "groups");
                const Index out_channels = static_cast<Index>(weight.shape(1)) * groups;
                const T* bias_data = nullptr;
                Contiguous<const T> bias_array;
                if (!bias.is_none()) {
                    bias_array = nb::cast<Contiguous<const T>>(bias);
                    expect(bias_array.ndim() == 1 && static_cast<Index>(bias_array.shape(0)) == out_channels, "bias");
                    bias_data = bias_array.data();
                }
                const Choice* choice = choose(backend);
                expect(choice, "unknown or unsupported backend");
                new (self) Layer<S>(reinterpret_cast<const S*>(weight.data()), bias_data, keeps, static_cast<Index>(weight.shape(0)), out_channels, groups,
                                    std::move(axes), activation_of(activation), slope, choice->backend, winograd);
            },
            "weight"_a, "bias"_a.none(), "axes"_a, "groups"_a, "activation"_a, "slope"_a, "backend"_a,
            "keeps"_a = true, "winograd"_a = false)
        .def(
            "run",
            [](const Layer<S>& self, const Array<const Bits>& x, const Array<Bits>& y, nb::handle source, int threads, bool team) {
                expect(x.ndim() == self.axes().size() + 2 && y.ndim() == x.ndim() && x.shape(0) == y.shape(0) &&
                           static_cast<Index>(x.shape(1)) == self.in_channels() &&
                           static_cast<Index>(y.shape(1)) == self.out_channels(),
                       "arrays do not fit the layer");
                run<S>(self, view_as<const S>(x), view_as<S>(y), source, threads, team);
            },
            "x"_a.noconvert(), "y"_a.noconvert(), "source"_a.none() = nb::none(), "threads"_a = 0, "team"_a = false,
            "Write the output of `x` (batch, channels, *in) into `y` (batch, channels, *out), both strided as they come. Where a "
            "layer that keeps no weights needs them, `source()` is (weight, bias). At most `threads` threads, 0: as set; with "
            "`team`, those of `join_team`.")
        .def(
            "result",
            [](const Layer<S>& self, const Exchanged<const S>& x, const std::vector<std::size_t>& shape, bool last,
               nb::handle source, int threads, bool team) {
                expect(x.ndim() == self.axes().size() + 2 && shape.size() == x.ndim() && x.shape(0) == shape[0] &&
                           static_cast<Index>(x.shape(1)) == self.in_channels() &&
                           static_cast<Index>(shape[1]) == self.out_channels(),
                       "arrays do not fit the layer");
                if (!x.data() && x.size()) throw nb::buffer_error("the input has no memory");
                const View<const S> in = view(x);
                const auto y = lent<S>(shape, last || (!without_gaps(in, false) && without_gaps(in, true)));
                run<S>(self, in, view(y), source, threads, team);
                return y;
            },
            "x"_a.noconvert(), "shape"_a, "last"_a, "source"_a.none() = nb::none(), "threads"_a = 0, "team"_a = false,
            nb::sig("def result(self, x: object, shape: Sequence[int], last: bool, source: object | None = None, "
                    "threads: int = 0, team: bool = False) -> object"),
            "The output of `x` (batch, channels, *in) as a new array of that shape, channels-last in memory if `x` is or with "
            "`last`, else C-contiguous; both DLPack capsules. The rest as `run`.")
        .def_prop_ro(
            "numbers",
            [](nb::handle_t<Layer<S>> owner) {
                const auto& layer = nb::cast<const Layer<S>&>(owner);
                const auto in = static_cast<std::size_t>(layer.in_channels()), out = static_cast<std::size_t>(layer.out_channels());
                std::vector<std::size_t> shape{in, 0};
                std::size_t taps = 1;
                for (const Axis& axis : layer.axes()) shape.push_back(static_cast<std::size_t>(axis.kernel)), taps *= shape.back();
                shape[1] = static_cast<std::size_t>(layer.weights()) / in / taps;
                return std::make_pair(kept(owner, layer.kept_weight(), shape), kept(owner, layer.bias(), {out}));
            },
            nb::sig("def numbers(self) -> tuple[object, object]"),
            "(weight, bias) as the layer keeps them, read-only; None for a weight that it does not keep. Of half precision, the "
            "weight is the bits of its numbers, and the bias is of float32.")
        .def(
            "account",
            [](const Layer<S>& self, const std::vector<Index>& x_shape, const std::vector<Index>& x_strides,
               const std::vector<Index>& y_shape, const std::vector<Index>& y_strides) {
                const std::size_t dims = self.axes().size() + 2;
                expect(x_shape.size() == dims && x_strides.size() == dims && y_shape.size() == dims && y_strides.size() == dims,
                       "arrays do not fit the layer");
                for (std::size_t a = 2; a < dims; ++a)
                    expect(x_shape[a] < largest_size && y_shape[a] < largest_size, "a size does not fit into 64 bits");
                const auto account = self.account({nullptr, x_shape, x_strides}, {nullptr, y_shape, y_strides});
                return std::make_tuple(std::string(account.way), account.workspace_bytes);
            },
            "x_shape"_a, "x_strides"_a, "y_shape"_a, "y_strides"_a,
            "(way of computing, bytes that each thread needs beside output and weights) for such arrays; strides count "
            "elements.");
}

}  // namespace

NB_MODULE(_core, m) {
    nb::set_leak_warnings(false);  // PyTorch keeps captured graphs, and layers with them, until after the interpreter has ended
    m.doc() = "tconv's compiled core; use it through tconv.native.";
    bind_layer<float>(m, "LayerF32");
    bind_layer<double>(m, "LayerF64");
    bind_layer<Bf16>(m, "LayerBF16");
    bind_layer<F16>(m, "LayerF16");
    bind_norm(m);
    bind_codes(m);
    bind_gradients(m);
    bind_stamps(m);
    m.def("backends", [] {
        std::vector<std::tuple<std::string, std::string, bool>> all;
        for (const Choice& choice : choices()) all.emplace_back(choice.name, choice.description, choice.supported);
        return all;
    }, "(name, description, supported) of every backend, best first.");
    m.def("cpu_features", &cpu_features, "The instruction sets of this CPU that matter here.");
    m.def("lent", [](std::size_t bytes) { return lent<std::uint8_t>({bytes}, false); }, "bytes"_a,
          nb::sig("def lent(bytes: int) -> object"),
          "Memory that is used again when the last array in it is gone, as a DLPack capsule.");
    m.def("free_memory", [] {
        xla::forget_layers();
        return free_memory();
    });
    m.def("xla_conv_transpose", [] { return nb::capsule(reinterpret_cast<void*>(&xla::tconv_conv_transpose)); },
          nb::sig("def xla_conv_transpose() -> object"), "The address of the operator, for jax.ffi.register_ffi_target.");
    m.def("second_cache_bytes", &second_cache_bytes, "Of the second-level cache; 0: the system does not tell.");
    m.def("assume_second_cache", &assume_second_cache, "bytes"_a,
          "Divide the work of new layers as if it were so large; 0: as the system tells.");
    m.def("num_threads", &num_threads);
    m.def("set_num_threads", &set_num_threads, "count"_a);
    m.def(
        "join_team",
        [](std::uintptr_t parallel, std::uintptr_t thread_number) {
            join_team(reinterpret_cast<Team>(parallel), reinterpret_cast<Seat>(thread_number));
        },
        "parallel"_a, "thread_number"_a);
}
