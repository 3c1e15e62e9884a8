// See of_input.hpp: the gradient of an input of few pixels.
#include <algorithm>

#include "../threads.hpp"
#include "../tuning.hpp"
#include "of_input.hpp"

namespace tconv {

using namespace tuning::gradients;

namespace {

// What pixels from `begin` on meet through all taps, of some output channels, as panels: panel[(output*taps + tap)*width + lane].
template <class T>
void turn(T* to, const Form& layer, const Kernels<T>& kernels, const Met<T>& met, const T* outputs,
          const std::vector<Index>& from, Index begin, const std::vector<Lanes>& panels, Index some) {
    const Index kernel = layer.taps();
    for (const Lanes& panel : panels) {
        for (Index lane = 0, stop; lane < panel.count; lane = stop) {
            const Index pixel = begin + panel.first + lane;
            stop = lane + end_of_row(pixel, pixel + panel.count - lane, met.row()) - pixel;
            const Piece piece{lane, stop - lane, 0};
            const T* const place = outputs + from[static_cast<std::size_t>(panel.first + lane)];
            for (Index k = 0; k < kernel; ++k)
                kernels.gather(to + k * panel.width, kernel * panel.width, place + met.column(k * layer.out_channels), 1,
                               met.step(), some, &piece, 1);
        }
        to += some * kernel * panel.width;
    }
}

}  // namespace

// Each tile: input channels, whose weights are read where they lie, times what a few pixels meet.
template <class T>
void OfInput<T>::with_pixels_in_lanes(const Met<T>& met, const View<T>& result) const {
    const Index inputs = layer_.in_channels, outputs = layer_.out_channels, kernel = layer_.taps(), lanes = kernels_.lanes;
    const Index image = met.pixels_of_image();
    const bool last = result.strides[1] == 1, in_place = !last && (met.pixels() == image || image >= long_row);
    const Index length = in_place ? image : met.pixels(), count = ceil_div(length, most_panels * lanes * max_vectors / 2);
    const Index chunks = met.pixels() / length * count;
    const auto begin_of = [&](Index chunk) { return chunk / count * length + part(length, chunk % count, count); };
    const Index shares = std::clamp<Index>(inputs / least_inputs, 1, ceil_div(tasks, chunks * layer_.groups));
    const Index together = std::max<Index>(1, depth / kernel);  // output channels
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
        T* const turned = room.grow(together * kernel * width_of(panels) + lanes);
        T* const first_result = result.data + first_input * result.strides[1];
        const Index step = in_place ? result.strides[1] : width_of(panels);
        T* const sums = in_place ? first_result + to.front() : waiting.grow(some_inputs * step);
        for (Index output = 0; output < outputs; output += together) {
            const Index some = std::min(together, outputs - output), depth_now = some * kernel;
            turn(turned, layer_, kernels_, met, met.data(group) + output, from, begin, panels, some);
            for (Index t = 0; t < tiles; ++t) {
                const Index first = part(some_inputs, t, tiles), tile = part(some_inputs, t + 1, tiles) - first, number = 0;
                const T* in[max_rows];
                T* out[max_rows];
                for (Index r = 0; r < tile; ++r) in[r] = weight_ + (first_input + first + r) * columns_ + output * kernel;
                for (const Lanes& panel : panels) {
                    for (Index r = 0; r < tile; ++r) out[r] = sums + (first + r) * step + panel.first;
                    kernels_.cells[tile - 1][panel.vectors(lanes) - 1](out, panel.behind(lanes), in, &number, 1, depth_now, 0,
                                                                       depth_now, turned + panel.first * depth_now,
                                                                       output ? nullptr : zeros.data());
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

template void OfInput<float>::with_pixels_in_lanes(const Met<float>&, const View<float>&) const;
template void OfInput<double>::with_pixels_in_lanes(const Met<double>&, const View<double>&) const;

}  // namespace tconv
