// See of_input.hpp: the gradient of an input of few pixels.
#include <algorithm>

#include "../threads.hpp"
#include "../tuning.hpp"
#include "of_input.hpp"

namespace tconv {

using namespace tuning::gradients;

// What pixels from `begin` on meet through some columns, from `column` on in the weights' order: panel[column*width + lane].
// How many columns that are.
template <class T>
Index OfInput<T>::turn(T* to, const Met<T>& met, Index group, const std::vector<Index>& from, Index begin,
                       const std::vector<Lanes>& panels, Index column) const {
    const Index kernel = layer_.taps(), outputs = layer_.out_channels;
    // Some output channels with all taps; or some taps with all output channels, or a part of one.
    const Index first_output = taps_first_ ? column % outputs : column / kernel, first_tap = taps_first_ ? column / outputs : 0;
    const Index of_each = std::max<Index>(1, depth / (taps_first_ ? outputs : kernel));
    const Index some = std::min(taps_first_ ? depth : of_each, outputs - first_output);
    const Index taps = taps_first_ ? std::min(of_each, kernel - first_tap) : kernel;
    const Index tap_step = taps_first_ ? some : 1, output_step = taps_first_ ? 1 : taps;
    for (const Lanes& panel : panels) {
        for (Index lane = 0, stop; lane < panel.count; lane = stop) {
            const Index pixel = begin + panel.first + lane;
            stop = lane + end_of_row(pixel, pixel + panel.count - lane, met.row()) - pixel;
            const Piece piece{lane, stop - lane, 0};
            const T* const place = met.data(group) + from[static_cast<std::size_t>(panel.first + lane)] + first_output;
            for (Index k = 0; k < taps; ++k)
                kernels_.gather(to + k * tap_step * panel.width, output_step * panel.width,
                                place + met.column((first_tap + k) * outputs), 1, met.step(), some, &piece, 1);
        }
        to += some * taps * panel.width;
    }
    return some * taps;
}

// Each tile: input channels, whose weights are read where they lie, times what a few pixels meet.
template <class T>
void OfInput<T>::with_pixels_in_lanes(const Met<T>& met, const View<T>& result) const {
    const Index inputs = layer_.in_channels, lanes = kernels_.lanes, most_columns = std::max(depth, layer_.taps());
    const Index image = met.pixels_of_image();
    const bool last = result.strides[1] == 1, in_place = !last && (met.pixels() == image || image >= long_row);
    const Index length = in_place ? image : met.pixels(), count = ceil_div(length, most_panels * lanes * max_vectors / 2);
    const Index chunks = met.pixels() / length * count;
    const auto begin_of = [&](Index chunk) { return chunk / count * length + part(length, chunk % count, count); };
    const Index shares = std::clamp<Index>(inputs / least_inputs, 1, ceil_div(tasks, chunks * layer_.groups));
    const std::vector<Index> result_steps = steps_of(result.strides);
    const std::vector<T> zeros(static_cast<std::size_t>(lanes * max_vectors));
    const double work = static_cast<double>(met.pixels()) * static_cast<double>(layer_.groups * inputs * columns_);
    parallel(chunks * shares * layer_.groups, work, [&](Index task) {
        const Index share = task % shares, group = task / shares % layer_.groups, chunk = task / shares / layer_.groups;
        const Index first_input = group * inputs + part(inputs, share, shares);
        const Index some_inputs = group * inputs + part(inputs, share + 1, shares) - first_input;
        const Index begin = begin_of(chunk), end = begin_of(chunk + 1), tiles = ceil_div(some_inputs, kernels_.rows);
        const std::vector<Lanes> panels = lanes_of(end - begin, kernels_);
        thread_local std::vector<Index> from, to;
        thread_local Buffer<T> room, waiting;
        met.places(begin, end, from);
        met.places(result_steps, begin, end, to);
        T* const turned = room.grow_cleared(most_columns * width_of(panels) + lanes);
        T* const first_result = result.data + first_input * result.strides[1];
        const Index step = in_place ? result.strides[1] : width_of(panels);
        T* const sums = in_place ? first_result + to.front() : waiting.grow(some_inputs * step);
        for (Index column = 0, depth_now; column < columns_; column += depth_now) {
            depth_now = turn(turned, met, group, from, begin, panels, column);
            for (Index t = 0; t < tiles; ++t) {
                const Index first = part(some_inputs, t, tiles), tile = part(some_inputs, t + 1, tiles) - first, number = 0;
                const T* in[max_rows];
                T* out[max_rows];
                for (Index r = 0; r < tile; ++r) in[r] = weight_ + (first_input + first + r) * columns_ + column;
                for (const Lanes& panel : panels) {
                    for (Index r = 0; r < tile; ++r) out[r] = sums + (first + r) * step + panel.first;
                    kernels_.cells[tile - 1][panel.vectors(lanes) - 1](out, panel.behind(lanes), in, &number, 1, depth_now, 0,
                                                                       depth_now, turned + panel.first * depth_now,
                                                                       column ? nullptr : zeros.data());
                }
            }
        }
        for (Index pixel = 0, stop; !in_place && pixel < end - begin; pixel = stop) {
            stop = end_of_row(begin + pixel, end, met.row()) - begin;
            const Piece piece{0, some_inputs, 0};
            T* const place = first_result + to[static_cast<std::size_t>(pixel)];
            if (last)
                kernels_.gather(place, result_steps.back(), sums + pixel, 1, step, stop - pixel, &piece, 1);
            else
                for (Index c = 0; c < some_inputs; ++c)
                    std::copy_n(sums + c * step + pixel, stop - pixel, place + c * result.strides[1]);
        }
    });
}

template Index OfInput<float>::turn(float*, const Met<float>&, Index, const std::vector<Index>&, Index,
                                    const std::vector<Lanes>&, Index) const;
template Index OfInput<double>::turn(double*, const Met<double>&, Index, const std::vector<Index>&, Index,
                                     const std::vector<Lanes>&, Index) const;
template void OfInput<float>::with_pixels_in_lanes(const Met<float>&, const View<float>&) const;
template void OfInput<double>::with_pixels_in_lanes(const Met<double>&, const View<double>&) const;

}  // namespace tconv
