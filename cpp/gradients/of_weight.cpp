#include "of_weight.hpp"

#include <algorithm>

#include "../threads.hpp"
#include "../tuning.hpp"

namespace tconv {

using namespace tuning::gradients;

namespace {

// Slices that are worth while: many enough to keep threads busy, and few enough for their sums.
Index slices_of(Index pixels_in_all, Index others, Index bytes) {
    const Index wanted = std::min(ceil_div(tasks, others), std::max<Index>(1, most_sums / bytes));
    return std::clamp<Index>(pixels_in_all / pixels / 2, 1, wanted);
}

}  // namespace

template <class T>
OfWeight<T>::OfWeight(const Form& layer, const Kernels<T>& kernels, Index pixels)
    : layer_(layer), kernels_(kernels), channels_(layer.groups * layer.in_channels), columns_(layer.out_channels * layer.taps()),
      panels_(lanes_of(columns_, kernels)), bundles_(ceil_div(static_cast<Index>(panels_.size()), most_panels)),
      slices_(slices_of(pixels, bundles_ * layer.groups, channels_ * columns_ * static_cast<Index>(sizeof(T)))),
      sums_(slices_ * channels_ * columns_) {}

template <class T>
void OfWeight<T>::add(const Met<T>& met, const View<const T>& x) {
    const Index inputs = layer_.in_channels, lanes = kernels_.lanes;
    const std::vector<Index> steps = steps_of(x.strides);
    const Index even = met.evenly_spaced(steps);
    const bool in_place = steps.back() == 1 && (even == met.pixels() || even >= long_run);
    const Index length = in_place ? even : met.pixels(), count = ceil_div(length, pixels);
    std::vector<std::pair<Index, Index>> chunks;  // pixels from, to
    for (Index run = 0; run < met.pixels(); run += length)
        for (Index k = 0; k < count; ++k) chunks.emplace_back(run + part(length, k, count), run + part(length, k + 1, count));
    const Index shares = std::clamp<Index>(inputs / least_inputs, 1, ceil_div(tasks / 2, bundles_ * layer_.groups * slices_));
    const std::vector<T> zeros(static_cast<std::size_t>(lanes * max_vectors));
    const double work = static_cast<double>(met.pixels()) * static_cast<double>(channels_ * columns_);
    parallel(bundles_ * slices_ * shares * layer_.groups, work, [&](Index task) {
        const Index bundle = task % bundles_, group = task / bundles_ % layer_.groups;
        const Index slice = task / bundles_ / layer_.groups % slices_, share = task / bundles_ / layer_.groups / slices_;
        const auto all = static_cast<Index>(panels_.size()), chunks_in_all = static_cast<Index>(chunks.size());
        const std::span<const Lanes> panels(panels_.data() + part(all, bundle, bundles_), panels_.data() + part(all, bundle + 1, bundles_));
        const Index first_input = part(inputs, share, shares), last_input = part(inputs, share + 1, shares);
        const Index tiles = ceil_div(last_input - first_input, kernels_.rows);
        thread_local Buffer<T> room, few_rows;
        thread_local std::vector<Index> from, of_x;
        thread_local std::vector<Piece> pieces;
        T* const in_panels = room.grow((panels.back().first + panels.back().width - panels.front().first) * pixels + lanes);
        for (Index k = part(chunks_in_all, slice, slices_); k < part(chunks_in_all, slice + 1, slices_); ++k) {
            const auto [begin, end] = chunks[static_cast<std::size_t>(k)];
            const Index depth_now = end - begin;
            const bool begins = !begun_ && k == part(chunks_in_all, slice, slices_);
            met.places(begin, end, from);
            met.places(steps, begin, end, of_x);
            for (const Lanes& panel : panels) {
                pieces.clear();
                for (Index lane = 0; lane < panel.count; lane += pieces.back().count) {
                    const Index column = panel.first + lane;
                    pieces.push_back({lane, std::min(panel.count - lane, met.run() - column % met.run()), met.column(column)});
                }
                for (Index pixel = 0, stop; pixel < depth_now; pixel = stop) {
                    stop = end_of_row(begin + pixel, end, met.row()) - begin;
                    kernels_.gather(in_panels + (panel.first - panels.front().first) * depth_now + pixel * panel.width, panel.width,
                                    met.data(group) + from[static_cast<std::size_t>(pixel)], met.step(), 1, stop - pixel,
                                    pieces.data(), static_cast<Index>(pieces.size()));
                }
            }
            for (Index t = 0; t < tiles; ++t) {
                const Index first = first_input + part(last_input - first_input, t, tiles), number = 0;
                const Index tile = first_input + part(last_input - first_input, t + 1, tiles) - first;
                const T* in[max_rows];
                T* out[max_rows];
                const T* const of_tile = x.data + (group * inputs + first) * x.strides[1];
                const Index row = depth_now + lanes;
                T* const brought = in_place ? nullptr : few_rows.grow(kernels_.rows * row);
                for (Index pixel = 0, stop; brought && pixel < depth_now; pixel = stop) {
                    stop = end_of_row(begin + pixel, end, even) - begin;
                    const Piece piece{pixel, stop - pixel, 0};
                    kernels_.gather(brought, row, of_tile + of_x[static_cast<std::size_t>(pixel)], x.strides[1], steps.back(),
                                    tile, &piece, 1);
                }
                for (Index r = 0; r < tile; ++r)
                    in[r] = brought ? brought + r * row : of_tile + r * x.strides[1] + of_x.front();
                for (const Lanes& panel : panels) {
                    for (Index r = 0; r < tile; ++r)
                        out[r] = sums_.data() + (slice * channels_ + group * inputs + first + r) * columns_ + panel.first;
                    kernels_.cells[tile - 1][panel.vectors(lanes) - 1](
                        out, panel.behind(lanes), in, &number, 1, depth_now, 0, depth_now,
                        in_panels + (panel.first - panels.front().first) * depth_now, begins ? zeros.data() : nullptr);
                }
            }
        }
    });
    begun_ = true;
}

template <class T>
void OfWeight<T>::write(T* result) {
    const Index kernel = layer_.taps();
    parallel(channels_, static_cast<double>(slices_ * channels_ * columns_), [&](Index channel) {
        T* const all = sums_.data() + channel * columns_;
        for (Index slice = 1; slice < slices_; ++slice)
            for (Index column = 0; column < columns_; ++column) all[column] += all[slice * channels_ * columns_ + column];
        const Piece piece{0, kernel, 0};
        if (kernel == 1 || layer_.out_channels == 1)
            std::copy_n(all, columns_, result + channel * columns_);
        else
            kernels_.gather(result + channel * columns_, kernel, all, 1, layer_.out_channels, layer_.out_channels, &piece, 1);
    });
}

template class OfWeight<float>;
template class OfWeight<double>;

}  // namespace tconv
