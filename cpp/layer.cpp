#include "layer.hpp"

#include <algorithm>
#include <utility>

#include "cells.hpp"
#include "depthwise.hpp"
#include "pixels.hpp"
#include "reference.hpp"
#include "threads.hpp"
#include "winograd.hpp"

namespace tconv {
namespace {

template <class T>
const Kernels<T>* kernels_of(const Backend* backend) {
    if (!backend) return nullptr;
    if constexpr (sizeof(T) == sizeof(float))
        return &backend->f32;
    else
        return &backend->f64;
}

template <class T>
bool all_finite(const T* numbers, Index count) {
    constexpr Index several = 16;
    T sums[several] = {};  // of zeros, or NaN
    Index i = 0;
    for (; i + several <= count; i += several)
        for (Index k = 0; k < several; ++k) sums[k] += numbers[i + k] * T(0);
    for (; i < count; ++i) sums[0] += numbers[i] * T(0);
    return std::all_of(sums, sums + several, [](T sum) { return sum == T(0); });
}

// Programs of the same layer are one: a layer made for a single call finds its own ready.
template <class Program, class T, class... Choices>
std::shared_ptr<const Program> the_program(const Form& form, const Kernels<T>& kernels, Choices... choices) {
    static const Recent<Program> programs;
    std::vector<Index> key{reinterpret_cast<Index>(&kernels), form.groups, form.in_channels, form.out_channels,
                           static_cast<Index>(choices)...};
    for (const Axis& axis : form.axes)
        for (const Index number : {axis.kernel, axis.stride, axis.dilation, axis.crop_lo}) key.push_back(number);
    return programs.get(key, [&] { return std::make_shared<const Program>(form, kernels, choices...); });
}

template <class T>
Index row_count(const View<T>& y) {
    Index rows = 1;
    for (std::size_t a = 2; a + 1 < y.shape.size(); ++a) rows *= y.shape[a];
    return rows;
}

// Whether the input is a single pixel, and the output the whole kernel, whose axes can be walked as one.
template <class T>
bool is_point(const std::vector<Axis>& axes, const View<const T>& x, const View<T>& y) {
    for (std::size_t a = 0; a < axes.size(); ++a) {
        if (x.shape[a + 2] != 1 || axes[a].dilation != 1 || axes[a].crop_lo != 0 || y.shape[a + 2] != axes[a].kernel) return false;
        if (a > 0 && y.strides[a + 1] != y.strides[a + 2] * y.shape[a + 2]) return false;
    }
    return true;
}

// How many pixels apart the inputs of one cell may lie.
template <class T>
Index reach(const Form& layer, const View<const T>& x) {
    Index pixels = 0, step = 1;
    for (std::size_t a = layer.axes.size(); a-- > 0; step *= x.shape[a + 2])
        pixels += std::min(x.shape[a + 2], ceil_div(layer.axes[a].dilation * layer.axes[a].kernel, layer.axes[a].stride)) * step;
    return pixels;
}

// Arrays of a single pixel with the kernel's axes as one: every tap is the only one of its output.
template <class T, class Use>
auto as_point(Index taps, const View<const T>& x, const View<T>& y, Use use) {
    const Index x_shape[] = {x.shape[0], x.shape[1], 1}, x_strides[] = {x.strides[0], x.strides[1], 1};
    const Index y_shape[] = {y.shape[0], y.shape[1], taps}, y_strides[] = {y.strides[0], y.strides[1], y.strides.back()};
    return use(View<const T>{x.data, x_shape, x_strides}, View<T>{y.data, y_shape, y_strides});
}

// How many times as many products a panel of pixels computes as there are pairs of an input and a tap.
template <class T>
double border_share(const Form& layer, const View<const T>& x, const View<T>& y) {
    double share = 1;
    for (std::size_t a = 0; a < layer.axes.size(); ++a) {
        const Axis& axis = layer.axes[a];
        if (x.shape[a + 2] * axis.stride >= 8 * axis.dilation * axis.kernel) continue;  // where the border is a small part
        Index pairs = 0;
        for (Index k = 0; k < axis.kernel; ++k) {
            const Index first = ceil_div(axis.crop_lo - axis.dilation * k, axis.stride);
            const Index last = floor_div(y.shape[a + 2] - 1 + axis.crop_lo - axis.dilation * k, axis.stride);
            pairs += std::max<Index>(0, std::min(last, x.shape[a + 2] - 1) - std::max<Index>(first, 0) + 1);
        }
        const Index computed = ceil_div(y.shape[a + 2], axis.stride) * axis.kernel;
        share *= static_cast<double>(computed) / static_cast<double>(std::max<Index>(1, pairs));
    }
    return share;
}

// Inputs whose channels are brought together at a time, so that they need little memory; a chunk's own come on top.
constexpr Index most_together = 256 * 1024;
// From it on, the phases of one axis fill vectors by themselves.
constexpr Index many_phases = 8;
// Fewer pixels do not fill the lanes, and most of them lie at a border.
constexpr Index few_pixels = 33;
// Rows so long lose little when all phases of a cell are computed at the border too.
constexpr Index long_row = 32;

}  // namespace

template <class T>
Layer<T>::Layer(const T* weight, const T* bias, bool lent, Index in_channels, Index out_channels, Index groups,
                std::vector<Axis> axes, Activation activation, T slope, const Backend* backend, bool winograd)
    : constants_{{std::move(axes), groups, in_channels / groups, out_channels / groups}, weight, bias, activation, slope},
      kernels_(kernels_of<T>(backend)), may_winograd_(winograd) {
    const Index weights = in_channels * constants_.out_channels * constants_.taps();
    if (!lent) {
        constants_.weight = std::copy_n(weight, weights, weight_.grow(weights)) - weights;
        if (bias) constants_.bias = std::copy_n(bias, out_channels, bias_.grow(out_channels)) - out_channels;
    }
    finite_ = all_finite(constants_.weight, weights);
    point_ = constants_;
    point_.axes = {{constants_.taps(), constants_.taps(), 1, 0}};
}

template <class T>
Layer<T>::~Layer() = default;

template <class T>
void Layer<T>::run(const View<const T>& x, const View<T>& y) const {
    if (y.size() == 0 || x.size() == 0) return;
    run(choose(x, y, may_winograd_), x, y);
}

template <class T>
void Layer<T>::run(Way way, const View<const T>& x, const View<T>& y) const {
    const double multiplications =
        static_cast<double>(x.size()) * static_cast<double>(constants_.out_channels * constants_.taps());
    if (way == Way::reference) return run_reference(x, y, multiplications);
    if (way == Way::winograd) {
        const auto& ready = ready_winograd();
        if (!ready.program->run(constants_, ready.packed, x, y, multiplications)) run(choose(x, y, false), x, y);
        return;
    }
    if (way == Way::depthwise) return ready_depthwise().run(x, y, multiplications);
    if (way == Way::point)
        return as_point(constants_.taps(), x, y, [&](const View<const T>& in, const View<T>& out) {
            const auto& ready = ready_cells(way, out);
            ready.program->run(point_, ready.packed, in, out, multiplications);
        });
    for (const Axis& axis : constants_.axes)
        if (has_holes(axis)) {
            fill(y);
            break;
        }
    if (way == Way::pixels || way == Way::pixels_woven) {
        const auto& ready = ready_pixels(way == Way::pixels_woven);
        ready.program->run(constants_, ready.packed, x, y, multiplications);
    } else {
        const auto& ready = ready_cells(way, y);
        ready.program->run(constants_, ready.packed, x, y, multiplications);
    }
}

template <class T>
typename Layer<T>::Account Layer<T>::account(const View<const T>& x, const View<T>& y) const {
    static const char* const names[] = {"reference", "depthwise", "winograd", "cells", "pixels", "pixels", "cells", "cells", "cells"};
    const Way way = choose(x, y, may_winograd_);
    Index bytes = 0;
    if (way == Way::depthwise) bytes = ready_depthwise().workspace_bytes(x, y);
    if (way == Way::winograd) bytes = Winograd<T>(constants_, *kernels_).workspace_bytes(y);
    if (way == Way::pixels || way == Way::pixels_woven)
        bytes = ready_pixels(way == Way::pixels_woven).program->workspace_bytes(x, y);
    if (way == Way::point)
        bytes = as_point(constants_.taps(), x, y, [&](const View<const T>& in, const View<T>& out) {
            return ready_cells(way, out).program->workspace_bytes(in, out);
        });
    if (way >= Way::channels) bytes = ready_cells(way, y).program->workspace_bytes(x, y);
    return {names[static_cast<int>(way)], bytes};
}

template <class T>
typename Layer<T>::Way Layer<T>::choose(const View<const T>& x, const View<T>& y, bool winograd) const {
    // Inputs beyond the border count as zero, and zero times Inf is NaN where the definition has no product at all.
    if (!kernels_ || !finite_) return Way::reference;
    if (Depthwise<T>::can_run(constants_, x, y)) return Way::depthwise;
    if (winograd && Winograd<T>::can_run(constants_, *kernels_, x, y)) return Way::winograd;
    const Axis& last = constants_.axes.back();
    const Index channels = constants_.out_channels, lanes = kernels_->lanes;
    const bool channels_last = (x.strides[1] == 1 || x.shape[1] == 1) && y.strides[1] == 1 && y.shape[1] > 1;
    if (is_point(constants_.axes, x, y) && (channels_last ? channels >= lanes : x.strides[1] == 1 || x.shape[1] == 1))
        return Way::point;
    if (channels_last) {
        // Too few outputs of a cell are neighbours to fill a vector.
        const bool few = 2 * channels * last.stride < lanes || (channels * last.stride < 2 * lanes && channels < lanes / 2);
        if (few && constants_.groups == 1 && y.strides.back() == channels) return Way::pixels_woven;
        const bool alike = channels < lanes || (constants_.groups == 1 && (last.kernel <= last.stride || y.shape.back() >= long_row * last.stride));
        return alike ? Way::channels_alike : Way::channels;
    }
    const bool few = channels >= lanes && (x.size() / x.shape[1] < few_pixels || border_share(constants_, x, y) > 1.6);
    const bool rows_of_phases = last.stride >= many_phases && last.dilation == 1;
    if ((few || rows_of_phases) && reach(constants_, x) * constants_.in_channels < most_together)
        return few ? Way::channels : Way::phases;
    return Way::pixels;
}

template <class T>
const Depthwise<T>& Layer<T>::ready_depthwise() const {
    return depthwise_.get([&] { return std::make_unique<Depthwise<T>>(constants_, *kernels_); });
}

template <class T>
const typename Layer<T>::template Ready<Winograd<T>>& Layer<T>::ready_winograd() const {
    return winograd_.get([&] {
        const auto program = the_program<Winograd<T>>(constants_, *kernels_);
        return std::make_unique<Ready<Winograd<T>>>(program, program->pack(constants_));
    });
}

template <class T>
const typename Layer<T>::template Ready<Pixels<T>>& Layer<T>::ready_pixels(bool woven_channels) const {
    return pixels_[woven_channels].get([&] {
        const auto program = the_program<Pixels<T>>(constants_, *kernels_, woven_channels);
        return std::make_unique<Ready<Pixels<T>>>(program, pack(program->order(), constants_));
    });
}

template <class T>
const typename Layer<T>::template Ready<CellLanes<T>>& Layer<T>::ready_cells(Way way, const View<T>& y) const {
    const Constants<T>& layer = way == Way::point ? point_ : constants_;
    const bool rows_of_channels = way == Way::channels || (y.strides[1] == 1 && y.shape[1] > 1);
    const Grouping grouping = way == Way::channels ? Grouping::single : Grouping::alike;
    const LaneOrder order = rows_of_channels ? LaneOrder::phase_then_channel : LaneOrder::channel_then_phase;
    const int number = way == Way::channels ? 0 : way == Way::channels_alike ? 1 : way == Way::phases ? 2 : 3 + rows_of_channels;
    return cells_[number].get([&] {
        const auto program = the_program<CellLanes<T>>(layer, *kernels_, grouping, order);
        return std::make_unique<Ready<CellLanes<T>>>(program, pack(program->order(), layer));
    });
}

template <class T>
void Layer<T>::run_reference(const View<const T>& x, const View<T>& y, double multiplications) const {
    const Index rows = row_count(y);
    parallel(y.shape[0] * y.shape[1] * rows, multiplications, [&](Index item) {
        reference_row(constants_, x, y, item / rows / y.shape[1], item / rows % y.shape[1], item % rows);
    });
}

// Every output as if nothing reached it.
template <class T>
void Layer<T>::fill(const View<T>& y) const {
    std::vector<T> values;
    for (Index channel = 0; channel < y.shape[1]; ++channel)
        values.push_back(constants_.bias_of(channel));
    activate(*kernels_, constants_, values.data(), y.shape[1], 1);
    const Index rows = row_count(y), columns = y.shape.back(), step = y.strides.back();
    const bool pixels = y.strides[1] == 1;
    const Index channels = pixels ? 1 : y.shape[1];
    parallel(y.shape[0] * rows, static_cast<double>(y.size()), [&](Index item) {
        T* row = y.at(item / rows, 0);
        Index rest = item % rows;
        for (std::size_t a = y.shape.size() - 1; a-- > 2; rest /= y.shape[a]) row += rest % y.shape[a] * y.strides[a];
        for (Index channel = 0; channel < channels; ++channel, row += y.strides[1])
            for (Index o = 0; o < columns; ++o)
                if (pixels)
                    std::copy(values.begin(), values.end(), row + o * step);
                else
                    row[o * step] = values[static_cast<std::size_t>(channel)];
    });
}

template class Layer<float>;
template class Layer<double>;

}  // namespace tconv
