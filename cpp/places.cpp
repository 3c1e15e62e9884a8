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
    Index step = walk.pixel;
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

void fill_evenly(Index* to, Index count, Index first, Index step) {
    for (Index k = 0; k < count; ++k) to[k] = first + k * step;
}

// The cell of that number, and its image.
Index find(std::vector<Index>& cell, const Walk& walk, const Cells& cells, Index number) {
    Index rest = walk.images_first ? number / walk.images : number % cells.total;
    for (std::size_t a = cell.size(); a-- > 0; rest /= cells.count[a]) cell[a] = cells.first[a] + rest % cells.count[a];
    return walk.images_first ? number % walk.images : number / cells.total;
}

// How many cells follow from there to the end of a row, or of all images.
Index left_in_row(const Walk& walk, const Cells& cells, Index image, const std::vector<Index>& cell) {
    return walk.images_first ? walk.images - image : cells.first.back() + cells.count.back() - cell.back();
}

}  // namespace

void Places::locate(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells,
                    Index begin, Index end, Index tile_rows) {
    locate_outputs(walk, axes, group, cells, begin, end);
    locate_inputs(walk, group.taps.front(), cells, begin, end, tile_rows);  // all phases of a group read the same
    leave_out_unused(ssize(group.taps.front()), end - begin, tile_rows);
}

void Places::locate_outputs(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells,
                            Index begin, Index end) {
    const std::size_t last = axes.size() - 1;
    const Index y_step = walk.images_first ? walk.y_strides[0] : 0, o_step = walk.images_first ? 0 : axes[last].stride;
    const Index out = walk.out_size[last], first_step = y_step + o_step * walk.y_strides[last + 2], phases = group.phases();
    y.resize(static_cast<std::size_t>(end - begin));
    o.resize(static_cast<std::size_t>(end - begin));
    first.resize(walk.rounds ? static_cast<std::size_t>(end - begin) : 0);
    partial.clear();
    std::vector<Index> cell(last + 1);
    for (Index number = begin; number < end;) {
        const Index image = find(cell, walk, cells, number), left = left_in_row(walk, cells, image, cell);
        const Index at = number - begin, run = std::min(left, end - number);
        Index row = image * walk.y_strides[0];
        for (std::size_t a = 0; a < last; ++a)
            row += (axes[a].stride * cell[a] + group.residue[a] - axes[a].crop_lo) * walk.y_strides[a + 2];
        const Index o_first = axes[last].stride * cell[last] + group.residue[last] - axes[last].crop_lo;
        fill_evenly(y.data() + at, run, row, y_step);
        fill_evenly(o.data() + at, run, o_first, o_step);
        number += run;
        if (!walk.rounds) continue;
        // The cells of which all phases lie in the window are neighbours; before and behind them are those of which some do.
        const auto is_whole = [&](Index k) { return o_first + k * o_step >= 0 && o_first + k * o_step + phases <= out; };
        Index low = 0, high = run;
        while (low < high && !is_whole(low)) ++low;
        while (low < high && !is_whole(high - 1)) --high;
        const auto leave_out = [&](Index from, Index until) {
            for (Index k = from; k < until; ++k) {
                first[static_cast<std::size_t>(at + k)] = nothing;
                if (o_first + k * o_step + phases > 0 && o_first + k * o_step < out) partial.push_back(at + k);
            }
        };
        leave_out(0, low);
        fill_evenly(first.data() + at + low, high - low, row + o_first * walk.y_strides[last + 2] + low * first_step, first_step);
        leave_out(high, run);
    }
}

void Places::locate_inputs(const Walk& walk, const std::vector<Tap>& taps, const Cells& cells, Index begin, Index end,
                           Index tile_rows) {
    const std::size_t last = walk.in_size.size() - 1;
    const auto count = static_cast<Index>(taps.size()), total = end - begin;
    const std::vector<Index> steps = steps_of(walk);
    const Index step = walk.images_first ? steps[0] : steps[last + 1];
    inputs.resize(static_cast<std::size_t>(count * total));
    lowest = INT64_MAX;
    highest = 0;
    met.assign(static_cast<std::size_t>(ceil_div(total, tile_rows) * count), false);
    std::vector<Index> cell(last + 1);
    for (Index number = begin; number < end;) {
        const Index image = find(cell, walk, cells, number);
        Index left = left_in_row(walk, cells, image, cell);
        // With zeros around, the rows of cells are as long as those of pixels, and so the next row goes on evenly.
        if (walk.padded && last > 0)
            left += (cells.first[last - 1] + cells.count[last - 1] - 1 - cell[last - 1]) * cells.count[last];
        const Index at = number - begin, run = std::min(left, end - number);
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
                Index* const to = inputs.data() + count * tile + t * rows + at - tile;
                const Index from = std::clamp(low, k, until), behind = std::clamp(high, from, until);
                if (from < behind) met[static_cast<std::size_t>(tile / tile_rows * count + t)] = true;
                std::fill(to + k, to + from, nothing);
                fill_evenly(to + from, behind - from, reach.from + from * step, step);
                std::fill(to + behind, to + until, nothing);
                k = until;
            }
        }
        number += run;
    }
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
