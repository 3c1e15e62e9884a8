// What is computed for a cell: groups of phases that read the same inputs, their swaths, and the weights in this order.
#pragma once
#include <algorithm>
#include <vector>

#include "../packing.hpp"
#include "../phases.hpp"
#include "swaths.hpp"

namespace tconv {

class CellGroups {
   public:
    struct Group {
        PhaseGroup phases;
        std::vector<Swath> swaths;
    };

    // `depth` elements hold the channels of a group.
    template <class S, class E>
    CellGroups(const Form& layer, const Kernels<S, E>& kernels, Grouping grouping, LaneOrder lanes, Index depth)
        : tile_rows(kernels.rows), channels_(layer.out_channels), taps_(layer.taps()), lanes_(lanes) {
        for (PhaseGroup& phases : group_phases(layer.axes, grouping)) all.push_back({std::move(phases), {}});
        Index most = kernels.vectors[kernels.rows - 1];
        const double narrow = filled_up(most, kernels.lanes), wide = filled_up(most + 1, kernels.lanes);
        if (kernels.wide_rows > 0 && narrow > tuning::cells::worth_widening * wide) {
            tile_rows = kernels.wide_rows;
            ++most;
        }
        for (Group& group : all) lay_out(group, most, kernels.lanes, depth, kernels.deep > 1);
        if (kernels.deep > 1) order.behind = kernels.deep * most * kernels.lanes;
    }

    // The swaths first..last of a group, `together` of them as one.
    std::vector<Swath> joined(const Group& group, Index first, Index last, Index together) const {
        std::vector<Swath> found;
        for (; first < last; first += together) {
            Swath swath = group.swaths[static_cast<std::size_t>(first)];
            for (Index next = first + 1; next < std::min(first + together, last); ++next) {
                swath.count += group.swaths[static_cast<std::size_t>(next)].count;
                swath.vectors += group.swaths[static_cast<std::size_t>(next)].vectors;
            }
            swath.stretches = stretches_of(group, swath);
            found.push_back(std::move(swath));
        }
        return found;
    }

    std::vector<Group> all;
    PackOrder order;
    Index tile_rows;  // cells that are computed at a time

   private:
    // Vectors of all groups, if each swath had so many.
    double filled_up(Index most, Index vector) const {
        double vectors = 0;
        for (const Group& group : all)
            vectors += static_cast<double>(ceil_div(group.phases.phases() * channels_, most * vector) * most);
        return vectors;
    }

    Index phase_of(const Group& group, Index lane) const {
        return lanes_ == LaneOrder::channel_then_phase ? lane % group.phases.phases() : lane / channels_;
    }

    Index channel_of(const Group& group, Index lane) const {
        return lanes_ == LaneOrder::channel_then_phase ? lane / group.phases.phases() : lane % channels_;
    }

    // How the lanes of a group are divided into swaths of at most so many vectors, and what is packed for each.
    void lay_out(Group& group, Index most, Index vector, Index depth, bool in_tiles) {
        const Index lanes = group.phases.phases() * channels_;
        const Index vectors = ceil_div(lanes, vector), swaths = ceil_div(vectors, most);
        for (Index p = 0; p < swaths; ++p) {
            const Index from = part(vectors, p, swaths), to = part(vectors, p + 1, swaths);
            const Index first = from * vector, width = (to - from) * vector;
            group.swaths.push_back({first, std::min(first + width, lanes) - first, to - from, order.weights,
                                    static_cast<Index>(order.biases.size()), group.phases.phases(), {}});
            Swath& swath = group.swaths.back();
            swath.stretches = stretches_of(group, swath);
            for (std::size_t t = 0; t < group.phases.taps.front().size(); ++t) {
                // What is multiplied in tiles lies vector by vector, or a tile's rows would not follow one another.
                const Index together = in_tiles ? vector : width;
                for (Index begin = 0; begin < width; begin += together) {
                    Column column{order.weights + begin * depth, together, together, {}};
                    for (Index lane = first + begin; lane < std::min(first + begin + together, first + swath.count); ++lane) {
                        const Tap& tap = group.phases.taps[static_cast<std::size_t>(phase_of(group, lane))][t];
                        column.from.push_back(channel_of(group, lane) * taps_ + tap.weight);
                    }
                    order.columns.push_back(std::move(column));
                }
                order.weights += width * depth;
            }
            for (Index lane = first; lane < first + width; ++lane)
                order.biases.push_back(lane < lanes ? channel_of(group, lane) : PackOrder::none);
        }
    }

    std::vector<Stretch> stretches_of(const Group& group, const Swath& swath) const {
        std::vector<Stretch> stretches;
        for (Index lane = 0; lane < swath.count; lane += stretches.back().count) {
            const Index phase = phase_of(group, swath.first + lane), channel = channel_of(group, swath.first + lane);
            const Index left = lanes_ == LaneOrder::channel_then_phase ? group.phases.phases() - phase
                                                                       : channels_ - channel;
            stretches.push_back({lane, std::min(swath.count - lane, left), phase, channel});
        }
        return stretches;
    }

    const Index channels_, taps_;
    const LaneOrder lanes_;
};

}  // namespace tconv
