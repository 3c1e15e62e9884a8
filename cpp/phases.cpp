#include "phases.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace tconv {
namespace {

struct AxisTap {
    Index offset, k;
};
using AxisPhases = std::map<Index, std::vector<AxisTap>>;  // by residue; only those with taps

AxisPhases phases_of(const Axis& axis, Origin origin) {
    AxisPhases phases;
    for (Index k = 0; k < axis.kernel; ++k) {
        const Index reached = axis.dilation * k - (origin == Origin::output ? axis.crop_lo : 0);
        const Index offset = floor_div(reached, axis.stride);
        phases[reached - offset * axis.stride].push_back({offset, k});
    }
    return phases;
}

bool read_alike(const std::vector<AxisTap>& a, const std::vector<AxisTap>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const AxisTap& s, const AxisTap& t) { return s.offset == t.offset; });
}

// The residues of the last axis in runs of (first, count).
std::vector<std::pair<Index, Index>> runs(const Axis& axis, const AxisPhases& phases, Grouping grouping) {
    if (grouping == Grouping::all) return {{0, axis.stride}};
    std::vector<std::pair<Index, Index>> found;
    for (const auto& [residue, taps] : phases) {
        const bool joins = grouping == Grouping::alike && !found.empty() &&
                           found.back().first + found.back().second == residue &&
                           read_alike(phases.at(residue - 1), taps);
        if (joins)
            ++found.back().second;
        else
            found.push_back({residue, 1});
    }
    return found;
}

std::vector<Tap> joined(const std::vector<Tap>& outer, const std::vector<AxisTap>& last, Index kernel) {
    std::vector<Tap> taps;
    for (const Tap& tap : outer)
        for (const AxisTap& next : last) {
            Tap both{tap.offset, tap.weight * kernel + next.k};
            both.offset.push_back(next.offset);
            taps.push_back(std::move(both));
        }
    return taps;
}

}  // namespace

std::vector<Axis> counted_from(Origin origin, std::vector<Axis> axes) {
    if (origin == Origin::output)
        for (Axis& axis : axes) axis.crop_lo = 0;
    return axes;
}

std::vector<PhaseGroup> group_phases(const std::vector<Axis>& axes, Grouping grouping, Origin origin) {
    std::vector<std::pair<std::vector<Index>, std::vector<Tap>>> outer{{{}, {Tap{{}, 0}}}}, next;
    for (std::size_t a = 0; a + 1 < axes.size(); ++a) {
        next.clear();
        for (const auto& [residues, taps] : outer)
            for (const auto& [residue, more] : phases_of(axes[a], origin)) {
                auto longer = residues;
                longer.push_back(residue);
                next.emplace_back(std::move(longer), joined(taps, more, axes[a].kernel));
            }
        outer = next;
    }
    const Axis& last = axes.back();
    const AxisPhases phases = phases_of(last, origin);
    std::vector<PhaseGroup> groups;
    for (const auto& [residues, taps] : outer)
        for (const auto& [first, count] : runs(last, phases, grouping)) {
            PhaseGroup group{residues, {}};
            group.residue.push_back(first);
            for (Index residue = first; residue < first + count; ++residue) {
                const auto own = phases.find(residue);
                group.taps.push_back(own == phases.end() ? std::vector<Tap>{} : joined(taps, own->second, last.kernel));
            }
            groups.push_back(std::move(group));
        }
    return groups;
}

bool has_holes(const Axis& axis) {
    // Taps a common multiple of dilation and stride apart reach the same residue.
    return std::min(axis.kernel, axis.stride / std::gcd(axis.stride, axis.dilation)) < axis.stride;
}

Cells cells_of(const std::vector<Axis>& axes, const PhaseGroup& group, const std::vector<Index>& out_size) {
    Cells cells;
    for (std::size_t a = 0; a < axes.size(); ++a) {
        const Index lowest = group.residue[a], highest = lowest + (a + 1 == axes.size() ? group.phases() - 1 : 0);
        const Index first = ceil_div(axes[a].crop_lo - highest, axes[a].stride);
        const Index last = floor_div(out_size[a] - 1 + axes[a].crop_lo - lowest, axes[a].stride);
        cells.first.push_back(first);
        cells.count.push_back(std::max<Index>(0, last - first + 1));
        cells.total *= cells.count.back();
    }
    return cells;
}

}  // namespace tconv
