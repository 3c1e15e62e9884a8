#include "met.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "../threads.hpp"
#include "../tuning.hpp"

namespace tconv {

namespace {

// A number for each combination of indices below `sizes`, the last index fastest: the sum of the steps of its indices.
std::vector<Index> all_places(std::span<const Index> sizes, std::span<const Index> steps) {
    std::vector<Index> found{0};
    for (std::size_t a = 0; a < sizes.size(); ++a) {
        std::vector<Index> longer;
        for (const Index place : found)
            for (Index k = 0; k < sizes[a]; ++k) longer.push_back(place + k * steps[a]);
        found = std::move(longer);
    }
    return found;
}

}  // namespace

template <class T>
std::vector<Lanes> lanes_of(Index columns, const Kernels<T>& kernels) {
    const Index vectors = ceil_div(columns, kernels.lanes), count = ceil_div(vectors, kernels.vectors[kernels.rows - 1]);
    std::vector<Lanes> all;
    for (Index k = 0; k < count; ++k) {
        const Index first = part(vectors, k, count) * kernels.lanes, end = part(vectors, k + 1, count) * kernels.lanes;
        all.push_back({first, std::min(end, columns) - first, end - first});
    }
    return all;
}

template <class T>
Met<T>::Met(const Form& layer, const Kernels<T>& kernels, std::span<const Index> in_size, const View<const T>& grad)
    : layer_(layer), kernels_(kernels), in_size_(in_size.begin(), in_size.end()), batch_(grad.shape[0]), data_(grad.data) {
    const std::size_t axes = layer.axes.size();
    const Index channels = layer.groups * layer.out_channels;
    bool lies_so = grad.strides[1] == 1 && grad.strides[axes + 1] == channels;
    std::vector<Index> reached(axes), strides(grad.strides.begin(), grad.strides.end());
    for (std::size_t a = 0; a < axes; ++a) {
        const Axis& axis = layer.axes[a];
        reached[a] = axis.stride * (in_size[a] - 1) + axis.dilation * (axis.kernel - 1) + 1;
        lies_so = lies_so && axis.crop_lo == 0 && grad.shape[a + 2] >= reached[a];
        pixels_ *= in_size[a];
    }
    if (!lies_so) {
        Index step = channels;
        for (std::size_t a = axes; a-- > 0; step *= reached[a]) strides[a + 2] = step;
        strides[0] = step;
        copy(grad, reached);
    }
    steps_.push_back(strides[0]);
    std::vector<Index> sizes, steps;
    for (std::size_t a = 0; a < axes; ++a) {
        steps_.push_back(layer.axes[a].stride * strides[a + 2]);
        sizes.push_back(layer.axes[a].kernel);
        steps.push_back(layer.axes[a].dilation * strides[a + 2]);
    }
    run_ = layer.out_channels;
    if (taps_are_neighbours(layer)) {
        run_ *= sizes.back();
        sizes.pop_back();
        steps.pop_back();
    }
    runs_ = all_places(sizes, steps);
}

// The gradients of all outputs that some pixel reaches through some tap, channels-last, with zeros around.
template <class T>
void Met<T>::copy(const View<const T>& grad, const std::vector<Index>& reached) {
    const Index channels = layer_.groups * layer_.out_channels, columns = reached.back();
    const std::size_t last = reached.size() - 1;
    const Index rows = std::accumulate(reached.begin(), reached.end() - 1, batch_, std::multiplies<>());
    const Index at_once = std::clamp<Index>(tuning::gradients::copied / channels, 16, columns + 16);
    const Index blocks = ceil_div(columns, at_once), step = grad.strides[last + 2], channel_step = grad.strides[1];
    T* const all = copy_.emplace(rows * columns * channels).data();
    data_ = all;
    parallel(rows * blocks, static_cast<double>(rows * columns * channels), [&](Index task) {
        const Index row = task / blocks;
        Index rest = row, from = 0;
        bool inside = true;
        for (std::size_t a = last; a-- > 0; rest /= reached[a]) {
            const Index o = rest % reached[a] - layer_.axes[a].crop_lo;
            inside = inside && o >= 0 && o < grad.shape[a + 2];
            from += o * grad.strides[a + 2];
        }
        from += rest * grad.strides[0];
        const Index begin = task % blocks * at_once, end = std::min(begin + at_once, columns);
        const Index crop = layer_.axes[last].crop_lo;
        const Index low = inside ? std::clamp(crop, begin, end) : end;
        const Index high = inside ? std::clamp(crop + grad.shape[last + 2], low, end) : end;
        T* const to = all + row * columns * channels;
        std::fill(to + begin * channels, to + low * channels, T(0));
        std::fill(to + high * channels, to + end * channels, T(0));
        if (low >= high) return;
        const T* const source = grad.data + from + (low - crop) * step;
        if (step == channels && (channel_step == 1 || channels == 1)) {
            std::memcpy(to + low * channels, source, static_cast<std::size_t>((high - low) * channels) * sizeof(T));
        } else if (channel_step == 1) {
            kernels_.bring(to + low * channels, channels, source, 1, step, channels, high - low);
        } else {
            const Piece piece{0, channels, 0};
            kernels_.gather(to + low * channels, channels, source, step, channel_step, high - low, &piece, 1);
        }
    });
}

template <class T>
void Met<T>::places(std::span<const Index> steps, Index begin, Index end, std::vector<Index>& to) const {
    to.resize(static_cast<std::size_t>(end - begin));
    for (Index pixel = begin; pixel < end;) {
        const Index stop = end_of_row(pixel, end, row());
        Index rest = pixel, place = 0;
        for (std::size_t a = in_size_.size(); a-- > 0; rest /= in_size_[a]) place += rest % in_size_[a] * steps[a + 1];
        place += rest * steps[0];
        for (; pixel < stop; ++pixel, place += steps.back()) to[static_cast<std::size_t>(pixel - begin)] = place;
    }
}

template <class T>
Index Met<T>::evenly_spaced(std::span<const Index> steps) const {
    Index count = row();
    for (std::size_t a = in_size_.size() - 1; a > 0; --a) {
        if (steps[a] != steps.back() * count && in_size_[a - 1] > 1) return count;
        count *= in_size_[a - 1];
    }
    return steps[0] == steps.back() * count || batch_ == 1 ? count * batch_ : count;
}

template class Met<float>;
template class Met<double>;
template std::vector<Lanes> lanes_of(Index columns, const Kernels<float>& kernels);
template std::vector<Lanes> lanes_of(Index columns, const Kernels<double>& kernels);

}  // namespace tconv
