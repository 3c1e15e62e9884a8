#include "places.hpp"

#include <algorithm>

namespace tconv {
namespace {

// One tap, as the cells of a run read it: the k-th reads from + k*step, if low <= k < high.
struct Reach {
    Index from, low, high;
};

// Steps from pixel to pixel, the batch first.
std::vector<Index> steps_of(const Walk& walk) {
    const std::size_t dims = walk.in_size.size();
    std::vector<Index> steps{walk.x_strides[0]};
    steps.insert(steps.end(), walk.x_strides.begin() + 2, walk.x_strides.end());
    if (!walk.brings) return steps;
    Index step = 1;
    for (std::size_t a = dims; a-- > 0; step *= walk.grid[a]) steps[a + 1] = step;
    steps[0] = step;
    return steps;
}

// Of a run that begins at `cell`, along the last axis or from image to image.
Reach reach_of(const Tap& tap, const Walk& walk, const std::vector<Index>& steps, Index image,
               const std::vector<Index>& cell) {
    Reach reach{image * steps[0], 0, INT64_MAX};
    for (std::size_t a = 0; a < cell.size(); ++a) {
        const Index i = cell[a] - tap.offset[a] + walk.before[a];
        reach.from += i * steps[a + 1];
        if (walk.padded) continue;
        if (a + 1 == cell.size() && !walk.images_first)
            reach.low = -i, reach.high = walk.in_size[a] - i;
        else if (i < 0 || i >= walk.in_size[a])
            return {0, 0, 0};
    }
    return reach;
}

}  // namespace

void Places::locate(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells,
                    Index begin, Index end, Index tile_rows) {
    const auto& taps = group.taps.front();  // all phases of a group read the same
    const std::size_t last = axes.size() - 1;
    const auto count = static_cast<Index>(taps.size()), total = end - begin;
    const std::vector<Index> steps = steps_of(walk);
    inputs.resize(static_cast<std::size_t>(count * total));
    y.resize(static_cast<std::size_t>(total));
    o.resize(static_cast<std::size_t>(total));
    const Index step = walk.images_first ? steps[0] : steps[last + 1];
    const Index y_step = walk.images_first ? walk.y_strides[0] : 0, o_step = walk.images_first ? 0 : axes[last].stride;
    const Index out = walk.out_size[last], out_step = walk.y_strides[last + 2];
    first.resize(walk.rounds ? static_cast<std::size_t>(total) : 0);
    partial.clear();
    lowest = INT64_MAX;
    highest = 0;
    met.assign(static_cast<std::size_t>(ceil_div(total, tile_rows) * count), false);
    std::vector<Index> cell(last + 1);
    for (Index number = begin; number < end;) {
        const Index image = walk.images_first ? number % walk.images : number / cells.total;
        Index rest = walk.images_first ? number / walk.images : number % cells.total;
        for (std::size_t a = last + 1; a-- > 0; rest /= cells.count[a]) cell[a] = cells.first[a] + rest % cells.count[a];
        const Index left = walk.images_first ? walk.images - image : cells.first[last] + cells.count[last] - cell[last];
        const Index at = number - begin, run = std::min(left, end - number);
        Index row = image * walk.y_strides[0];
        for (std::size_t a = 0; a < last; ++a)
            row += (axes[a].stride * cell[a] + group.residue[a] - axes[a].crop_lo) * walk.y_strides[a + 2];
        for (Index k = 0; k < run; ++k) {
            y[static_cast<std::size_t>(at + k)] = row + k * y_step;
            o[static_cast<std::size_t>(at + k)] =
                axes[last].stride * cell[last] + group.residue[last] - axes[last].crop_lo + k * o_step;
        }
        for (Index k = at; walk.rounds && k < at + run; ++k) {
            const Index low = o[static_cast<std::size_t>(k)], high = low + group.phases();
            const bool whole = low >= 0 && high <= out;
            first[static_cast<std::size_t>(k)] = whole ? y[static_cast<std::size_t>(k)] + low * out_step : nothing;
            if (!whole && high > 0 && low < out) partial.push_back(k);
        }
        for (Index t = 0; t < count; ++t) {
            const Reach reach = reach_of(taps[static_cast<std::size_t>(t)], walk, steps, image, cell);
            const Index low = std::clamp<Index>(reach.low, 0, run), high = std::clamp<Index>(reach.high, low, run);
            if (low < high) {
                const auto ends = std::minmax({reach.from + low * step, reach.from + (high - 1) * step});
                lowest = std::min(lowest, ends.first);
                highest = std::max(highest, ends.second);
            }
            for (Index k = 0, tile = at / tile_rows * tile_rows; k < run; tile += tile_rows) {
                const Index rows = std::min(tile_rows, total - tile), until = std::min(run, tile + rows - at);
                Index* to = inputs.data() + count * tile + t * rows + at + k - tile;
                if (low < until && high > k) met[static_cast<std::size_t>(tile / tile_rows * count + t)] = true;
                for (; k < std::min(low, until); ++k) *to++ = nothing;
                for (; k < std::min(high, until); ++k) *to++ = reach.from + k * step;
                for (; k < until; ++k) *to++ = nothing;
            }
        }
        number += run;
    }
    leave_out_unused(count, total, tile_rows);
}

void Places::leave_out_unused(Index taps, Index total, Index tile_rows) {
    number.clear();
    used.clear();
    auto to = inputs.begin();
    auto is_met = met.begin();
    for (Index tile = 0; tile < total; tile += tile_rows) {
        const Index rows = std::min(tile_rows, total - tile);
        used.push_back(0);
        for (Index t = 0; t < taps; ++t, ++is_met) {
            if (!*is_met) continue;
            const auto from = inputs.begin() + taps * tile + t * rows;
            number.push_back(t);
            ++used.back();
            to = to == from ? from + rows : std::copy(from, from + rows, to);
        }
    }
    inputs.erase(to, inputs.end());
}

}  // namespace tconv
