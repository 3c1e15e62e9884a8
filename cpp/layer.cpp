#include "layer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "bounds.hpp"
#include "cells.hpp"
#include "depthwise.hpp"
#include "lazy.hpp"
#include "pixels.hpp"
#include "reference.hpp"
#include "threads.hpp"
#include "winograd.hpp"
#include "winograd_line.hpp"

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
Layer<T>::Layer(const T* weight, const T* bias, bool keeps, Index in_channels, Index out_channels, Index groups,
                std::vector<Axis> axes, Activation activation, T slope, const Backend* backend, bool winograd)
    : constants_{{std::move(axes), groups, in_channels / groups, out_channels / groups}, bias, activation, slope},
      kernels_(kernels_of<T>(backend)),
      finite_(all_finite(weight, weights())),
      may_winograd_(winograd),
      packs_((keeps ? 1 : 2) * weights() * static_cast<Index>(sizeof(T))) {
    if (keeps) std::copy_n(weight, weights(), weight_.grow(weights()));
    if (bias) constants_.bias = std::copy_n(bias, out_channels, bias_.grow(out_channels)) - out_channels;
    point_ = constants_;
    point_.axes = {{constants_.taps(), constants_.taps(), 1, 0}};
}

template <class T>
void Layer<T>::run(const View<const T>& x, const View<T>& y, const Lender<T>* lender) const {
    if (y.empty() || x.empty()) return;
    const double products = x.about_size() * static_cast<double>(constants_.out_channels * constants_.taps());
    const Call call{x, y, lender, products};
    for (Way way = choose(x, y, may_winograd_); !run(way, call);) way = instead_of(way, x, y);
}

// Call use(layer, x, y, key of the pack, maker of the program).
template <class T>
template <class Use>
auto Layer<T>::by_program(Way way, const View<const T>& x, const View<T>& y, Use use) const {
    const bool rows_of_channels = way == Way::channels || (y.strides[1] == 1 && y.shape[1] > 1);
    const LaneOrder order = rows_of_channels ? LaneOrder::phase_then_channel : LaneOrder::channel_then_phase;
    const Grouping grouping = way == Way::channels ? Grouping::single : Grouping::alike;
    const bool by_channels = Depthwise<T>::along_channels(constants_, x, y), woven = way == Way::pixels_woven;
    const auto key = [way](bool variant) { return 2 * static_cast<int>(way) + variant; };
    const auto cells = [&](const Form& form) { return the_program<CellLanes<T>>(form, *kernels_, grouping, order); };
    switch (way) {
        case Way::depthwise:
            return use(constants_, x, y, key(by_channels),
                       [&] { return the_program<Depthwise<T>>(constants_, *kernels_, by_channels); });
        case Way::winograd:
            return use(constants_, x, y, key(false), [&] { return the_program<Winograd<T>>(constants_, *kernels_); });
        case Way::winograd_line:
            return use(constants_, x, y, key(false), [&] { return the_program<WinogradLine<T>>(constants_, *kernels_); });
        case Way::pixels:
        case Way::pixels_woven:
            return use(constants_, x, y, key(false), [&] { return the_program<Pixels<T>>(constants_, *kernels_, woven); });
        case Way::point:
            return as_point(constants_.taps(), x, y, [&](const View<const T>& in, const View<T>& out) {
                return use(point_, in, out, key(rows_of_channels), [&] { return cells(point_); });
            });
        default:
            return use(constants_, x, y, key(rows_of_channels), [&] { return cells(constants_); });
    }
}

// A program and the weights as it reads them; null if they are too large for it.
template <class T>
template <class Make>
auto Layer<T>::ready(int key, const Constants<T>& layer, const Call& call, Make program) const {
    using Found = Ready<typename decltype(program())::element_type>;
    std::shared_ptr<const void> found = packs_.find(key);
    if (!found) {
        const auto made = program();
        const Index bytes = made->packed_weights() * static_cast<Index>(sizeof(T));
        if (!packs_.admit(bytes)) return std::shared_ptr<const Found>();
        packs_.make_room(bytes);
        const auto weight = weights_of(call.lender);
        found = packs_.keep(key, std::make_shared<const Found>(made, made->pack(layer, weight.get())), bytes);
    }
    return std::static_pointer_cast<const Found>(found);
}

// False if the way cannot be taken after all: see `instead_of`.
template <class T>
bool Layer<T>::run(Way way, const Call& call) const {
    if (way == Way::reference) return run_reference(call), true;
    return by_program(way, call.x, call.y, [&](const Constants<T>& layer, const auto& x, const auto& y, int key, auto program) {
        const auto found = ready(key, layer, call, program);
        if (!found) return false;
        const auto& axes = constants_.axes;
        const bool computes_all = way == Way::depthwise || by_winograd(way) || way == Way::point;
        if (!computes_all && std::any_of(axes.begin(), axes.end(), has_holes)) fill(y);
        return found->program->run(layer, found->packed, x, y, call.multiplications);
    });
}

// Winograd's algorithm gives up where a result is not finite. It, and the ways whose vectors are outputs of a cell, may need
// too much memory for their weights; those of the pixels are no larger than the weights themselves.
template <class T>
typename Layer<T>::Way Layer<T>::instead_of(Way way, const View<const T>& x, const View<T>& y) const {
    return by_winograd(way) ? choose(x, y, false) : Way::pixels;
}

template <class T>
typename Layer<T>::Account Layer<T>::account(const View<const T>& x, const View<T>& y) const {
    static const char* const names[] = {"reference", "depthwise", "winograd", "winograd", "cells",
                                        "pixels",    "pixels",    "cells",    "cells",    "cells"};
    for (Way way = choose(x, y, may_winograd_);; way = instead_of(way, x, y)) {
        if (way == Way::reference) return {names[0], 0};
        const Index bytes = by_program(way, x, y, [&](const Constants<T>&, const auto& in, const auto& out, int, auto program) {
            const auto made = program();
            const bool admitted = packs_.admit(made->packed_weights() * static_cast<Index>(sizeof(T)));
            return admitted ? made->workspace_bytes(in, out) : Index{-1};
        });
        if (bytes >= 0) return {names[static_cast<int>(way)], bytes};
    }
}

template <class T>
typename Layer<T>::Way Layer<T>::choose(const View<const T>& x, const View<T>& y, bool winograd) const {
    // Inputs beyond the border count as zero, and zero times Inf is NaN where the definition has no product at all.
    if (!kernels_ || !finite_ || !fits_fast_ways(constants_, x, y)) return Way::reference;
    if (Depthwise<T>::can_run(constants_, x, y)) return Way::depthwise;
    if (winograd && Winograd<T>::can_run(constants_, *kernels_, x, y)) return Way::winograd;
    if (winograd && WinogradLine<T>::can_run(constants_, *kernels_, x, y)) return Way::winograd_line;
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
std::shared_ptr<const T> Layer<T>::weights_of(const Lender<T>* lender) const {
    if (weight_.data()) return {std::shared_ptr<const void>(), weight_.data()};  // which the layer owns
    if (!lender) throw std::invalid_argument("this layer keeps no weights: give the call their source");
    return (*lender)();
}

// In pieces so small that each is done within a few milliseconds.
template <class T>
void Layer<T>::run_reference(const Call& call) const {
    constexpr Index products_of_a_piece = 1 << 22;
    const View<T>& y = call.y;
    const auto weight = weights_of(call.lender);
    const Index rows = row_count(y), columns = y.shape.back();
    const Index piece = std::clamp<Index>(products_of_a_piece / (constants_.in_channels * constants_.taps()), 1, columns);
    const Index pieces = ceil_div(columns, piece);
    parallel(y.shape[0] * y.shape[1] * rows * pieces, call.multiplications, [&](Index item) {
        const Index begin = item % pieces * piece, row = item / pieces % rows, plane = item / pieces / rows;
        reference_row(constants_, weight.get(), call.x, y, plane / y.shape[1], plane % y.shape[1], row, begin,
                      std::min(begin + piece, columns));
        look_up();
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
