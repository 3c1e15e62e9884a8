#include "gradients.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <utility>

#include "../finite.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "depthwise.hpp"
#include "of_input.hpp"
#include "of_weight.hpp"

namespace tconv {

namespace {

// Whether some tap of some pixel reaches beyond the outputs.
template <class T>
bool has_border(const Form& layer, const View<const T>& x, const View<const T>& grad) {
    for (std::size_t a = 0; a < layer.axes.size(); ++a) {
        const Axis& axis = layer.axes[a];
        const Index reached = axis.stride * (x.shape[a + 2] - 1) + axis.dilation * (axis.kernel - 1) + 1;
        if (axis.crop_lo > 0 || grad.shape[a + 2] < reached - axis.crop_lo) return true;
    }
    return false;
}

// Whether all numbers are finite, run by run: axes that fill one another are one.
template <class T>
bool finite(const View<const T>& x) {
    std::vector<std::pair<Index, Index>> axes, runs;  // step, size
    for (std::size_t a = 0; a < x.shape.size(); ++a)
        if (x.shape[a] > 1 && x.strides[a] != 0) axes.emplace_back(x.strides[a], x.shape[a]);
    std::sort(axes.rbegin(), axes.rend());
    for (const auto& [step, size] : axes) {
        if (!runs.empty() && runs.back().first == step * size)
            runs.back() = {step, runs.back().second * size};
        else
            runs.emplace_back(step, size);
    }
    if (runs.empty()) return all_finite(x.data, 1);
    const auto [step, length] = runs.back();
    constexpr Index at_once = 1 << 16;
    const Index blocks = ceil_div(length, at_once);
    Index tasks = blocks;
    for (std::size_t a = 0; a + 1 < runs.size(); ++a) tasks *= runs[a].second;
    std::atomic<bool> all = true;
    parallel(tasks, static_cast<double>(tasks / blocks * length), [&, step = step, length = length](Index task) {
        const T* first = x.data;
        Index rest = task / blocks;
        for (std::size_t a = runs.size() - 1; a-- > 0; rest /= runs[a].second) first += rest % runs[a].second * runs[a].first;
        const Index begin = task % blocks * at_once, end = std::min(begin + at_once, length);
        bool these = step == 1 ? all_finite(first + begin, end - begin) : true;
        for (Index i = begin; step != 1 && i < end; ++i) these = these && std::isfinite(first[i * step]);
        if (!these) all = false;
    });
    return all;
}

}  // namespace

// Some images, or some rows of one, at a time: what they meet stays in the cache for both gradients.
template <class T>
bool gradients(const Form& layer, const Kernels<T>& kernels, const View<const T>& x, const T* weight, bool taps_first,
               const View<const T>& grad, const View<T>& of_input, T* of_weight) {
    const std::vector<Index> flat{layer.groups * layer.in_channels * layer.out_channels * layer.taps()}, one{1};
    if (has_border(layer, x, grad) &&
        ((of_input.data && !finite(View<const T>{weight, flat, one})) || (of_weight && !finite(x))))
        return false;
    if (depthwise_gradients(layer, kernels, x, weight, grad, of_input, of_weight)) return true;
    Index pixels = 1;
    double bytes = static_cast<double>(layer.groups * layer.out_channels) * sizeof(T);
    for (std::size_t a = 0; a < layer.axes.size(); ++a) {
        pixels *= x.shape[a + 2];
        bytes *= static_cast<double>(layer.axes[a].stride * x.shape[a + 2]);
    }
    const double most = tuning::gradients::slab_bytes / bytes;  // images
    const Index images = std::clamp(static_cast<Index>(std::min(most, 1e9)), Index{1}, x.shape[0]), rows = x.shape[2];
    const Index slabs = images > 1 || most >= 1 ? 1 : std::min(rows, static_cast<Index>(1 / most) + 1);
    std::optional<OfInput<T>> for_input;
    std::optional<OfWeight<T>> for_weight;
    if (of_input.data) for_input.emplace(layer, kernels, weight, taps_first, x.shape[0] * pixels, of_input.strides[1] == 1);
    if (of_weight) for_weight.emplace(layer, kernels, images * (pixels / rows) * (rows / slabs));
    for (Index image = 0; image < x.shape[0]; image += images)
        for (Index slab = 0; slab < slabs; ++slab) {
            const Index first = part(rows, slab, slabs), some = std::min(images, x.shape[0] - image);
            std::vector<Index> in_shape(x.shape.begin(), x.shape.end()), out_shape(grad.shape.begin(), grad.shape.end());
            in_shape[0] = out_shape[0] = some;
            in_shape[2] = part(rows, slab + 1, slabs) - first;
            // The first row reaches outputs from `begin` on, or zeros before them.
            const Index begin = layer.axes[0].stride * first - layer.axes[0].crop_lo, left_out = std::max<Index>(begin, 0);
            Form of_slab = layer;
            of_slab.axes[0].crop_lo = left_out - begin;
            out_shape[2] = std::max<Index>(out_shape[2] - left_out, 0);
            const auto within = [&](auto view) {
                view.data += image * view.strides[0] + first * view.strides[2];
                view.shape = in_shape;
                return view;
            };
            const T* const of_outputs = grad.data + image * grad.strides[0] + left_out * grad.strides[2];
            const Met<T> met(of_slab, kernels, std::span(in_shape).subspan(2), {of_outputs, out_shape, grad.strides});
            if (for_input) for_input->write(met, within(of_input));
            if (for_weight) for_weight->add(met, within(x));
        }
    if (for_weight) for_weight->write(of_weight, taps_first);
    return true;
}

template bool gradients(const Form&, const Kernels<float>&, const View<const float>&, const float*, bool,
                        const View<const float>&, const View<float>&, float*);
template bool gradients(const Form&, const Kernels<double>&, const View<const double>&, const double*, bool,
                        const View<const double>&, const View<double>&, double*);

}  // namespace tconv
