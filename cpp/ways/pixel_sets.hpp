// Of the way of the pixels: which phases of the last axis share tiles, because they read the same inputs.
#pragma once
#include <algorithm>
#include <map>
#include <numeric>

#include "../phases.hpp"

namespace tconv {

struct PixelSet {  // phases of the last axis and some of their taps, which read the same inputs
    std::vector<Index> phases;
    std::vector<std::vector<Index>> shifts;   // of the taps
    std::vector<std::vector<Index>> weights;  // of each phase: the taps' flat indices in the kernel
    bool begins;                              // no set before it has these phases: its sums begin with the bias
};

inline std::vector<Index> shift_of(const Tap& tap) {
    std::vector<Index> shift;
    for (const Index offset : tap.offset) shift.push_back(-offset);
    return shift;
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
            set->phases.push_back(phase);
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
        auto set = std::find_if(sets.begin(), sets.end(), [&](const PixelSet& known) { return known.phases == phases; });
        if (set == sets.end())
            set = sets.insert(set, {phases, {}, std::vector<std::vector<Index>>(phases.size()), false});
        set->shifts.push_back(shift);
        for (std::size_t i = 0; i < phases.size(); ++i) set->weights[i].push_back(weights.at(phases[i]));
    }
    const auto more = [](const PixelSet& a, const PixelSet& b) { return a.phases.size() > b.phases.size(); };
    std::stable_sort(sets.begin(), sets.end(), more);
    if (sets.empty() || static_cast<Index>(sets.front().phases.size()) < group.phases()) {
        std::vector<Index> all(static_cast<std::size_t>(group.phases()));  // they begin with the bias alone
        std::iota(all.begin(), all.end(), Index{0});
        sets.insert(sets.begin(), {all, {}, std::vector<std::vector<Index>>(all.size()), true});
    }
    sets.front().begins = true;
    return sets;
}

}  // namespace tconv
