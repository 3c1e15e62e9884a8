// Of the way of the pixels: which sums share tiles, because they read the same inputs.
#pragma once
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "../phases.hpp"
#include "../problem.hpp"
#include "../tuning.hpp"

namespace tconv {

struct PixelSet {  // sums of a cell and some of their taps, which read the same inputs
    std::vector<Index> sums;  // phases of the last axis, or its taps, which are joined in the end
    std::vector<std::vector<Index>> shifts;   // of the taps
    std::vector<std::vector<Index>> weights;  // of each sum: the taps' flat indices in the kernel
    bool begins;                              // no set before it has these sums: they begin with the bias
};

struct Join {  // a sum that is added to those of a phase, from so many lanes further on
    Index phase, sum, distance;
};

inline std::vector<Index> shift_of(const Tap& tap) {
    std::vector<Index> shift;
    for (const Index offset : tap.offset) shift.push_back(-offset);
    return shift;
}

// Whether so few sums share a tile that loading inputs takes as long as multiplying them. Then each tap along the last axis
// has sums of its own, as inputs for all of them are the same; they are joined when those of a tile are complete.
inline bool fills_tiles_apart(const Form& layer, Index lanes) {
    const Axis& last = layer.axes.back();
    if (layer.out_channels * last.stride > tuning::pixels::most_apart || last.kernel <= last.stride) return false;
    return (last.kernel - 1) * last.dilation / last.stride < lanes &&
           std::none_of(layer.axes.begin(), layer.axes.end(), has_holes);
}

// All taps of phases that read the same inputs.
inline std::vector<PixelSet> whole_sets(const PhaseGroup& group) {
    std::vector<PixelSet> sets;
    for (Index phase = 0; phase < group.phases(); ++phase) {
        PixelSet own{{phase}, {}, {{}}, true};
        for (const Tap& tap : group.taps[static_cast<std::size_t>(phase)]) {
            own.shifts.push_back(shift_of(tap));
            own.weights.front().push_back(tap.weight);
        }
        const auto alike = [&](const PixelSet& set) { return set.shifts == own.shifts; };
        const auto set = std::find_if(sets.begin(), sets.end(), alike);
        if (set == sets.end()) {
            sets.push_back(std::move(own));
        } else {
            set->sums.push_back(phase);
            set->weights.push_back(std::move(own.weights.front()));
        }
    }
    return sets;
}

// The taps at which just the same phases read: more of them share tiles, which is worth while where they are small,
// and some get their sums from several sets.
inline std::vector<PixelSet> shared_sets(const PhaseGroup& group) {
    std::map<std::vector<Index>, std::map<Index, Index>> readers;  // of each shift: phases and their weights
    for (Index phase = 0; phase < group.phases(); ++phase)
        for (const Tap& tap : group.taps[static_cast<std::size_t>(phase)]) readers[shift_of(tap)][phase] = tap.weight;
    std::vector<PixelSet> sets;
    for (const auto& [shift, weights] : readers) {
        std::vector<Index> phases;
        for (const auto& [phase, weight] : weights) phases.push_back(phase);
        auto set = std::find_if(sets.begin(), sets.end(), [&](const PixelSet& known) { return known.sums == phases; });
        if (set == sets.end())
            set = sets.insert(set, {phases, {}, std::vector<std::vector<Index>>(phases.size()), false});
        set->shifts.push_back(shift);
        for (std::size_t i = 0; i < phases.size(); ++i) set->weights[i].push_back(weights.at(phases[i]));
    }
    const auto more = [](const PixelSet& a, const PixelSet& b) { return a.sums.size() > b.sums.size(); };
    std::stable_sort(sets.begin(), sets.end(), more);
    if (sets.empty() || static_cast<Index>(sets.front().sums.size()) < group.phases()) {
        std::vector<Index> all(static_cast<std::size_t>(group.phases()));  // they begin with the bias alone
        std::iota(all.begin(), all.end(), Index{0});
        sets.insert(sets.begin(), {all, {}, std::vector<std::vector<Index>>(all.size()), true});
    }
    sets.front().begins = true;
    return sets;
}

// Of every phase: its taps along the last axis.
inline std::vector<Join> joins(const PhaseGroup& group) {
    std::vector<Join> joins;
    Index farthest = INT64_MIN;
    for (const auto& taps : group.taps)
        for (const Tap& tap : taps) farthest = std::max(farthest, tap.offset.back());
    for (Index phase = 0; phase < group.phases(); ++phase) {
        std::set<Index> distances;
        for (const Tap& tap : group.taps[static_cast<std::size_t>(phase)]) distances.insert(farthest - tap.offset.back());
        for (const Index distance : distances) joins.push_back({phase, static_cast<Index>(joins.size()), distance});
    }
    return joins;
}

// All taps along the last axis, each a sum of its own over the taps along the others, which read the same inputs for all.
inline PixelSet apart_set(const PhaseGroup& group) {
    const std::vector<Join> all = joins(group);
    std::map<std::vector<Index>, std::vector<Index>> weights;  // of each shift, for every sum
    Index first = INT64_MAX;
    for (Index phase = 0; phase < group.phases(); ++phase)
        for (const Tap& tap : group.taps[static_cast<std::size_t>(phase)]) first = std::min(first, -tap.offset.back());
    for (const Join& join : all)
        for (const Tap& tap : group.taps[static_cast<std::size_t>(join.phase)]) {
            if (-tap.offset.back() - first != join.distance) continue;
            std::vector<Index> shift = shift_of(tap);
            shift.back() = first;
            weights[shift].push_back(tap.weight);
        }
    PixelSet set{{}, {}, std::vector<std::vector<Index>>(all.size()), true};
    for (const Join& join : all) set.sums.push_back(join.sum);
    for (const auto& [shift, own] : weights) {
        set.shifts.push_back(shift);
        for (std::size_t sum = 0; sum < own.size(); ++sum) set.weights[sum].push_back(own[sum]);
    }
    return set;
}

}  // namespace tconv
