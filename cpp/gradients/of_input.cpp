#include "of_input.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "../threads.hpp"
#include "../tuning.hpp"

namespace tconv {

using namespace tuning::gradients;

namespace {

constexpr Index line = 16;

// Columns that are added up at a time: of some runs, a part of each.
struct Section {
    Index begin, runs, first, end;

    bool begins() const { return begin == 0 && first == 0; }
};

std::vector<Section> sections_of(Index runs, Index run) {
    const Index parts = ceil_div(run, depth), together = std::max<Index>(1, depth / run);
    std::vector<Section> sections;
    for (Index begin = 0; begin < runs; begin += together)
        for (Index k = 0; k < parts; ++k)
            sections.push_back({begin, std::min(together, runs - begin), part(run, k, parts), part(run, k + 1, parts)});
    return sections;
}

// Have what a tile of so many pixels will read on its way into the cache.
template <class T>
void fetch(const T* const* sources, const Section& section, Index tile) {
    for (Index k = section.begin * tile; k < (section.begin + section.runs) * tile; ++k)
        for (Index j = section.first; j < section.end; j += line) __builtin_prefetch(sources[k] + j);
}

}  // namespace

template <class T>
OfInput<T>::OfInput(const Form& layer, const Kernels<T>& kernels, const T* weight, bool taps_first, Index pixels, bool last)
    : layer_(layer), kernels_(kernels), weight_(weight), taps_first_(taps_first), columns_(layer.out_channels * layer.taps()),
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
        const Piece piece{0, swath.count, 0};
        const T* const from = weight_ + (group * layer_.in_channels + swath.first) * row;
        T* const to = all + (group * width_of(swaths_) + swath.first) * columns_;
        // Zeros, as they are multiplied, too.
        const auto without_channels = [&](Index column) { std::fill(to + column * width + swath.count, to + (column + 1) * width, T(0)); };
        if (taps_first_) {
            for (Index column = begin; column < row; column += outputs) {
                kernels_.gather(to + column * width, width, from + column, 1, row, end - begin, &piece, 1);
                for (Index output = 0; output < end - begin; ++output) without_channels(column + output);
            }
            return;
        }
        thread_local Buffer<T> room;
        T* const turned = room.grow((end - begin) * kernel * width + kernels_.lanes);
        kernels_.gather(turned, width, from + begin * kernel, 1, row, (end - begin) * kernel, &piece, 1);
        for (Index k = 0; k < kernel; ++k)
            for (Index output = begin; output < end; ++output) {
                std::memcpy(to + (k * outputs + output) * width, turned + ((output - begin) * kernel + k) * width,
                            static_cast<std::size_t>(swath.count) * sizeof(T));
                without_channels(k * outputs + output);
            }
    });
}

// Each tile: a few pixels, what they meet being read where it lies, times packed weights.
template <class T>
void OfInput<T>::with_channels_in_lanes(const Met<T>& met, const View<T>& result) const {
    const Index inputs = layer_.in_channels, rows = kernels_.rows;
    const auto runs = static_cast<Index>(met.runs().size());
    const std::vector<Section> sections = sections_of(runs, met.run());
    const std::vector<T> zeros(static_cast<std::size_t>(width_of(swaths_)));
    std::vector<Index> numbers(static_cast<std::size_t>(runs));
    std::iota(numbers.begin(), numbers.end(), Index{0});
    const std::vector<Index> result_steps = steps_of(result.strides);
    const bool in_place = result.strides[1] == 1 || inputs == 1;
    const Index some = ceil_div(ceil_div(met.pixels(), tasks), rows) * rows;
    const Index at_once = std::min(some, pixels / rows * rows), chunks = ceil_div(met.pixels(), at_once);
    const double work = static_cast<double>(met.pixels()) * static_cast<double>(layer_.groups * inputs * columns_);
    parallel(chunks * layer_.groups, work, [&](Index task) {
        const Index group = task % layer_.groups, begin = task / layer_.groups * at_once;
        const Index end = std::min(begin + at_once, met.pixels()), count = end - begin;
        thread_local std::vector<const T*> sources;
        thread_local std::vector<Index> to;
        thread_local Buffer<T> room;
        find(sources, met, group, begin, end);
        met.places(result_steps, begin, end, to);
        T* const first_result = result.data + group * inputs * result.strides[1];
        T* const sums = in_place ? nullptr : room.grow(count * inputs);
        for (const Section& section : sections)
            for (const Lanes& swath : swaths_) {
                const T* const of_swath = packed_->data() + (group * width_of(swaths_) + swath.first) * columns_;
                for (Index pixel = 0; pixel < count; pixel += rows) {
                    const Index tile = std::min(rows, count - pixel), next = std::min(rows, count - pixel - tile);
                    const T* const* const of_tile = sources.data() + pixel * runs;
                    if (&swath == swaths_.data()) fetch(of_tile + tile * runs, section, next);
                    T* out[max_rows];
                    for (Index r = 0; r < tile; ++r)
                        out[r] = swath.first + (in_place ? first_result + to[static_cast<std::size_t>(pixel + r)]
                                                         : sums + (pixel + r) * inputs);
                    kernels_.cells[tile - 1][swath.vectors(kernels_.lanes) - 1](
                        out, swath.behind(kernels_.lanes), of_tile + section.begin * tile, numbers.data(), section.runs,
                        met.run(), section.first, section.end, of_swath + section.begin * met.run() * swath.width,
                        section.begins() ? zeros.data() : nullptr);
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

// What the pixels begin..end meet, tile by tile, and of each run by run.
template <class T>
void OfInput<T>::find(std::vector<const T*>& sources, const Met<T>& met, Index group, Index begin, Index end) const {
    thread_local std::vector<Index> from;
    met.places(begin, end, from);
    sources.clear();
    for (Index pixel = 0; pixel < end - begin; pixel += kernels_.rows)
        for (const Index place : met.runs())
            for (Index r = pixel; r < std::min(pixel + kernels_.rows, end - begin); ++r)
                sources.push_back(met.data(group) + from[static_cast<std::size_t>(r)] + place);
}

template class OfInput<float>;
template class OfInput<double>;

}  // namespace tconv
