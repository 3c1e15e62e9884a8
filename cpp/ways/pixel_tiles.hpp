// Of the way of the pixels: which output channels and phases make tiles, and where their weights and sums lie.
#pragma once
#include <algorithm>
#include <vector>

#include "../packing.hpp"
#include "../phases.hpp"
#include "../problem.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "pixel_sets.hpp"

namespace tconv {

class PixelTiles {
   public:
    struct Group {
        std::vector<Index> residue;  // on all axes but the last
        std::vector<PixelSet> sets;
    };

    struct Tile {
        std::size_t set;
        Index rows;
        Index row[max_rows];  // where their sums go
        Index weight, bias;   // where they begin, for channel group 0
    };

    struct Bundle {  // neighbouring output channels
        Index first, channels;
        std::vector<std::vector<Tile>> tiles;  // of each group
    };

    std::vector<Group> groups;
    std::vector<Join> joins;  // by phase; none if there are no sums but those of phases
    std::vector<Bundle> bundles;
    PackOrder order;
    Origin origin = Origin::output;
    Index phases, sums;  // of a cell's output channel, along the last axis

    // Of kernels with so many lanes and rows, and a sum over so many elements.
    PixelTiles(const Form& layer, Index lanes, Index rows, Index elements, bool woven_channels)
        : phases(layer.axes.back().stride), taps_(layer.taps()), elements_(elements), woven_channels_(woven_channels) {
        // Few channels: phases that read the same inputs share tiles. Else no cell is computed before the window.
        const bool few = layer.out_channels < tuning::pixels::bundle_channels, apart = fills_tiles_apart(layer, lanes);
        if (few) origin = Origin::canvas;
        for (const PhaseGroup& group : group_phases(layer.axes, Grouping::all, origin)) {
            if (apart) joins = tconv::joins(group);  // the same for all
            groups.push_back({{group.residue.begin(), group.residue.end() - 1},
                              apart ? std::vector{apart_set(group)} : few ? shared_sets(group) : whole_sets(group)});
        }
        sums = apart ? size(joins) : phases;
        // As many channels as fill the largest tile twice, if phases do not; about as many in each bundle.
        using tuning::pixels::bundle_channels;
        const Index wide = std::clamp(2 * rows / sums, bundle_channels, std::max(bundle_channels, rows));
        const Index count = woven_channels ? 1 : ceil_div(layer.out_channels, wide);
        for (Index b = 0; b < count; ++b) {
            const Index first = part(layer.out_channels, b, count);
            bundles.push_back(bundle_of(first, part(layer.out_channels, b + 1, count) - first, rows));
        }
    }

    // Where the sums of a channel are: of a phase as `weave` reads them.
    Index row_of(const Bundle& bundle, Index channel, Index sum, Index all) const {
        return woven_channels_ ? sum * bundle.channels + channel : channel * all + sum;
    }

    // Of the largest tile.
    Index rows() const {
        Index most = 1;
        each([&](const Tile& tile) { most = std::max(most, tile.rows); });
        return most;
    }

    // How often inputs are read.
    Index count() const {
        Index all = 0;
        each([&](const Tile&) { ++all; });
        return all;
    }

    // Taps that are added up at a time, at most.
    Index most_taps() const {
        Index most = 1;
        for (const Group& group : groups)
            for (const PixelSet& set : group.sets) most = std::max(most, size(set.shifts));
        return most;
    }

   private:
    template <class Many>
    static Index size(const Many& many) {
        return static_cast<Index>(many.size());
    }

    template <class Use>
    void each(Use use) const {
        for (const Bundle& bundle : bundles)
            for (const auto& tiles : bundle.tiles)
                for (const Tile& tile : tiles) use(tile);
    }

    Bundle bundle_of(Index first, Index channels, Index rows) {
        Bundle bundle{first, channels, {}};
        for (const Group& group : groups) {
            bundle.tiles.emplace_back();
            for (std::size_t set = 0; set < group.sets.size(); ++set) {
                const Index all = channels * size(group.sets[set].sums), tiles = ceil_div(all, rows);
                for (Index t = 0; t < tiles; ++t)
                    bundle.tiles.back().push_back(
                        tile_of(bundle, group.sets[set], set, part(all, t, tiles), part(all, t + 1, tiles)));
            }
        }
        return bundle;
    }

    // Rows begin..end of the set: its phases of the bundle's first channel, of the second, and so on.
    Tile tile_of(const Bundle& bundle, const PixelSet& set, std::size_t number, Index begin, Index end) {
        const Index together = size(set.sums), taps = size(set.shifts);
        Tile tile{number, end - begin, {}, order.weights, size(order.biases)};
        Column column{order.weights, taps * tile.rows, taps * tile.rows, {}};
        for (Index r = 0; r < tile.rows; ++r) {
            const Index channel = (begin + r) / together, sum = set.sums[static_cast<std::size_t>((begin + r) % together)];
            tile.row[r] = row_of(bundle, channel, sum, sums);
            const auto join = static_cast<std::size_t>(sum);
            const bool added = !joins.empty() && join > 0 && joins[join - 1].phase == joins[join].phase;
            order.biases.push_back(added ? PackOrder::none : bundle.first + channel);
        }
        for (std::size_t s = 0; s < set.shifts.size(); ++s)
            for (Index r = begin; r < end; ++r)
                column.from.push_back((bundle.first + r / together) * taps_ +
                                      set.weights[static_cast<std::size_t>(r % together)][s]);
        order.weights += column.width * elements_;
        order.columns.push_back(std::move(column));
        return tile;
    }

    Index taps_, elements_;
    bool woven_channels_;
};

}  // namespace tconv
