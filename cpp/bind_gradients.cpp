// The Python face of gradients/; see bind.cpp.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind_arrays.hpp"
#include "bounds.hpp"
#include "dispatch.hpp"
#include "gradients/gradients.hpp"
#include "threads.hpp"

namespace tconv {
namespace {

using namespace nb::literals;

template <class T>
std::pair<nb::object, nb::object> gradients(const Exchanged<const T>& x, const Exchanged<const T>& weight,
                                            const Exchanged<const T>& grad, const std::vector<AxisTuple>& tuples, Index groups,
                                            bool of_input, bool of_weight, const std::string& name, int threads, bool team) {
    const std::size_t ndim = tuples.size() + 2;
    expect(ndim > 2 && x.ndim() == ndim && weight.ndim() == ndim && grad.ndim() == ndim, "ranks do not fit the axes");
    expect(x.data() && weight.data() && grad.data() && x.size() && weight.size() && grad.size(), "an array is empty");
    const View<const T> in = view(x), weights = view(weight), out = view(grad);
    expect(groups > 0 && in.shape[1] % groups == 0 && weights.shape[0] == in.shape[1] && in.shape[0] == out.shape[0] &&
               out.shape[1] == weights.shape[1] * groups,
           "arrays do not fit the layer");
    const bool taps_first = !without_gaps(weights, false);
    expect(!taps_first || without_gaps(weights, true), "the weight is neither contiguous nor channels-last");
    const Form form{axes_of(tuples, weight), groups, in.shape[1] / groups, weights.shape[1]};
    std::pair<nb::object, nb::object> results{nb::none(), nb::none()};
    if (!fits_fast_ways(form, in, out)) return results;
    const Choice* choice = choose(name);
    expect(choice && choice->backend, "unknown or unsupported backend");
    Exchanged<T> for_input, for_weight;
    if (of_input)
        for_input = lent<T>({x.shape_ptr(), x.shape_ptr() + ndim}, !without_gaps(in, false) && without_gaps(in, true));
    if (of_weight) for_weight = lent<T>({weight.shape_ptr(), weight.shape_ptr() + ndim}, taps_first);
    bool done = false;
    {
        const nb::gil_scoped_release unlocked;
        const Employed employed({threads, team});
        done = tconv::gradients<T>(form, kernels_of<T>(*choice->backend), in, weight.data(), taps_first, out,
                                   of_input ? view(for_input) : View<T>{}, of_weight ? for_weight.data() : nullptr);
    }
    if (!done) return results;
    if (of_input) results.first = nb::cast(for_input);
    if (of_weight) results.second = nb::cast(for_weight);
    return results;
}

template <class T>
void bind(nb::module_& m, const char* name) {
    m.def(name, &gradients<T>, "x"_a.noconvert(), "weight"_a.noconvert(), "grad"_a.noconvert(), "axes"_a, "groups"_a,
          "of_input"_a, "of_weight"_a, "backend"_a, "threads"_a = 0, "team"_a = false,
          nb::sig((std::string("def ") + name + "(x: object, weight: object, grad: object, " +
                   "axes: Sequence[tuple[int, int, int, int]], groups: int, of_input: bool, of_weight: bool, backend: str, " +
                   "threads: int = 0, team: bool = False) -> tuple[object | None, object | None]").c_str()),
          "The gradients of the input `x` (batch, in, *in_size) and of `weight` (in, out/groups, *kernel), contiguous or "
          "channels-last, from that of the result, `grad` (batch, out, *out_size). They lie in memory as `x` and `weight` do. "
          "None for one that is not wanted, and for both where sizes are too large, or numbers that are not finite would "
          "meet zeros beyond the border. All are DLPack capsules. An axis is (kernel, stride, dilation, crop_lo).");
}

}  // namespace

void bind_gradients(nb::module_& m) {
    bind<float>(m, "gradients_f32");
    bind<double>(m, "gradients_f64");
}

}  // namespace tconv
