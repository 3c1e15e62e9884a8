// The weights of Winograd's way: in which order tiles read them, and what is kept of them between calls.
#pragma once
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "../backend.hpp"
#include "../lent.hpp"
#include "../packing.hpp"
#include "../threads.hpp"
#include "way.hpp"
#include "winograd_side.hpp"

namespace tconv {

// Transformed weights are of type W. For large tiles there are four times as many as weights of 3x3 taps. Those of half
// precision are packed all the same. Others would take more memory than a model's weights may, and to transform them is
// little work beside the products of many tiles: so the pack has the taps alone, and every call transforms them anew.
template <class S, class W, int points>
class WinogradWeights {
    using T = Sum<S>;
    using Side = WinogradSide<points>;

   public:
    static constexpr bool anew = is_own_sum<S> && points == large_tile;

    struct Stretch {  // vectors of a swath that are channels of one phase
        Index vector, count, channel;
        std::array<Index, 2> phase;
    };

    struct Swath {
        Index vectors, first;  // how many, and which of all
        Index weight;          // where they begin, of channel group 0
        std::vector<Stretch> stretches;
    };

    // `before` are the taps of the axes before the last two.
    WinogradWeights(const Form& layer, const Kernels<S>& kernels, const std::array<Side, 2>& axes, Index before)
        : kernels_(kernels),
          axes_(axes),
          before_(before),
          groups_(layer.groups),
          channels_(layer.in_channels),
          out_vectors_(ceil_div(layer.out_channels, kernels.lanes)) {
        lay_out();
    }

    const std::vector<Swath>& swaths() const { return swaths_; }
    Index of_group() const { return weights_; }
    Index point_step(const Swath& swath) const { return swath.vectors * kernels_.lanes * channels_ * before_; }

    Index packed_bytes() const {
        return (anew ? taps_at(channels_, swaths_.front(), 0, 0) : weights_) * groups_ * static_cast<Index>(sizeof(W));
    }
    Index workspace_bytes() const { return anew ? weights_ * groups_ * static_cast<Index>(sizeof(W)) : 0; }

    // Behind the biases lies the scale of the products, by which weights were divided: a power of two, so that none is too
    // large or too small for its type.
    Packed pack(const Constants<T>& layer, const S* weights) const {
        const Index biases = out_vectors_ * kernels_.lanes;
        Packed packed(packed_bytes(), (biases * groups_ + 1) * static_cast<Index>(sizeof(T)));
        const double scale = std::is_same_v<W, T> ? 1 : scale_of(weights, groups_ * channels_ * layer.out_channels * layer.taps());
        T* const bias = packed.bias<T>();
        bias[biases * groups_] = static_cast<T>(scale);
        for (Index g = 0; g < groups_; ++g)
            for (Index c = 0; c < biases; ++c)
                bias[g * biases + c] = c < layer.out_channels ? layer.bias_of(g * layer.out_channels + c) : T(0);
        parallel(channels_ * groups_, static_cast<double>(weights_ * groups_), [&](Index task) {
            const S* of_channel = weights + task * layer.out_channels * layer.taps();
            each_vector([&](const Swath& swath, Index vector, Index channel, const std::array<Index, 2>& phase) {
                for (Index lane = 0; lane < kernels_.lanes; ++lane) {
                    const S* taps = channel + lane < layer.out_channels ? of_channel + (channel + lane) * layer.taps() : nullptr;
                    for (Index b = 0; b < before_; ++b) {
                        const S* kernel = taps ? taps + b * axes_[0].kernel * axes_[1].kernel : nullptr;
                        if constexpr (anew)
                            put_taps(packed.weight<W>() + taps_at(task, swath, vector, b) + lane, kernel, phase);
                        else
                            put_points(packed.weight<W>() + points_at(task, swath, vector, b) + lane, point_step(swath), kernel,
                                       phase, 1 / scale);
                    }
                }
            });
        });
        return packed;
    }

    // Weights as they are multiplied, for one call; where they are made for it, in memory that is lent to it.
    struct Transformed {
        Bytes room;
        const W* first;

        ~Transformed() {
            if (room.data()) give_back(std::move(room));
        }
    };

    Transformed ready(const Packed& packed) const {
        const W* const kept = packed.weight<W>();
        if constexpr (!anew) {
            return {{}, kept};
        } else {
            Bytes room = borrow(std::max(workspace_bytes(), worth_lending));
            W* const to = reinterpret_cast<W*>(room.data());
            parallel(channels_ * groups_, static_cast<double>(weights_ * groups_), [&](Index task) {
                each_vector([&](const Swath& swath, Index vector, Index, const std::array<Index, 2>&) {
                    for (Index b = 0; b < before_; ++b)
                        kernels_.transform_taps(to + points_at(task, swath, vector, b), point_step(swath),
                                                kept + taps_at(task, swath, vector, b));
                });
            });
            return {std::move(room), to};
        }
    }

   private:
    // Each phase begins with a vector of its own.
    void lay_out() {
        const Index vectors = out_vectors_ * axes_[0].stride * axes_[1].stride, most = kernels_.vectors[kernels_.rows - 1];
        const Index swaths = ceil_div(vectors, most);
        for (Index p = 0; p < swaths; ++p) {
            const Index begin = part(vectors, p, swaths), end = part(vectors, p + 1, swaths);
            swaths_.push_back({end - begin, begin, weights_, {}});
            weights_ += points * points * point_step(swaths_.back());
            for (Index v = begin; v < end; v += swaths_.back().stretches.back().count) {
                const Index phase = v / out_vectors_, channel = v % out_vectors_;
                const Index count = std::min(end - v, out_vectors_ - channel);
                swaths_.back().stretches.push_back({v - begin, count, channel * kernels_.lanes,
                                               {phase / axes_[1].stride, phase % axes_[1].stride}});
            }
        }
    }

    template <class Use>
    void each_vector(Use use) const {
        for (const Swath& swath : swaths_)
            for (const Stretch& stretch : swath.stretches)
                for (Index v = 0; v < stretch.count; ++v)
                    use(swath, stretch.vector + v, stretch.channel + v * kernels_.lanes, stretch.phase);
    }

    // Of point 0; the other points follow in steps. `task` is an input channel of any group.
    Index points_at(Index task, const Swath& swath, Index vector, Index before) const {
        const Index width = swath.vectors * kernels_.lanes, g = task / channels_, ci = task % channels_;
        return g * weights_ + swath.weight + (before * channels_ + ci) * width + vector * kernels_.lanes;
    }

    // Of tap 0, which meets the first of a cell's inputs; the nine follow each other.
    Index taps_at(Index task, const Swath& swath, Index vector, Index before) const {
        const Index all = swaths_.back().first + swaths_.back().vectors;
        return ((task * all + swath.first + vector) * before_ + before) * 9 * kernels_.lanes;
    }

    // Tap (i, j) of a phase; zero beyond the kernel and without one.
    double tap(const S* kernel, const std::array<Index, 2>& phase, Index i, Index j) const {
        const Index row = phase[0] + i * axes_[0].stride, column = phase[1] + j * axes_[1].stride;
        const bool is = kernel && row < axes_[0].kernel && column < axes_[1].kernel;
        return is ? static_cast<double>(widened(kernel[row * axes_[1].kernel + column])) : 0.0;
    }

    void put_taps(W* to, const S* kernel, const std::array<Index, 2>& phase) const {
        for (Index i = 3; i-- > 0;)
            for (Index j = 3; j-- > 0; to += kernels_.lanes) *to = static_cast<W>(tap(kernel, phase, i, j));
    }

    void put_points(W* to, Index step, const S* kernel, const std::array<Index, 2>& phase, double by) const {
        double rows[points][3] = {};
        for (Index j = 0; j < axes_[1].taps; ++j) {
            const auto column = axes_[0].transformed([&](Index i) { return tap(kernel, phase, i, j); });
            for (std::size_t point = 0; point < points; ++point) rows[point][j] = column[point];
        }
        for (const auto& row : rows)
            for (const double value : axes_[1].transformed([&](Index j) { return row[j]; }))
                *to = rounded<W>(value * by), to += step;
    }

    const Kernels<S>& kernels_;
    const std::array<Side, 2> axes_;
    const Index before_, groups_, channels_, out_vectors_;
    std::vector<Swath> swaths_;
    Index weights_ = 0;  // transformed, of a channel group
};

}  // namespace tconv
