// Swaths of the way of the cells: lanes of a cell's outputs that are computed at a time, and how their sums are put in place.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "../activation.hpp"
#include "../places.hpp"
#include "../problem.hpp"
#include "lane_order.hpp"

namespace tconv {

struct Stretch {  // lanes of a swath whose outputs are neighbours
    Index lane, count, phase, channel;
};

struct Swath {
    Index first, count, vectors;  // lanes of the group's outputs of a cell
    Index weight, bias;           // where they begin, for channel group 0
    Index phases;                 // of its group
    std::vector<Stretch> stretches;
};

// Where the sums of a swath go, in the outputs of a call.
template <class S, class E>
class SwathOutputs {
    using T = Sum<S>;

   public:
    SwathOutputs(const Kernels<S, E>& kernels, const Constants<T>& layer, const Swath& swath, LaneOrder order, const View<S>& y,
                 S* out)
        : kernels_(kernels), layer_(layer), swath_(swath), order_(order), size_(y.shape.back()), channel_step_(y.strides[1]),
          step_(y.strides.back()), out_(out) {
        const Stretch &first = swath.stretches.front(), &last = swath.stretches.back();
        together_ = neighbours();
        const Index bytes = swath.count * static_cast<Index>(sizeof(S));
        nontemporal_ = together_ && bytes % line_bytes == 0 && exceeds(y, tuning::nontemporal_bytes);
        lowest_ = std::min(first.phase, last.phase);
        highest_ = last.phase;
        if (order == LaneOrder::channel_then_phase)
            for (const Stretch& stretch : swath.stretches) highest_ = std::max(highest_, stretch.phase + stretch.count - 1);
    }

    // Where the sums of the cells from..to are to be computed: in the outputs themselves if they are neighbours and lie inside,
    // else in `waiting`, `width` apart. Whether none waits.
    bool place(S** sums, const OutputRun& run, Index from, Index to, S* waiting, Index width) const {
        const auto [low, high] = together(run, from, to);
        S* y = low < high ? place_of(run, low) : nullptr;
        for (Index c = low; c < high; ++c, y += step_of(run)) sums[c - from] = y;
        const auto others = [&](Index begin, Index end) {
            bool all = true;
            for (Index c = begin; c < end; ++c) {
                const bool direct = lies_inside(run.o_of(c));
                sums[c - from] = direct ? place_of(run, c) : waiting + (c - from) * width;
                all = all && direct;
            }
            return all;
        };
        const bool before = others(from, low), behind = others(high, to);
        return before && behind;
    }

    // Whether they are written past the caches, and not in place.
    bool nontemporal() const { return nontemporal_; }

    // The sums of some rows of a tile of cells, `width` apart. For `run` see `each_run`.
    void put(const OutputRun*& run, Index cell, Index rows, T* sums, Index width) const {
        if (layer_.activation != Activation::none) activate(kernels_, layer_, sums, rows * width, 1);
        each_run(run, cell, cell + rows, [&](const OutputRun& own, Index from, Index to) {
            const auto [low, high] = nontemporal_ ? std::pair{to, to} : together(own, from, to);
            for (Index c = from; c < low; ++c) put_one(own, c, sums + (c - cell) * width);
            if (low < high)
                kernels_.put_rows(place_of(own, low), step_of(own), sums + (low - cell) * width, width, high - low, swath_.count);
            for (Index c = high; c < to; ++c) put_one(own, c, sums + (c - cell) * width);
        });
    }

    void put_one(const OutputRun& run, Index cell, const T* sums) const {
        const Index o = run.o_of(cell);
        S* const row = out_ + run.y_of(cell);
        if (lies_inside(o)) return (nontemporal_ ? kernels_.put_nontemporal : kernels_.put)(row + at(o), sums, swath_.count);
        const bool by_phase = order_ == LaneOrder::channel_then_phase;
        for (const Stretch& stretch : swath_.stretches) {
            const Index first = o + stretch.phase;
            // A stretch of phases is clipped to the window; a stretch of channels lies in it or not.
            const Index low = by_phase ? std::max<Index>(0, -first) : (first < 0 ? stretch.count : 0);
            const Index high = by_phase ? std::min(stretch.count, size_ - first) : (first >= size_ ? 0 : stretch.count);
            if (low >= high) continue;
            const Index walk = by_phase ? step_ : channel_step_;
            S* to = row + stretch.channel * channel_step_ + first * step_ + low * walk;
            const T* from = sums + stretch.lane + low;
            if (walk == 1) kernels_.put(to, from, high - low);
            for (Index j = 0; j < high - low && walk != 1; ++j) to[j * walk] = narrowed<S>(from[j]);
        }
    }

   private:
    // Of the cells from..to those whose outputs are neighbours, all of them in the window; `to` and `to` if there are none.
    std::pair<Index, Index> together(const OutputRun& run, Index from, Index to) const {
        const Index low = together_ ? std::clamp(run.low, from, to) : to, high = together_ ? std::clamp(run.high, low, to) : to;
        return low < high ? std::pair{low, high} : std::pair{to, to};
    }
    S* place_of(const OutputRun& run, Index cell) const { return out_ + run.y_of(cell) + at(run.o_of(cell)); }
    Index step_of(const OutputRun& run) const { return run.y_step + run.o_step * step_; }

    // Whether all lanes are neighbours in memory.
    bool neighbours() const {
        const bool one = swath_.stretches.size() == 1;
        if (order_ == LaneOrder::phase_then_channel)
            return channel_step_ == 1 && (one || step_ == layer_.out_channels);
        return step_ == 1 && (one || channel_step_ == swath_.phases);
    }

    bool lies_inside(Index o) const { return together_ && o + lowest_ >= 0 && o + highest_ < size_; }
    Index at(Index o) const {
        const Stretch& first = swath_.stretches.front();
        return first.channel * channel_step_ + (o + first.phase) * step_;
    }

    const Kernels<S, E>& kernels_;
    const Constants<T>& layer_;
    const Swath& swath_;
    LaneOrder order_;
    Index size_, channel_step_, step_;
    S* out_;
    bool nontemporal_, together_;
    Index lowest_, highest_;  // phases
};

}  // namespace tconv
