#include "layer.hpp"

#include <cmath>
#include <utility>

#include "cells.hpp"
#include "depthwise.hpp"
#include "pixels.hpp"
#include "reference.hpp"
#include "threads.hpp"

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
Index row_count(const View<T>& y) {
    Index rows = 1;
    for (std::size_t a = 2; a + 1 < y.shape.size(); ++a) rows *= y.shape[a];
    return rows;
}

// Below it, pixels do not fill a panel and are better broadcast.
constexpr Index few_pixels = 250;
// From it on, the phases of one axis fill vectors by themselves.
constexpr Index many_phases = 8;

}  // namespace

template <class T>
Layer<T>::Layer(const T* weight, const T* bias, Index in_channels, Index out_channels, Index groups,
                std::vector<Axis> axes, Activation activation, T slope, const Backend* backend)
    : constants_{std::move(axes), groups, in_channels / groups, out_channels / groups, nullptr, nullptr, activation, slope},
      kernels_(kernels_of<T>(backend)),
      holes_(has_holes(constants_.axes)),
      finite_(true) {
    weight_.assign(weight, weight + in_channels * constants_.out_channels * constants_.taps());
    if (bias) bias_.assign(bias, bias + out_channels);
    constants_.weight = weight_.data();
    constants_.bias = bias ? bias_.data() : nullptr;
    for (const T w : weight_) finite_ = finite_ && std::isfinite(w);
}

template <class T>
Layer<T>::~Layer() = default;

template <class T>
void Layer<T>::run(const View<const T>& x, const View<T>& y) const {
    if (y.size() == 0 || x.size() == 0) return;
    const double multiplications =
        static_cast<double>(x.size()) * static_cast<double>(constants_.out_channels * constants_.taps());
    // Inputs beyond the border count as zero, and zero times Inf is NaN where the definition has no product at all.
    if (!kernels_ || !finite_) return run_reference(x, y, multiplications);
    const Way way = choose(x, y);
    if (way == Way::depthwise) return depthwise_->run(x, y, multiplications);
    if (holes_) fill(y);
    if (way != Way::pixels) return run_cells(way, x, y, multiplications);
    pixels_->run(x, y, multiplications);
}

template <class T>
typename Layer<T>::Way Layer<T>::choose(const View<const T>& x, const View<T>& y) const {
    const Index stride = constants_.axes.back().stride, channels = constants_.out_channels;
    if (Depthwise<T>::can_run(constants_, x, y)) {
        const std::lock_guard<std::mutex> lock(packing_);
        if (!depthwise_) depthwise_ = std::make_unique<Depthwise<T>>(constants_, *kernels_);
        return Way::depthwise;
    }
    const bool channels_last = x.strides[1] == 1 && y.strides[1] == 1 && x.shape[1] > 1;
    Index pixels = 1;
    for (std::size_t a = 2; a < x.shape.size(); ++a) pixels *= x.shape[a];
    const bool fill_lanes = 4 * channels * stride > kernels_->lanes;  // else too few outputs of a cell are neighbours
    if (channels_last && constants_.in_channels > 1 && fill_lanes)
        return channels >= kernels_->lanes ? Way::channels : Way::channels_alike;
    if (stride >= many_phases) return Way::phases;
    if (pixels < few_pixels && channels >= kernels_->lanes) return Way::channels;
    const std::lock_guard<std::mutex> lock(packing_);
    if (!pixels_) pixels_ = std::make_unique<Pixels<T>>(constants_, *kernels_);
    return pixels_->fits() ? Way::pixels : Way::channels;
}

template <class T>
void Layer<T>::run_cells(Way way, const View<const T>& x, const View<T>& y, double multiplications) const {
    auto& made = cells_[static_cast<int>(way)];
    {
        const std::lock_guard<std::mutex> lock(packing_);
        if (!made) {
            const Grouping grouping = way == Way::channels ? Grouping::single : Grouping::alike;
            const LaneOrder order = way == Way::phases ? LaneOrder::channel_then_phase : LaneOrder::phase_then_channel;
            made = std::make_unique<CellLanes<T>>(constants_, *kernels_, grouping, order);
        }
    }
    if (x.strides[1] == 1) return made->run(x, y, multiplications);
    // The channels of a pixel are broadcast one after the other: bring them together, one image at a time.
    std::vector<T> pixels(static_cast<std::size_t>(x.size() / x.shape[0]));
    View<const T> image{pixels.data(), x.shape, x.strides};
    image.shape[0] = 1;
    image.strides[1] = 1;
    Index step = x.shape[1];
    for (std::size_t a = x.shape.size(); a-- > 2; step *= x.shape[a]) image.strides[a] = step;
    const Index columns = x.shape.back(), rows = x.size() / x.shape[0] / x.shape[1] / columns;
    for (Index n = 0; n < x.shape[0]; ++n) {
        parallel(rows, static_cast<double>(x.size()), [&](Index row) {
            const T* from = x.at(n, 0);
            Index rest = row;
            for (std::size_t a = x.shape.size() - 1; a-- > 2; rest /= x.shape[a]) from += rest % x.shape[a] * x.strides[a];
            T* to = pixels.data() + row * columns * x.shape[1];
            for (Index c = 0; c < x.shape[1]; ++c)
                for (Index i = 0; i < columns; ++i)
                    to[i * x.shape[1] + c] = from[c * x.strides[1] + i * x.strides.back()];
        });
        View<T> out{y.at(n, 0), y.shape, y.strides};
        out.shape[0] = 1;
        made->run(image, out, multiplications / static_cast<double>(x.shape[0]));
    }
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
    const Index rows = row_count(y);
    parallel(y.shape[0] * y.shape[1], static_cast<double>(y.size()), [&](Index item) {
        const Index channel = item % y.shape[1];
        const T value = activated(constants_.activation, constants_.slope, constants_.bias_of(channel));
        for (Index row = 0; row < rows; ++row) {
            T* to = y.at(item / y.shape[1], channel);
            Index rest = row;
            for (std::size_t a = y.shape.size() - 1; a-- > 2; rest /= y.shape[a]) to += rest % y.shape[a] * y.strides[a];
            for (Index o = 0; o < y.shape.back(); ++o) to[o * y.strides.back()] = value;
        }
    });
}

template class Layer<float>;
template class Layer<double>;

}  // namespace tconv
