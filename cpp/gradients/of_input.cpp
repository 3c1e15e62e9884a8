#include "of_input.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "../threads.hpp"
#include "../tuning.hpp"

namespace tconv {

using namespace tuning::gradients;

constexpr Index line = 16;

template <class T>
OfInput<T>::OfInput(const Form& layer, const Kernels<T>& kernels, const T* weight, Index pixels, bool last)
    : layer_(layer), kernels_(kernels), weight_(weight), columns_(layer.out_channels * layer.taps()),
      swaths_(lanes_of(layer.in_channels, kernels)) {
    const bool saves = pixels <= few_pixels || (!last && columns_ < layer.in_channels);
    const bool steps = layer.axes.back().stride * layer.out_channels * layer.groups > 1;  // else rows of panels overlap
    if (!saves || !steps || layer.taps() > depth) pack();
}

template <class T>
void OfInput<T>::write(const Met<T>& met, const View<T>& result) const {
    if (packed_)
        with_channels_in_lanes(met, result);
    else
        with_pixels_in_lanes(met, result);
}

template <class T>
void OfInput<T>::pack() {
    const Index outputs = layer_.out_channels, kernel = layer_.taps(), row = outputs * kernel;
    const Index each = std::clamp<Index>(packed / kernel, 1, outputs), blocks = ceil_div(outputs, each);
    const auto swaths = static_cast<Index>(swaths_.size());
    T* const all = packed_.emplace(layer_.groups * width_of(swaths_) * columns_).data();
    parallel(layer_.groups * swaths * blocks, static_cast<double>(layer_.groups * layer_.in_channels * row), [&](Index task) {
        const Index group = task / (swaths * blocks), begin = task % blocks * each, end = std::min(begin + each, outputs);
        const Lanes& swath = swaths_[static_cast<std::size_t>(task / blocks % swaths)];
        const Index width = swath.width;
        thread_local Buffer<T> room;
        T* const turned = room.grow((end - begin) * kernel * width + kernels_.lanes);
        if (swath.count < width) std::fill_n(turned, (end - begin) * kernel * width, T(0));
        const Piece piece{0, swath.count, 0};
        const T* const from = weight_ + (group * layer_.in_channels + swath.first) * row + begin * kernel;
        kernels_.gather(turned, width, from, 1, row, (end - begin) * kernel, &piece, 1);
        T* const to = all + (group * width_of(swaths_) + swath.first) * columns_;
        for (Index k = 0; k < kernel; ++k)
            for (Index output = begin; output < end; ++output)
                std::memcpy(to + (k * outputs + output) * width, turned + ((output - begin) * kernel + k) * width,
                            static_cast<std::size_t>(width) * sizeof(T));
    });
}

// Each tile: a few pixels, what they meet being read where it lies, times packed weights.
template <class T>
void OfInput<T>::with_channels_in_lanes(const Met<T>& met, const View<T>& result) const {
    struct Stretch {  // of the columns: runs, and a part of each
        Index begin, runs, first, end;
    };
    const Index inputs = layer_.in_channels, rows = kernels_.rows, run = met.run();
    const auto runs = static_cast<Index>(met.runs().size());
    std::vector<Stretch> stretches;
    const Index shares = ceil_div(run, depth), together = std::max<Index>(1, depth / run);
    for (Index begin = 0; begin < runs; begin += together)
        for (Index k = 0; k < shares; ++k)
            stretches.push_back({begin, std::min(together, runs - begin), part(run, k, shares), part(run, k + 1, shares)});
    const std::vector<T> zeros(static_cast<std::size_t>(width_of(swaths_)));
    std::vector<Index> numbers(static_cast<std::size_t>(together));
    std::iota(numbers.begin(), numbers.end(), Index{0});
    const std::vector<Index> result_steps = steps_of(result.strides);
    const bool in_place = result.strides[1] == 1 || inputs == 1;
    const Index some = ceil_div(ceil_div(met.pixels(), tasks), rows) * rows;
    const Index at_once = std::min(some, pixels / rows * rows), chunks = ceil_div(met.pixels(), at_once);
    const double work = static_cast<double>(met.pixels()) * static_cast<double>(layer_.groups * inputs * columns_);
    parallel(chunks * layer_.groups, work, [&](Index task) {
        const Index group = task % layer_.groups, begin = task / layer_.groups * at_once;
        const Index end = std::min(begin + at_once, met.pixels()), count = end - begin;
        thread_local std::vector<Index> from, to;
        thread_local std::vector<const T*> sources;
        thread_local Buffer<T> room;
        met.places(begin, end, from);
        met.places(result_steps, begin, end, to);
        T* const first_result = result.data + group * inputs * result.strides[1];
        T* const sums = in_place ? nullptr : room.grow(count * inputs);
        sources.resize(static_cast<std::size_t>(count * runs));
        for (Index pixel = 0; pixel < count; pixel += rows) {  // run by run of a tile
            const Index tile = std::min(rows, count - pixel);
            auto source = sources.begin() + pixel * runs;
            for (const Index place : met.runs())
                for (Index r = 0; r < tile; ++r) *source++ = met.data(group) + from[static_cast<std::size_t>(pixel + r)] + place;
        }
        T* out[max_rows];
        for (const Stretch& stretch : stretches)
            for (const Lanes& swath : swaths_) {
                const T* const of_swath = packed_->data() + (group * width_of(swaths_) + swath.first) * columns_;
                const T* const weights = of_swath + stretch.begin * run * swath.width;
                const bool begins = stretch.begin == 0 && stretch.first == 0;
                for (Index pixel = 0; pixel < count; pixel += rows) {
                    const Index tile = std::min(rows, count - pixel);
                    if (&swath == swaths_.data())
                        for (Index r = pixel + tile; r < std::min(pixel + tile + rows, count); ++r)
                            for (Index k = stretch.begin; k < stretch.begin + stretch.runs; ++k)
                                for (Index j = stretch.first; j < stretch.end; j += line)
                                    __builtin_prefetch(met.data(group) + from[static_cast<std::size_t>(r)] +
                                                       met.runs()[static_cast<std::size_t>(k)] + j);
                    for (Index r = 0; r < tile; ++r)
                        out[r] = swath.first + (in_place ? first_result + to[static_cast<std::size_t>(pixel + r)]
                                                         : sums + (pixel + r) * inputs);
                    kernels_.cells[tile - 1][swath.vectors(kernels_.lanes) - 1](
                        out, swath.behind(kernels_.lanes), sources.data() + pixel * runs + stretch.begin * tile, numbers.data(),
                        stretch.runs, run, stretch.first, stretch.end, weights, begins ? zeros.data() : nullptr);
                }
            }
        if (in_place) return;
        for (Index pixel = 0, stop; pixel < count; pixel = stop) {
            stop = end_of_row(begin + pixel, end, met.pixels_of_image()) - begin;
            const Piece piece{0, stop - pixel, 0};
            T* const place = first_result + to[static_cast<std::size_t>(pixel)];
            for (Index c = 0; c < inputs; c += line)  // of the results' memory, far apart, few places at a time
                kernels_.gather(place + c * result.strides[1], result.strides[1], sums + pixel * inputs + c, 1, inputs,
                                std::min(line, inputs - c), &piece, 1);
        }
    });
}

// Each tile: input channels, whose weights are read where they lie, times what a few pixels meet.
template <class T>
void OfInput<T>::with_pixels_in_lanes(const Met<T>& met, const View<T>& result) const {
    const Index inputs = layer_.in_channels, outputs = layer_.out_channels, kernel = layer_.taps(), lanes = kernels_.lanes;
    const bool last = result.strides[1] == 1;
    const bool in_place = !last && (met.pixels() == met.pixels_of_image() || met.pixels_of_image() >= long_row);
    const Index length = in_place ? met.pixels_of_image() : met.pixels(), images = met.pixels() / length;
    const Index count = ceil_div(length, most_panels * kernels_.vectors[kernels_.rows - 1] * lanes);
    const Index shares = std::clamp<Index>(inputs / least_inputs, 1, ceil_div(tasks, images * count * layer_.groups));
    const Index together = std::max<Index>(1, depth / kernel);  // output channels
    const std::vector<Index> result_steps = steps_of(result.strides);
    const std::vector<T> zeros(static_cast<std::size_t>(lanes * max_vectors));
    const double work = static_cast<double>(met.pixels()) * static_cast<double>(layer_.groups * inputs * columns_);
    parallel(images * count * shares * layer_.groups, work, [&](Index task) {
        const Index share = task % shares, group = task / shares % layer_.groups, chunk = task / shares / layer_.groups;
        const Index first_input = part(inputs, share, shares), some_inputs = part(inputs, share + 1, shares) - first_input;
        const Index image = chunk / count, begin = image * length + part(length, chunk % count, count);
        const Index end = image * length + part(length, chunk % count + 1, count), tiles = ceil_div(some_inputs, kernels_.rows);
        const std::vector<Lanes> panels = lanes_of(end - begin, kernels_);
        thread_local std::vector<Index> from, to;
        thread_local Buffer<T> room, waiting;
        met.places(begin, end, from);
        met.places(result_steps, begin, end, to);
        T* const in_panels = room.grow(together * kernel * width_of(panels) + lanes);
        T* const first_result = result.data + (group * inputs + first_input) * result.strides[1];
        const Index step = in_place ? result.strides[1] : width_of(panels);
        T* const sums = in_place ? first_result + to.front() : waiting.grow(some_inputs * step);
        for (Index output = 0; output < outputs; output += together) {
            const Index some = std::min(together, outputs - output), depth_now = some * kernel;
            for (const Lanes& panel : panels)
                for (Index lane = 0, stop; lane < panel.count; lane = stop) {
                    const Index pixel = begin + panel.first + lane;
                    stop = lane + end_of_row(pixel, begin + panel.first + panel.count, met.row()) - pixel;
                    const Piece piece{lane, stop - lane, 0};
                    const T* const source = met.data(group) + from[static_cast<std::size_t>(panel.first + lane)] + output;
                    for (Index k = 0; k < kernel; ++k)
                        kernels_.gather(in_panels + panel.first * depth_now + k * panel.width, kernel * panel.width,
                                        source + met.column(k * outputs), 1, met.step(), some, &piece, 1);
                }
            for (Index t = 0; t < tiles; ++t) {
                const Index first = part(some_inputs, t, tiles), tile = part(some_inputs, t + 1, tiles) - first, number = 0;
                const T* in[max_rows];
                T* out[max_rows];
                for (Index r = 0; r < tile; ++r)
                    in[r] = weight_ + (group * inputs + first_input + first + r) * columns_ + output * kernel;
                for (const Lanes& panel : panels) {
                    for (Index r = 0; r < tile; ++r) out[r] = sums + (first + r) * step + panel.first;
                    kernels_.cells[tile - 1][panel.vectors(lanes) - 1](out, panel.behind(lanes), in, &number, 1, depth_now, 0,
                                                                       depth_now, in_panels + panel.first * depth_now,
                                                                       output ? nullptr : zeros.data());
                }
            }
        }
        if (in_place) return;
        for (Index pixel = 0, stop; pixel < end - begin; pixel = stop) {
            stop = end_of_row(begin + pixel, end, met.row()) - begin;
            const Piece piece{0, some_inputs, 0};
            T* const place = first_result + to[static_cast<std::size_t>(pixel)];
            if (last)
                kernels_.gather(place, result_steps.back(), sums + pixel, 1, step, stop - pixel, &piece, 1);
            else
                for (Index c = 0; c < some_inputs; ++c) std::copy_n(sums + c * step + pixel, stop - pixel, place + c * result.strides[1]);
        }
    });
}

template class OfInput<float>;
template class OfInput<double>;

}  // namespace tconv
