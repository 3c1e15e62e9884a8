// One input channel per group: no sum over channels to put into a tile. Lanes are neighbouring cells of a row; where the
// channels come last in memory, see depthwise_pixels.hpp.
#pragma once
#include "../activation.hpp"
#include "../axis_taps.hpp"
#include "../packing.hpp"
#include "../problem.hpp"
#include "../rows.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "depthwise_pixels.hpp"
#include "way.hpp"

namespace tconv {

template <class S>
class Depthwise final : public Program<S> {
    using T = Sum<S>;

   public:
    Depthwise(const Form& layer, const Kernels<S>& kernels)
        : layer_(layer), kernels_(kernels), rows_(row_axis(layer)), columns_(layer.axes.back()), leading_(layer.axes) {
        if (leading_.size() > 1) leading_.pop_back();
        find_feeds();
    }

    // Whether the arrays have rows of pixels to walk along, and a panel of a few rows, with all that the taps reach, stays
    // small.
    static bool fits(const Query<S>& query) {
        const auto& [layer, kernels, x, y, pairs] = query;
        if (layer.in_channels != 1) return false;
        if (x.strides.back() != 1 && x.shape.back() != 1) return false;
        const Axis rows = row_axis(layer), columns = layer.axes.back();
        const Index patches = std::min(rows.stride, most_strips) * std::min(columns.stride, most_strips);
        if (patches > most_strips || layer.taps() > most_taps || reach(rows) > most_panel || reach(columns) > most_panel)
            return false;
        const Index slices = layer.taps() / columns.kernel / rows.kernel;
        return slices * (2 * reach(rows) + 8) * (most_columns + reach(columns)) <= most_panel;
    }

    Index workspace_bytes(const View<const S>& x, const View<S>& y) const override {
        const Index slices = layer_.taps() / rows_.axis.kernel / columns_.axis.kernel;
        const Plan plan = plan_for(x, y, true);
        return (slices * plan.slice + plan.sums) * static_cast<Index>(sizeof(T));
    }

    Index packed_bytes() const override { return weight_count() * static_cast<Index>(sizeof(T)); }

    Packed pack(const Constants<T>&, const S* weights) const override {
        Packed packed = Packed::of<T>(weight_count(), 0);
        for (Index k = 0; k < weight_count(); ++k) packed.weight<T>()[k] = widened(weights[k]);
        return packed;
    }

    bool run(const Constants<T>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        run_planes({layer, packed.weight<T>(), x, y}, multiplications);
        return true;
    }

   private:
    static constexpr Index most_strips = 4096, most_taps = 1 << 14, most_panel = 1 << 18;  // keep scratch below 4 MiB
    static constexpr Index most_columns = tuning::depthwise::most_columns;

    static constexpr Index most_sums = 1 << 16;  // of a block of half precision, which wait until they are rounded

    Index weight_count() const { return layer_.groups * layer_.out_channels * layer_.taps(); }

    struct Call {
        const Constants<T>& layer;
        const T* weight;
        const View<const S>& x;
        const View<S>& y;
    };

    // How many neighbouring inputs the outputs of one cell read, at most.
    static Index reach(const Axis& axis) { return axis.dilation * (axis.kernel - 1) / axis.stride + 2; }

    // Neighbouring phases of the last axis that an input feeds: those of one group of at most max_phases.
    struct Feed {
        Index group, range, shift, tap;
    };

    void find_feeds() {
        struct Open {
            Index low, high, shift, tap, group;
        };
        std::vector<Open> open;
        for (const AxisTap& tap : columns_.taps) {
            const Index group = tap.phase / max_phases, phase = tap.phase % max_phases, first = tap.k - phase;
            const auto found = std::find_if(open.begin(), open.end(), [&](const Open& one) {
                return one.group == group && one.shift == tap.shift && one.tap == first && one.high == phase;
            });
            if (found != open.end())
                ++found->high;
            else
                open.push_back({phase, phase + 1, tap.shift, first, group});
        }
        for (const Open& one : open) feeds_.push_back({one.group, range_number(one.low, one.high), one.shift, one.tap});
        std::stable_sort(feeds_.begin(), feeds_.end(), [](const Feed& a, const Feed& b) {
            return a.group != b.group ? a.group < b.group : a.range < b.range;
        });
    }

    // The outputs of a channel, cut into blocks whose inputs fit into a panel.
    struct Plan {
        Extent row, column;
        Index outer;                     // indices on all axes but the last two
        Index rows, columns;             // cells
        Index block_rows, block_columns;  // at most
        Index slice;                     // elements of the panel
        Index pitch;
        Index sums;           // that a block has room for, of half precision; else they are written where they belong
        Index to_row, to_step;  // from an output's row and column to the next, where a block is written to
        bool nontemporal;  // outputs are written past the caches
        Index ahead;  // from a channel's outputs to the next one's, if they are worth fetching early

        Index blocks_down() const { return ceil_div(rows, block_rows); }
        Index blocks_across() const { return ceil_div(columns, block_columns); }
        Index blocks() const { return outer * blocks_down() * blocks_across(); }
    };

    // Outputs are written where they belong, unless an activation takes sums that are not rounded yet.
    Plan plan_for(const View<const S>& x, const View<S>& y, bool activates) const {
        const std::size_t last = layer_.axes.size() + 1;
        Plan p{};
        p.column = column_extent(x, y), p.row = row_extent(x, y);
        const bool in_place = is_own_sum<S> || !activates;
        p.nontemporal = is_own_sum<S> && !activates && exceeds(y, tuning::depthwise::nontemporal_bytes);
        const bool fetches = in_place && !p.nontemporal && y.shape[1] > 1 && exceeds(y, tuning::depthwise::cache_bytes);
        p.ahead = fetches ? y.strides[1] : 0;
        p.outer = 1;
        for (std::size_t a = 2; a + 1 < last; ++a) p.outer *= y.shape[a];
        p.rows = rows_.cells(p.row.out), p.columns = columns_.cells(p.column.out);
        const Index of_cell = rows_.axis.stride * columns_.axis.stride;  // outputs
        p.block_columns = std::min(p.columns, in_place ? most_columns : std::clamp<Index>(most_sums / of_cell, 1, most_columns));
        const Index reach_down = rows_.high - rows_.low, lanes = kernels_.lanes;
        p.pitch = ceil_div(ceil_div(p.block_columns, lanes) * lanes + columns_.high - columns_.low, lanes) * lanes;
        const Index slices = layer_.taps() / rows_.axis.kernel / columns_.axis.kernel;
        const Index fitting = tuning::depthwise::bordered_bytes / static_cast<Index>(sizeof(T)) / p.pitch / slices - reach_down;
        Index parts = ceil_div(p.rows, std::max(fitting, std::min<Index>(p.rows, reach_down + 8)));
        if (!in_place) parts = std::max(parts, ceil_div(p.rows, std::max<Index>(1, most_sums / (of_cell * p.block_columns))));
        p.block_rows = ceil_div(p.rows, parts);
        p.slice = (p.block_rows + reach_down) * p.pitch;
        p.sums = in_place ? 0 : p.block_rows * p.block_columns * of_cell;
        p.to_row = in_place ? p.row.y_step : p.block_columns * columns_.axis.stride;
        p.to_step = in_place ? p.column.y_step : 1;
        return p;
    }

    // A block and what it points to.
    struct Located {
        Block<T> block;
        Index y, rows, columns;  // its outputs: the first, and how many
        Buffer<T> panel;
        std::vector<Slice> slices;
        std::vector<Patch> patches;
        std::vector<Source> sources;
        std::vector<Index> taps;  // of the slices
    };

    void run_planes(const Call& call, double multiplications) const {
        const View<const S>& x = call.x;
        const View<S>& y = call.y;
        const Plan plan = plan_for(x, y, call.layer.activation != Activation::none);
        const Index planes = y.shape[0] * y.shape[1], items = plan.blocks() * planes;
        const Index threads = threads_for(multiplications), shares = std::min<Index>(items, threads > 1 ? 4 * threads : 1);
        parallel(shares, multiplications, [&](Index share) {
            thread_local Located located;
            Index item = items * share / shares;
            for (const Index end = items * (share + 1) / shares; item < end;) {
                const Index block = item / planes, last = std::min(end, (block + 1) * planes);
                locate(located, plan, x, y, block);
                for (; item < last; ++item) {
                    const Index plane = item - block * planes;
                    compute(located, plan, call, plane / y.shape[1], plane % y.shape[1]);
                }
            }
            if (plan.nontemporal) kernels_.fence();
        });
    }

    void compute(const Located& located, const Plan& plan, const Call& call, Index n, Index channel) const {
        S* const y = call.y.at(n, channel) + located.y;
        const S* const x = call.x.at(n, channel / layer_.out_channels);
        const T* const weight = call.weight + channel * layer_.taps();
        const T bias = call.layer.bias_of(channel);
        const bool activates = call.layer.activation != Activation::none;
        if (is_own_sum<S> ? plan.nontemporal : !activates) return kernels_.stencil_stored(located.block, y, x, weight, bias);
        T* const to = sums_or(y, plan.sums);
        kernels_.stencil(located.block, to, x, weight, bias);
        if (!activates) return;
        for (Index row = 0; row < located.rows; ++row) {
            activate(kernels_, call.layer, to + row * plan.to_row, located.columns, plan.to_step);
            if (!is_own_sum<S>) put(y + row * plan.row.y_step, plan.column.y_step, to + row * plan.to_row, located.columns);
        }
    }

    // Where sums are computed: in place, or in room for so many that wait there until they are rounded.
    static T* sums_or(S* place, Index count) {
        if constexpr (is_own_sum<S>)
            return place;
        else
            return room_for_sums<T>(count);
    }

    // Sums that are neighbours, rounded.
    void put(S* y, Index step, const T* sums, Index count) const {
        if (step == 1) return kernels_.put(y, sums, count);
        for (Index j = 0; j < count; ++j) y[j * step] = narrowed<S>(sums[j]);
    }

    void locate(Located& found, const Plan& plan, const View<const S>& x, const View<S>& y, Index number) const {
        const Index across = number % plan.blocks_across(), rest = number / plan.blocks_across();
        const Index down = rest % plan.blocks_down(), outer = rest / plan.blocks_down();
        const Index row = down * plan.block_rows, column = across * plan.block_columns;
        const Index rows = std::min(plan.block_rows, plan.rows - row);
        const Index columns = std::min(plan.block_columns, plan.columns - column);
        Index y_outer = 0;
        const auto pairs = row_sources(leading_, x, y, outer, y_outer);
        place_inputs(found, plan, pairs, row, rows, column, columns);
        place_outputs(found, plan, y_outer, row, rows, column, columns);
    }

    // The panel starts at the first input that any tap reaches; inputs outside the array stay zero.
    void place_inputs(Located& found, const Plan& plan, const std::vector<RowPair>& pairs, Index row, Index rows,
                      Index column, Index columns) const {
        Block<T>& block = found.block;
        const Index top = row + rows_.low, left = column + columns_.low;
        const Index first_row = std::clamp<Index>(top, 0, plan.row.in);
        const Index first = std::clamp<Index>(left, 0, plan.column.in);
        block.rows = std::clamp<Index>(row + rows + rows_.high, first_row, plan.row.in) - first_row;
        block.columns = std::clamp<Index>(column + columns + columns_.high, first, plan.column.in) - first;
        block.x_row = plan.row.x_step, block.x_step = plan.column.x_step;
        block.pitch = plan.pitch;
        found.slices.clear(), found.taps.clear();
        for (const RowPair& pair : pairs) {
            const Index start = static_cast<Index>(found.slices.size()) * plan.slice;
            found.slices.push_back({pair.x_offset + first_row * plan.row.x_step + first * plan.column.x_step,
                                    start + (first_row - top) * plan.pitch + first - left});
            found.taps.push_back(pair.tap);
        }
        block.slices = found.slices.data(), block.slice_count = static_cast<Index>(found.slices.size());
        const Index elements = std::max<Index>(block.slice_count, 1) * plan.slice;
        block.panel = found.panel.grow(elements);
        std::fill_n(block.panel, elements, T(0));
    }

    void place_outputs(Located& found, const Plan& plan, Index y_outer, Index row, Index rows, Index column,
                       Index columns) const {
        const Index down = rows_.axis.stride, across = columns_.axis.stride;
        found.block.y_row = down * plan.to_row, found.block.y_cell = across * plan.to_step;
        found.block.y_step = plan.to_step;
        found.y = y_outer + row * down * plan.row.y_step + column * across * plan.column.y_step;
        found.rows = std::min(rows * down, plan.row.out - row * down);
        found.columns = std::min(columns * across, plan.column.out - column * across);
        found.block.patch_rows = rows;
        found.block.ahead = plan.ahead;
        found.block.band = found.rows * found.columns * static_cast<Index>(sizeof(T)) > tuning::depthwise::bordered_bytes ? 4 : rows;
        found.patches.clear(), found.sources.clear();
        for (Index phase = 0; phase < std::min(down, found.rows); ++phase)
            for (Index group = 0; group * max_phases < std::min(across, found.columns); ++group) {
                Patch patch{};
                patch.phases = std::min(max_phases, across - group * max_phases);
                patch.rows = ceil_div(found.rows - phase, down);
                const Index width = found.columns - group * max_phases;
                patch.outputs = width / across * patch.phases + std::min(width % across, patch.phases);
                patch.output = phase * plan.to_row + group * max_phases * plan.to_step;
                add_sources(found, patch, plan, phase, group);
                found.patches.push_back(patch);
            }
        const Source* sources = found.sources.data();
        for (Patch& patch : found.patches) {
            patch.sources = sources;
            sources += patch.end[ranges - 1];
        }
        found.block.patches = found.patches.data(), found.block.patch_count = static_cast<Index>(found.patches.size());
    }

    // What the outputs of one phase of the rows and one group of phases of the columns read.
    void add_sources(Located& found, Patch& patch, const Plan& plan, Index phase, Index group) const {
        const auto by_phase = [](const AxisTap& tap, Index wanted) { return tap.phase < wanted; };
        const auto by_group = [](const Feed& feed, Index wanted) { return feed.group < wanted; };
        const auto first_tap = std::lower_bound(rows_.taps.begin(), rows_.taps.end(), phase, by_phase);
        auto feed = std::lower_bound(feeds_.begin(), feeds_.end(), group, by_group);
        const std::size_t begin = found.sources.size();
        for (Index range = 0; range < ranges; ++range) {
            for (; feed != feeds_.end() && feed->group == group && feed->range == range; ++feed)
                for (std::size_t s = 0; s < found.taps.size(); ++s)
                    for (auto tap = first_tap; tap != rows_.taps.end() && tap->phase == phase; ++tap)
                        found.sources.push_back(
                            {static_cast<Index>(s) * plan.slice + (tap->shift - rows_.low) * plan.pitch + feed->shift -
                                 columns_.low,
                             (found.taps[s] * rows_.axis.kernel + tap->k) * columns_.axis.kernel + feed->tap});
            patch.end[range] = static_cast<Index>(found.sources.size() - begin);
        }
    }

    const Form layer_;
    const Kernels<S>& kernels_;
    AxisTaps rows_, columns_;
    std::vector<Axis> leading_;  // all axes but the last, for row_sources
    std::vector<Feed> feeds_;      // by group, then by range
};

template <class S>
std::shared_ptr<const Program<S>> depthwise_program(const Query<S>& query, bool by_pixels) {
    if (!by_pixels) return shared_program<Depthwise<S>>(query.form, query.kernels);
    if constexpr (std::is_same_v<S, Bf16>)
        if (query.pairs) return shared_program<DepthwisePixels<S, Bf16Pair>>(query.form, *query.pairs);
    return shared_program<DepthwisePixels<S, Sum<S>>>(query.form, query.kernels);
}

template <class S>
bool pixels_of_channels(const Query<S>& query) { return DepthwisePixels<S, Sum<S>>::fits(query); }

template <class S>
constexpr Way<S> depthwise_way{
    "depthwise", false, true, [](const Query<S>& query) { return pixels_of_channels(query) || Depthwise<S>::fits(query); },
    [](const Query<S>& query) { return static_cast<int>(pixels_of_channels(query)); },
    [](const Query<S>& query, int variant) { return depthwise_program(query, variant == 1); }};

}  // namespace tconv
