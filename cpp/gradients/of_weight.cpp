#include "of_weight.hpp"

#include <algorithm>

#include "../threads.hpp"
#include "../tuning.hpp"

namespace tconv {

using namespace tuning::gradients;

namespace {

// Portions that are worth while: many enough to keep threads busy, and few enough for their sums.
Index portions_of(Index pixels_in_all, Index others, Index bytes) {
    const Index wanted = std::min(ceil_div(tasks, others), std::max<Index>(1, most_sums / bytes));
    return std::clamp<Index>(pixels_in_all / pixels / 2, 1, wanted);
}

}  // namespace

template <class T>
OfWeight<T>::OfWeight(const Form& layer, const Kernels<T>& kernels, Index pixels)
    : layer_(layer), kernels_(kernels), channels_(layer.groups * layer.in_channels), columns_(layer.out_channels * layer.taps()),
      panels_(lanes_of(columns_, kernels)), sets_(ceil_div(static_cast<Index>(panels_.size()), most_panels)),
      portions_(portions_of(pixels, sets_ * layer.groups, channels_ * columns_ * static_cast<Index>(sizeof(T)))),
      zeros_(static_cast<std::size_t>(kernels.lanes * max_vectors)), sums_(portions_ * channels_ * columns_) {}

template <class T>
void OfWeight<T>::add(const Met<T>& met, const View<const T>& x) {
    const Index inputs = layer_.in_channels, all_panels = static_cast<Index>(panels_.size());
    Rows rows{x, steps_of(x.strides), 0, false};
    rows.even = met.evenly_spaced(rows.steps);
    rows.in_place = rows.steps.back() == 1 && (rows.even == met.pixels() || rows.even >= long_run);
    const Index length = rows.in_place ? rows.even : met.pixels(), of_run = ceil_div(length, pixels);
    const Index chunks = met.pixels() / length * of_run;  // of pixels
    const auto begin_of = [&](Index chunk) { return chunk / of_run * length + part(length, chunk % of_run, of_run); };
    const Index shares = std::clamp<Index>(inputs / least_inputs, 1, ceil_div(tasks / 2, sets_ * layer_.groups * portions_));
    const double work = static_cast<double>(met.pixels()) * static_cast<double>(channels_ * columns_);
    parallel(sets_ * layer_.groups * portions_ * shares, work, [&](Index number) {
        const Index set = number % sets_, rest = number / sets_ / layer_.groups, share = rest / portions_;
        const Task task{number / sets_ % layer_.groups,         rest % portions_,
                        part(all_panels, set, sets_),           part(all_panels, set + 1, sets_),
                        part(inputs, share, shares),            part(inputs, share + 1, shares)};
        const Index first = part(chunks, task.portion, portions_), end = part(chunks, task.portion + 1, portions_);
        for (Index chunk = first; chunk < end; ++chunk)
            multiply(met, rows, task, begin_of(chunk), begin_of(chunk + 1), !begun_ && chunk == first);
    });
    begun_ = true;
}

// What the pixels begin..end meet, as panels of columns: panel[pixel*width + lane].
template <class T>
const T* OfWeight<T>::panels(const Met<T>& met, const Task& task, Index begin, Index end) const {
    thread_local Buffer<T> room;
    thread_local std::vector<Index> from;
    thread_local std::vector<Piece> pieces;
    const Lanes* const first = panels_.data() + task.first_panel;
    const Lanes* const last = panels_.data() + task.last_panel - 1;
    T* const filled = room.grow_cleared((last->first + last->width - first->first) * pixels + kernels_.lanes);
    met.places(begin, end, from);
    for (const Lanes* panel = first; panel <= last; ++panel) {
        pieces.clear();
        for (Index lane = 0; lane < panel->count; lane += pieces.back().count) {
            const Index column = panel->first + lane;
            pieces.push_back({lane, std::min(panel->count - lane, met.run() - column % met.run()), met.column(column)});
        }
        T* const to = filled + (panel->first - first->first) * (end - begin);
        for (Index pixel = begin, stop; pixel < end; pixel = stop) {
            stop = end_of_row(pixel, end, met.row());
            const T* const place = met.data(task.group) + from[static_cast<std::size_t>(pixel - begin)];
            kernels_.gather(to + (pixel - begin) * panel->width, panel->width, place, met.step(), 1, stop - pixel, pieces.data(),
                            static_cast<Index>(pieces.size()));
        }
    }
    return filled;
}

// Where the pixels begin..end of some channels lie, each channel's as neighbours.
template <class T>
void OfWeight<T>::find(const T** in, const Met<T>& met, const Rows& rows, Index channel, Index tile, Index begin,
                       Index end) const {
    thread_local Buffer<T> room;
    thread_local std::vector<Index> from;
    const T* const first = rows.x.data + channel * rows.x.strides[1];
    const Index pitch = pixels + kernels_.lanes;
    T* const brought = rows.in_place ? nullptr : room.grow(kernels_.rows * pitch);
    for (Index pixel = begin, stop; pixel < end; pixel = stop) {
        stop = end_of_row(pixel, end, rows.even);
        met.places(rows.steps, pixel, pixel + 1, from);
        if (rows.in_place) break;
        const Piece piece{pixel - begin, stop - pixel, 0};
        kernels_.gather(brought, pitch, first + from.front(), rows.x.strides[1], rows.steps.back(), tile, &piece, 1);
    }
    for (Index r = 0; r < tile; ++r) in[r] = brought ? brought + r * pitch : first + from.front() + r * rows.x.strides[1];
}

template <class T>
void OfWeight<T>::multiply(const Met<T>& met, const Rows& rows, const Task& task, Index begin, Index end, bool begins) {
    const T* const filled = panels(met, task, begin, end);
    const Index inputs = task.last_input - task.first_input, tiles = ceil_div(inputs, kernels_.rows), number = 0;
    const Index lanes = kernels_.lanes, before = layer_.in_channels * task.group + task.first_input, depth_now = end - begin;
    for (Index t = 0; t < tiles; ++t) {
        const Index channel = before + part(inputs, t, tiles), tile = before + part(inputs, t + 1, tiles) - channel;
        const T* in[max_rows];
        T* out[max_rows];
        find(in, met, rows, channel, tile, begin, end);
        const T* w = filled;
        for (Index p = task.first_panel; p < task.last_panel; ++p) {
            const Lanes& panel = panels_[static_cast<std::size_t>(p)];
            for (Index r = 0; r < tile; ++r)
                out[r] = sums_.data() + (task.portion * channels_ + channel + r) * columns_ + panel.first;
            kernels_.cells[tile - 1][panel.vectors(lanes) - 1](out, panel.behind(lanes), in, &number, 1, depth_now, 0, depth_now, w,
                                                               begins ? zeros_.data() : nullptr);
            w += depth_now * panel.width;
        }
    }
}

template <class T>
void OfWeight<T>::write(T* result, bool taps_first) {
    const Index kernel = layer_.taps();
    parallel(channels_, static_cast<double>(portions_ * channels_ * columns_), [&](Index channel) {
        T* const all = sums_.data() + channel * columns_;
        for (Index portion = 1; portion < portions_; ++portion)
            for (Index column = 0; column < columns_; ++column) all[column] += all[portion * channels_ * columns_ + column];
        const Piece piece{0, kernel, 0};
        if (taps_first || kernel == 1 || layer_.out_channels == 1)
            std::copy_n(all, columns_, result + channel * columns_);
        else
            kernels_.gather(result + channel * columns_, kernel, all, 1, layer_.out_channels, layer_.out_channels, &piece, 1);
    });
}

template class OfWeight<float>;
template class OfWeight<double>;

}  // namespace tconv
