// One input and one output channel per group, in arrays whose channels come last in memory: channels are the lanes.
#pragma once
#include <algorithm>
#include <vector>

#include "../activation.hpp"
#include "../axis_taps.hpp"
#include "../packing.hpp"
#include "../problem.hpp"
#include "../rows.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "swaths.hpp"
#include "way.hpp"

namespace tconv {

template <class S, class E>
class DepthwisePixels final : public Program<S> {
    using T = Sum<S>;
    using W = TapWeight<S, E>;

   public:
    DepthwisePixels(const Form& layer, const Kernels<S, E>& kernels)
        : layer_(layer), kernels_(kernels), columns_(layer.axes.back()) {}

    static bool fits(const Query<S>& query) {
        const View<const S>& x = query.x;
        return query.form.in_channels == 1 && query.form.out_channels == 1 && x.shape[1] > 1 && x.strides[1] == 1 &&
               query.y.strides[1] == 1;
    }

    // Sums that wait to be rounded, where an activation comes before.
    Index workspace_bytes(const View<const S>&, const View<S>& y) const override {
        return is_own_sum<S> ? 0 : most_pixels * columns_.axis.stride * y.shape[1] * static_cast<Index>(sizeof(T));
    }

    Index packed_bytes() const override { return layer_.groups * layer_.taps() * static_cast<Index>(sizeof(W)); }

    // [tap][channel]
    Packed pack(const Constants<T>&, const S* weights) const override {
        const Index taps = layer_.taps(), channels = layer_.groups;
        Packed packed = Packed::of<W, T>(channels * taps, 0);
        W* const to = packed.weight<W>();
        for (Index c = 0; c < channels; ++c)
            for (Index tap = 0; tap < taps; ++tap)
                if constexpr (std::is_same_v<W, S>)
                    to[tap * channels + c] = weights[c * taps + tap];
                else
                    to[tap * channels + c] = widened(weights[c * taps + tap]);
        return packed;
    }

    bool run(const Constants<T>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        run_pixels({layer, packed.weight<W>(), x, y}, multiplications);
        return true;
    }

   private:
    static constexpr Index most_pixels = tuning::depthwise::most_pixels;

    struct Call {
        const Constants<T>& layer;
        const W* weight;
        const View<const S>& x;
        const View<S>& y;
    };

    void run_pixels(const Call& call, double multiplications) const {
        const View<S>& y = call.y;
        Index rows = 1;
        for (std::size_t a = 2; a + 1 < y.shape.size(); ++a) rows *= y.shape[a];
        const Index chunk = 8 * most_pixels, chunks = ceil_div(columns_.cells(y.shape.back()), chunk);
        parallel(y.shape[0] * rows * chunks, multiplications, [&](Index task) {
            const Index first = task % chunks * chunk;
            if (is_own_sum<S> || call.layer.activation == Activation::none)
                pixels<S>(call, task / chunks / rows, task / chunks % rows, first, first + chunk);
            else
                pixels<T>(call, task / chunks / rows, task / chunks % rows, first, first + chunk);
            if (nontemporal(call)) kernels_.fence();
        });
    }

    // The cells first..last-1 of an output row; sums that wait to be rounded are computed beside it, some at a time.
    template <class O>
    void pixels(const Call& call, Index n, Index number, Index first, Index last) const {
        constexpr bool waits = !std::is_same_v<O, S>;
        const View<const S>& x = call.x;
        const View<S>& y = call.y;
        const Index stride = columns_.axis.stride, out = y.shape.back(), channels = y.shape[1], step = y.strides.back();
        Index y_offset = 0;
        const auto rows = row_sources(layer_.axes, x, y, number, y_offset);
        S* row = y.at(n, 0) + y_offset;
        const Index to_step = waits ? channels : step;
        O* sums;
        if constexpr (waits)
            sums = room_for_sums<T>(most_pixels * stride * channels);
        else
            sums = row;
        const auto finish = [&](O* from, Index begin, Index count) {
            const bool packed = to_step == channels;  // then all are one run
            if constexpr (std::is_same_v<O, T>)
                for (Index o = 0; o < (packed ? 1 : count); ++o)
                    activate(kernels_, call.layer, from + o * to_step, packed ? count * channels : channels, 1);
            if constexpr (waits)
                for (Index o = 0; o < (step == channels ? 1 : count); ++o)
                    kernels_.put(row + (begin + o) * step, from + o * channels, step == channels ? count * channels : channels);
        };
        for (Index cell = first; cell < std::min(last, columns_.cells(out)); cell += most_pixels) {
            O* const to = waits ? sums : sums + cell * stride * step;
            auto tap = columns_.taps.begin();
            for (Index phase = 0; phase < std::min(stride, out); ++phase) {
                const auto begin = tap;
                while (tap != columns_.taps.end() && tap->phase == phase) ++tap;
                const Index end = std::min({cell + most_pixels, last, ceil_div(out - phase, stride)});
                blend_phase(call, to + phase * to_step, stride * to_step, x.at(n, 0), rows, {begin, tap}, cell, end);
            }
            if (waits) finish(to, cell * stride, std::min({(cell + most_pixels) * stride, last * stride, out}) - cell * stride);
        }
        if (!waits) finish(sums + first * stride * step, first * stride, std::min(last * stride, out) - first * stride);
    }

    using TapRange = std::pair<std::vector<AxisTap>::const_iterator, std::vector<AxisTap>::const_iterator>;

    // Cells with the same taps at a time: those that have an input there.
    template <class O>
    void blend_phase(const Call& call, O* to, Index to_cell, const S* image, const std::vector<RowPair>& rows,
                     const TapRange& taps, Index cell, Index end) const {
        thread_local std::vector<Source> sources;
        const View<const S>& x = call.x;
        const Index step = x.strides.back(), channels = call.y.shape[1];
        for (Index until = end; cell < end; to += (until - cell) * to_cell, cell = until, until = end) {
            sources.clear();
            for (auto tap = taps.first; tap != taps.second; ++tap) {
                const Index i = cell + tap->shift, left = i < 0 ? -i : x.shape.back() - i;
                if (left > 0) until = std::min(until, cell + left);
                if (i < 0 || left <= 0) continue;
                for (const RowPair& pair : rows)
                    sources.push_back({pair.x_offset + i * step, (pair.tap * columns_.axis.kernel + tap->k) * channels});
            }
            kernel_for(to, call)(to, to_cell, image, step, call.weight, call.layer.bias, sources.data(), ssize(sources), until - cell, channels);
        }
    }

    static bool nontemporal(const Call& call) {
        const bool in_place = is_own_sum<S> && call.layer.activation == Activation::none;
        return in_place && exceeds(call.y, tuning::depthwise::nontemporal_bytes);
    }

    template <class O>
    auto kernel_for(O*, const Call& call) const {
        if constexpr (!std::is_same_v<O, T>)
            return kernels_.blend_stored;
        else if constexpr (is_own_sum<S>)
            return nontemporal(call) ? kernels_.blend_stored : kernels_.blend;
        else
            return kernels_.blend;
    }

    const Form layer_;
    const Kernels<S, E>& kernels_;
    const AxisTaps columns_;
};

}  // namespace tconv
