// The Python face of norm.hpp; see bind.cpp.
#include <nanobind/stl/string.h>

#include "bind_arrays.hpp"
#include "dispatch.hpp"
#include "norm.hpp"
#include "threads.hpp"

namespace tconv {
namespace {

using namespace nb::literals;

// One value per channel, or null.
template <class T>
const T* per_channel(const nb::object& values, Index channels, Exchanged<const T>& keep) {
    if (values.is_none()) return nullptr;
    keep = nb::cast<Exchanged<const T>>(values);
    expect(keep.ndim() == 1 && static_cast<Index>(keep.shape(0)) == channels && (channels < 2 || keep.stride(0) == 1),
           "not one value per channel");
    if (!keep.data() && channels) throw nb::buffer_error("the values of the channels have no memory");
    return keep.data();
}

template <class S>
nb::object group_norm(const Exchanged<const S>& x, const nb::object& weight, const nb::object& bias, Index groups, double eps,
                      const std::string& activation, Sum<S> slope, const std::string& name, bool numpy, int threads, bool team) {
    expect(x.ndim() >= 2, "no axis of channels");
    if (!x.data() && x.size()) throw nb::buffer_error("the input has no memory");
    const View<const S> in = view(x);
    const bool first = x.size() == 0 || without_gaps(in, false);
    expect(first || without_gaps(in, true), "the input is neither dense channels-first nor dense channels-last");
    Images images{in.shape[0], in.shape[1], 1, !first};
    for (const Index n : in.shape.subspan(2)) images.pixels *= n;
    expect(groups > 0 && images.channels % groups == 0, "groups");
    Exchanged<const Sum<S>> weights, biases;
    const Norm<S> norm{groups, eps, per_channel(weight, images.channels, weights), per_channel(bias, images.channels, biases),
                       activation_of(activation), slope};
    const Choice* choice = choose(name);
    expect(choice, "unknown or unsupported backend");
    const Exchanged<S> y = lent<S>({x.shape_ptr(), x.shape_ptr() + x.ndim()}, !first);
    {
        nb::gil_scoped_release unlocked;
        const Employed workers({threads, team});
        normalise(choice->backend, norm, images, x.data(), y.data());
    }
    return numpy ? nb::cast(nb::ndarray<S, nb::numpy>(y.handle())) : nb::cast(y);
}

template <class S>
void bind(nb::module_& m, const char* name) {
    m.def(name, &group_norm<S>, "x"_a.noconvert(), "weight"_a.none(), "bias"_a.none(), "groups"_a, "eps"_a, "activation"_a,
          "slope"_a, "backend"_a, "numpy"_a = false, "threads"_a = 0, "team"_a = false,
          nb::sig((std::string("def ") + name + "(x: object, weight: object | None, bias: object | None, groups: int, " +
                   "eps: float, activation: str, slope: float, backend: str, numpy: bool = False, threads: int = 0, " +
                   "team: bool = False) -> object").c_str()),
          "The group norm of `x` (batch, channels, *size), then the activation, as a new array that lies in memory as `x` "
          "does: a DLPack capsule, or a NumPy array. The others may be either; of half precision, they are of float32.");
}

}  // namespace

void bind_norm(nb::module_& m) {
    bind<float>(m, "group_norm_f32");
    bind<double>(m, "group_norm_f64");
    bind<Bf16>(m, "group_norm_bf16");  // of capsules alone, as NumPy has no such numbers
    bind<F16>(m, "group_norm_f16");
}

}  // namespace tconv
