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

// Whether a run of one cell goes on where the one before it ends, as where rows have one; that one then holds both.
bool goes_on(OutputRun& run, const OutputRun& next) {
    if (next.end - next.begin > 1 || next.o != run.o) return false;
    const bool single = run.end - run.begin == 1;
    if (!single && (run.o_step != 0 || run.y_of(run.end) != next.y)) return false;
    if (single) run.y_step = next.y - run.y, run.o_step = 0;
    if (run.low < run.high) run.high = next.end;
    run.end = next.end;
    return true;
}

// Neighbouring cells, evenly spaced, and what each tap reads for them: `low` and `high` are no more than there are.
struct Run {
    Index begin, end;
    std::vector<Reach> reach;
};

Run run_from(Index number, Index end, const Walk& walk, const std::vector<Tap>& taps, const std::vector<Index>& steps,
             const Cells& cells) {
    const std::size_t last = walk.in_size.size() - 1;
    std::vector<Index> cell(last + 1);
    const Index image = find(cell, walk, cells, number);
    Index left = left_in_row(walk, cells, image, cell);
    // With zeros around, the rows of cells are as long as those of pixels, and so the next row goes on evenly.
    if (walk.padded && last > 0)
        left += (cells.first[last - 1] + cells.count[last - 1] - 1 - cell[last - 1]) * cells.count[last];
    Run run{number, std::min(number + left, end), {}};
    for (const Tap& tap : taps) {
        Reach reach = reach_of(tap, walk, steps, image, cell);
        reach.low = std::clamp<Index>(reach.low, 0, run.end - number);
        reach.high = std::clamp(reach.high, reach.low, run.end - number);
        run.reach.push_back(reach);
    }
    return run;
}

// What a tap reads for the cells of a run that are among begin..end, of which the first one is number 0.
inline Reach within(const Run& run, std::size_t tap, Index begin, Index end, Index step) {
    const Reach& reach = run.reach[tap];
    const Index first = std::max(run.begin, begin), last = std::min(run.end, end);
    const Index low = std::clamp(run.begin + reach.low, first, last), high = std::clamp(run.begin + reach.high, low, last);
    return {reach.from + (begin - run.begin) * step, low - begin, high - begin};
}

// Whether what a tap reads for the cells of a tile is evenly spaced: in one run, or in all of several that go on evenly.
bool are_a_span(const std::vector<Run>& runs, std::size_t tap, Index begin, Index end, Index step) {
    if (runs.size() == 1) return true;
    const Index first = within(runs.front(), tap, begin, end, step).from;
    return std::all_of(runs.begin(), runs.end(), [&](const Run& run) {
        const Reach reach = within(run, tap, begin, end, step);
        const Index cells = std::min(run.end, end) - std::max(run.begin, begin);
        return reach.from == first && reach.high - reach.low == cells;
    });
}

}  // namespace

void Places::locate(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells,
                    Index begin, Index end, Index tile_rows, bool in_spans) {
    locate_outputs(walk, axes, group, cells, begin, end);
    locate_inputs(walk, group.taps.front(), cells, begin, end, tile_rows, in_spans);  // all phases of a group read the same
}

void Places::locate_outputs(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells,
                            Index begin, Index end) {
    const std::size_t last = axes.size() - 1;
    const Index y_step = walk.images_first ? walk.y_strides[0] : 0, o_step = walk.images_first ? 0 : axes[last].stride;
    outputs.clear();
    std::vector<Index> cell(last + 1);
    for (Index number = begin; number < end;) {
        const Index image = find(cell, walk, cells, number), left = left_in_row(walk, cells, image, cell);
        OutputRun run{number - begin, std::min(number + left, end) - begin, image * walk.y_strides[0], 0, y_step, o_step, 0, 0};
        for (std::size_t a = 0; a < last; ++a)
            run.y += (axes[a].stride * cell[a] + group.residue[a] - axes[a].crop_lo) * walk.y_strides[a + 2];
        run.o = axes[last].stride * cell[last] + group.residue[last] - axes[last].crop_lo;
        const auto is_whole = [&](Index c) { return run.o_of(c) >= 0 && run.o_of(c) + group.phases() <= walk.out_size[last]; };
        run.low = run.begin, run.high = run.end;
        while (run.low < run.high && !is_whole(run.low)) ++run.low;
        while (run.low < run.high && !is_whole(run.high - 1)) --run.high;
        number = begin + run.end;
        if (outputs.empty() || !goes_on(outputs.back(), run)) outputs.push_back(run);
    }
}

void Places::locate_inputs(const Walk& walk, const std::vector<Tap>& taps, const Cells& cells, Index begin, Index end,
                           Index tile_rows, bool in_spans) {
    const std::vector<Index> steps = steps_of(walk);
    step = walk.images_first ? steps.front() : steps.back();
    lowest = INT64_MAX;
    highest = 0;
    number.clear();
    used.clear();
    spans.clear();
    inputs.resize(taps.size() * static_cast<std::size_t>(end - begin));
    Index* at = inputs.data();
    std::vector<Run> runs;  // those of a tile
    for (Index tile = begin; tile < end; tile += tile_rows) {
        const Index until = std::min(tile + tile_rows, end);
        while (!runs.empty() && runs.front().end <= tile) runs.erase(runs.begin());
        while (runs.empty() || runs.back().end < until) {
            runs.push_back(run_from(runs.empty() ? tile : runs.back().end, end, walk, taps, steps, cells));
            for (const Reach& reach : runs.back().reach) {
                if (reach.low == reach.high) continue;
                const auto ends = std::minmax({reach.from + reach.low * step, reach.from + (reach.high - 1) * step});
                lowest = std::min(lowest, ends.first);
                highest = std::max(highest, ends.second);
            }
        }
        used.push_back(0);
        for (std::size_t t = 0; t < taps.size(); ++t) {
            if (in_spans && are_a_span(runs, t, tile, until, step)) {
                const Index low = within(runs.front(), t, tile, until, step).low, high = within(runs.back(), t, tile, until, step).high;
                if (low == high) continue;
                *at++ = within(runs.front(), t, tile, until, step).from;
                spans.push_back({static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high)});
            } else {
                bool met = false;
                for (const Run& run : runs) {
                    const Reach reach = within(run, t, tile, until, step);
                    met = met || reach.low < reach.high;
                    std::fill(at + std::max(run.begin, tile) - tile, at + reach.low, nothing);
                    fill_evenly(at + reach.low, reach.high - reach.low, reach.from + reach.low * step, step);
                    std::fill(at + reach.high, at + std::min(run.end, until) - tile, nothing);
                }
                if (!met) continue;
                at += until - tile;
                if (in_spans) spans.push_back({0, 0});
            }
            number.push_back(static_cast<Index>(t));
            ++used.back();
        }
    }
    inputs.resize(static_cast<std::size_t>(at - inputs.data()));
}

}  // namespace tconv
