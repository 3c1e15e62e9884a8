// Pixels in lanes: each tile multiplies a panel of inputs (see panels.hpp) with broadcast weights. All phases of the last
// axis are computed together and woven in the store, so that rows of the output are written as they lie in memory.
#pragma once
#include <algorithm>

#include "../activation.hpp"
#include "../lazy.hpp"
#include "../packing.hpp"
#include "../panels.hpp"
#include "../phases.hpp"
#include "../problem.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "pixel_tiles.hpp"
#include "way.hpp"

namespace tconv {

template <class S, class E>
class Pixels final : public Program<S> {
    using T = Sum<S>;

   public:
    // With `woven_channels`, the channels of a pixel are neighbours in the output and are woven together with the phases.
    Pixels(const Form& layer, const Kernels<S, E>& kernels, bool woven_channels)
        : layer_(layer),
          kernels_(kernels),
          woven_channels_(woven_channels),
          depth_(ceil_div(layer.in_channels, channels_of<E>)),
          tiles_(layer, kernels.lanes, kernels.rows, kernels.whole(depth_), woven_channels),
          in_place_(std::is_same_v<S, E> && tiles_.count() <= tuning::pixels::times_in_place) {
        needs_ = {counted_from(tiles_.origin, layer.axes), {}, {}, tiles_.phases, woven_channels ? layer.out_channels : 1, 0,
                  kernels.lanes, kernels.vectors[tiles_.rows() - 1], beside(kernels), !tiles_.joins.empty()};
        for (const PixelTiles::Group& group : tiles_.groups) {
            needs_.residues.push_back(group.residue);
            for (const PixelSet& set : group.sets) {
                needs_.shifts.insert(needs_.shifts.end(), set.shifts.begin(), set.shifts.end());
                for (const Join& join : tiles_.joins) {
                    needs_.shifts.push_back(set.shifts.front());
                    needs_.shifts.back().back() += join.distance;
                }
                needs_.work += static_cast<double>(set.shifts.size() * set.sums.size()) *
                               static_cast<double>(layer.out_channels);
            }
        }
        tiles_.order.deep = kernels.deep;
        if (kernels.deep > 1) tiles_.order.behind = kernels.rows * kernels.deep;
    }

    Index packed_bytes() const override { return tiles_.order.weights * layer_.groups * static_cast<Index>(sizeof(E)); }
    Packed pack(const Constants<T>& layer, const S* weights) const override { return tconv::pack<E>(tiles_.order, layer, weights); }

    Index workspace_bytes(const View<const S>& x, const View<S>& y) const override {
        const auto plan = plan_of(x, y);
        const Index sums = sums_size(*plan, ssize(tiles_.bundles)) * static_cast<Index>(sizeof(T));
        return panel_size(*plan) * static_cast<Index>(sizeof(E)) + sums + joined_size(*plan) * static_cast<Index>(sizeof(T));
    }

    bool run(const Constants<T>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        const auto plan = plan_of(x, y);
        const Index images = x.shape[0], units = plan->panels.units() * images, block_units = plan->clusters * plan->units;
        const Index blocks = ceil_div(units, block_units), count = static_cast<Index>(tiles_.bundles.size());
        // Few blocks of pixels: share the bundles of channels as well.
        const Index threads = threads_for(multiplications), wanted = threads > 1 ? 4 * threads : 1;
        const Index shares = std::clamp<Index>(ceil_div(wanted, blocks * layer_.groups), 1, count);
        const std::vector<Unit>* located = nullptr;
        if (plan->panels.units() <= tuning::pixels::most_located) located = plan->located.get_again([&] { return locate_all(plan->panels); });
        // Neighbouring blocks go to one task, which finds their inputs fetched ahead.
        const Index several = std::clamp<Index>(blocks / (8 * wanted), 1, 16);
        const Index tasks = ceil_div(blocks, several);
        parallel(tasks * layer_.groups * shares, multiplications, [&](Index task) {
            const Index share = task % shares, g = task / shares % layer_.groups;
            const Index begin = task / shares / layer_.groups * several, end = std::min(begin + several, blocks);
            const Index last = part(count, share + 1, shares), at_once = bundles_at_once(*plan);
            const Multiplying multiplying(kernels_);
            for (Index block = begin; block < end; ++block)
                for (Index first = part(count, share, shares); first < last; first += at_once)
                    compute({layer, packed, x, y, located, g, first, std::min(first + at_once, last)}, *plan, block * block_units,
                            std::min((block + 1) * block_units, units));
            if (plan->nontemporal) kernels_.fence();
        });
        return true;
    }

   private:
    using Tile = PixelTiles::Tile;
    using Bundle = PixelTiles::Bundle;

    struct Inputs {  // of some units, for some channels: their panels, or the array where it is one
        const E* at[max_vectors];
        Index step;  // from a channel to the next
    };

    struct Cluster {  // units that make one tile together, or one unit of several tiles
        const Unit* const* units;
        Index first, count;  // among the units of all images
        Inputs inputs;
    };

    struct Call {
        const Constants<T>& layer;
        const Packed& packed;
        const View<const S>& x;
        const View<S>& y;
        const std::vector<Unit>* located;  // null: not remembered
        Index g;            // channel group
        Index first, last;  // bundles
    };

    // What is the same for all calls with arrays of one shape.
    struct Plan {
        Plan(const Pixels& pixels, const View<const S>& x, const View<S>& y)
            : most(pixels.channels_at_once(x, y)), panels(pixels.panels_of(most, x, y)) {
            const Kernels<S, E>& kernels = pixels.kernels_;
            units = pixels.units_together(panels);
            const Index bytes = units * panels.size() * static_cast<Index>(sizeof(E)), all = pixels.depth_;
            const Index chunks = ceil_div(all, std::clamp<Index>(tuning::pixels::panels_bytes / bytes, 1, most));
            channels = kernels.whole(ceil_div(all, chunks));
            const Index wanted = most < all ? tuning::pixels::clusters_bytes / (bytes * channels) : 1;
            clusters = std::clamp<Index>(wanted, 1, ceil_div(panels.units() * x.shape[0], units));
            width = units * panels.tile_vectors() * kernels.lanes;
            const auto whole_lines = [](Index step) { return step * static_cast<Index>(sizeof(S)) % line_bytes == 0; };
            nontemporal = exceeds(y, tuning::nontemporal_bytes) &&
                          std::all_of(y.strides.begin() + (pixels.woven_channels_ ? 2 : 1), y.strides.end() - 1, whole_lines);
            for (const PixelTiles::Group& group : pixels.tiles_.groups)
                for (const PixelSet& set : group.sets) {
                    distances.emplace_back();
                    for (const auto& shift : set.shifts) distances.back().push_back(panels.distance(shift));
                }
        }

        const Index most;  // channels for which panels have room
        Panels panels;
        Index units;     // of a cluster
        Index clusters;  // for all of which weights are fetched once
        Index channels;  // that a panel holds at a time; of elements, here and below; a multiple of `deep`
        Index width;     // lanes of a tile, of all units
        bool nontemporal;  // outputs are written past the caches, if all rows begin in the same place of a line
        std::vector<std::vector<Index>> distances;  // of each set, all groups one after the other
        Lazy<std::vector<Unit>> located;            // of an image, if there are few
    };

    std::shared_ptr<const Plan> plan_of(const View<const S>& x, const View<S>& y) const {
        return plans_.get(shapes_of(x, y), [&] { return std::make_shared<const Plan>(*this, x, y); });
    }

    static std::unique_ptr<std::vector<Unit>> locate_all(const Panels& panels) {
        auto units = std::make_unique<std::vector<Unit>>(static_cast<std::size_t>(panels.units()));
        for (Index number = 0; number < panels.units(); ++number) panels.locate((*units)[static_cast<std::size_t>(number)], number);
        return units;
    }

    // Narrow tiles take longer than their share of the products.
    static double beside(const Kernels<S, E>& kernels) {
        return has_short_vectors(kernels) ? tuning::pixels::step / static_cast<double>(kernels.rows) : 0;
    }

    Panels panels_of(Index channels, const View<const S>& x, const View<S>& y) const {
        const auto room = [&](Index bytes) { return bytes / (channels * static_cast<Index>(sizeof(E))); };
        return {needs_, {room(tuning::pixels::shared_bytes), room(tuning::pixels::dense_bytes)}, x.shape, x.strides, y.shape, y.strides};
    }

    Index units_together(const Panels& panels) const {
        return panels.tiles() > 1 ? 1 : std::max<Index>(1, needs_.vectors / panels.tile_vectors());
    }

    // For how many channels panels have room: for all, unless that is for so few lanes that weights are fetched too often.
    Index channels_at_once(const View<const S>& x, const View<S>& y) const {
        const Index bytes = tiles_.order.weights * static_cast<Index>(sizeof(E)), taps = tiles_.most_taps();
        if (!has_short_vectors(kernels_) || taps == 1 || bytes < tuning::pixels::heavy_bytes) return depth_;
        const Panels panels = panels_of(depth_, x, y);
        const Index lanes = units_together(panels) * panels.tiles() * panels.tile_vectors() * kernels_.lanes;
        if (lanes >= tuning::pixels::few_lanes) return depth_;
        const Index least = std::max<Index>(1, tuning::pixels::part_products / (taps * channels_of<E>));
        return kernels_.whole(ceil_div(depth_, std::max<Index>(1, depth_ / least)));
    }

    Index panel_size(const Plan& plan) const { return plan.clusters * cluster_size(plan) + kernels_.lanes; }
    Index cluster_size(const Plan& plan) const { return plan.units * plan.panels.size() * plan.channels; }

    // What the sums of a tile are joined to, for one group of phases.
    Index joined_size(const Plan& plan) const {
        return tiles_.joins.empty() ? 0 : tiles_.bundles.back().channels * needs_.phases * plan.width + kernels_.lanes;
    }

    // Sums of one bundle of output channels; of one group of phases, if a panel holds all input channels.
    Index bundle_size(const Plan& plan) const {
        const Index groups = plan.channels >= depth_ ? 1 : ssize(tiles_.groups);
        return groups * tiles_.bundles.back().channels * tiles_.sums * plan.width;
    }

    // Of all tiles of all clusters, while they wait for further channels.
    Index waiting_size(const Plan& plan) const { return bundle_size(plan) * plan.panels.tiles() * plan.clusters; }

    Index bundles_at_once(const Plan& plan) const {
        if (plan.channels >= depth_) return ssize(tiles_.bundles);
        return std::max<Index>(1, tuning::pixels::sums_bytes / (waiting_size(plan) * static_cast<Index>(sizeof(T))));
    }

    Index sums_size(const Plan& plan, Index bundles) const {
        const bool whole = plan.channels >= depth_;
        return (whole ? bundle_size(plan) : std::min(bundles, bundles_at_once(plan)) * waiting_size(plan)) + kernels_.lanes;
    }

    // The units begin..end of all images: some clusters.
    void compute(const Call& call, const Plan& plan, Index begin, Index end) const {
        thread_local Buffer<E> panel;
        thread_local Buffer<T> sums;
        thread_local std::vector<Unit> fresh;
        thread_local std::vector<const Unit*> units;
        thread_local std::vector<Cluster> clusters;
        panel.grow_cleared(panel_size(plan));
        sums.grow_cleared(sums_size(plan, call.last - call.first));
        if (!call.located) fresh.resize(static_cast<std::size_t>(end - begin));
        units.clear();
        for (Index u = begin; u < end; ++u) {
            const Index number = u % plan.panels.units();
            Unit* const own = call.located ? nullptr : &fresh[static_cast<std::size_t>(u - begin)];
            if (own) plan.panels.locate(*own, number);
            units.push_back(own ? own : &(*call.located)[static_cast<std::size_t>(number)]);
        }
        clusters.clear();
        for (Index u = begin; u < end; u += plan.units)
            clusters.push_back({units.data() + (u - begin), u, std::min(plan.units, end - u), {}});
        for (Index channel = 0; channel < depth_; channel += plan.channels) {
            const Index channels = std::min(plan.channels, depth_ - channel);
            E* to = panel.data();
            for (Cluster& cluster : clusters) {
                cluster.inputs = inputs_of(call, plan, cluster, to, channel, channels);
                to += cluster_size(plan);
            }
            T* c = sums.data();
            for (Index b = call.first; b < call.last; ++b)
                for (const Cluster& cluster : clusters)
                    for (Index t = 0; t < ssize(cluster.units[0]->tiles); ++t) {
                        compute_tile(call, plan, tiles_.bundles[static_cast<std::size_t>(b)], cluster, t, c, channel, channels);
                        if (plan.channels < depth_) c += bundle_size(plan);
                    }
        }
    }

    // For some input channels.
    Inputs inputs_of(const Call& call, const Plan& plan, const Cluster& cluster, E* panel, Index channel, Index channels) const {
        const Index first = channel * channels_of<E>, read = std::min(channels * channels_of<E>, layer_.in_channels - first);
        const Index size = plan.panels.size() * plan.channels;
        const auto image = [&](Index u) {
            return call.x.at((cluster.first + u) / plan.panels.units(), call.g * layer_.in_channels + first);
        };
        Inputs inputs{{}, plan.panels.size()};
        if constexpr (std::is_same_v<S, E>) {
            const auto lies = [](const Unit* unit) { return unit->source != Piece::nothing; };
            if (in_place_ && std::all_of(cluster.units, cluster.units + cluster.count, lies)) {
                inputs.step = call.x.strides[1];
                for (Index u = 0; u < cluster.count; ++u) inputs.at[u] = image(u) + cluster.units[u]->source;
                return inputs;
            }
        }
        for (Index u = 0; u < cluster.count; ++u) {
            E* const to = panel + u * size;
            const std::vector<Piece>& pieces = cluster.units[u]->pieces;
            kernels_.gather(to, plan.panels.size(), image(u), call.x.strides[1], call.x.strides.back(), read, pieces.data(),
                            ssize(pieces));
            std::fill(to + channels * plan.panels.size(), to + kernels_.whole(channels) * plan.panels.size(), E{});
            inputs.at[u] = to;
        }
        return inputs;
    }

    // One bundle of output channels for the t-th tile. Sums stay in `c` until all input channels are added.
    void compute_tile(const Call& call, const Plan& plan, const Bundle& bundle, const Cluster& cluster, Index t, T* c,
                      Index channel, Index channels) const {
        const Index lanes = kernels_.lanes;
        const Index groups = ssize(tiles_.groups), group_size = plan.channels < depth_ ? bundle_size(plan) / groups : 0;
        const E* in[max_vectors];
        Index vectors = 0;
        for (Index u = 0; u < cluster.count; ++u) {
            const Unit::Tile& tile = cluster.units[u]->tiles[static_cast<std::size_t>(t)];
            for (Index v = 0; v < tile.vectors; ++v) in[vectors++] = cluster.inputs.at[u] + tile.lane + v * lanes;
        }
        const std::vector<Index>* distances = plan.distances.data();
        for (std::size_t i = 0; i < tiles_.groups.size(); distances += tiles_.groups[i++].sets.size(), c += group_size) {
            for (const Tile& tile : bundle.tiles[i])
                add(call, plan, tile, tiles_.groups[i].sets[tile.set].begins && channel == 0, distances[tile.set], c, in,
                    cluster.inputs.step, vectors, channel, channels);
            if (channel + channels < depth_) continue;
            for (Index u = 0, lane = 0; u < cluster.count; ++u) {
                const Unit::Tile& own = cluster.units[u]->tiles[static_cast<std::size_t>(t)];
                store(call, (cluster.first + u) / plan.panels.units(), bundle, c + lane, plan, own, own.strips[i]);
                lane += own.vectors * lanes;
            }
        }
    }

    template <class Many>
    static Index ssize(const Many& many) {
        return static_cast<Index>(many.size());
    }

    void add(const Call& call, const Plan& plan, const Tile& tile, bool begins, const std::vector<Index>& distances, T* c,
             const E* const* inputs, Index step, Index vectors, Index channel, Index channels) const {
        const Index taps = ssize(distances), at_once = tconv::at_once<E>(taps, kernels_.deep, channels);
        const E* w = call.packed.template weight<E>() + call.g * tiles_.order.weights + tile.weight + channel * taps * tile.rows;
        const T* bias = begins ? call.packed.template bias<T>() + call.g * ssize(tiles_.order.biases) + tile.bias : nullptr;
        const E* in[max_vectors];
        for (Index begin = 0; begin < channels; begin += at_once, bias = nullptr) {
            const Index count = std::min(at_once, channels - begin);
            for (Index v = 0; v < vectors; ++v) in[v] = inputs[v] + begin * step;
            kernels_.pixels[tile.rows - 1][vectors - 1](c, tile.row, plan.width, in, step, distances.data(),
                                                        taps, count, w + begin * taps * tile.rows, bias);
        }
    }

    // Activated as long as they are sums, which are neighbours and not yet rounded.
    void store(const Call& call, Index n, const Bundle& bundle, T* c, const Plan& plan, const Unit::Tile& tile,
               const std::vector<Strip>& strips) const {
        const Index step = woven_channels_ ? 1 : call.y.strides.back(), channel_step = call.y.strides[1];
        const Index phases = needs_.phases * needs_.woven, channels = bundle.channels / needs_.woven, width = plan.width;
        if (strips.empty()) return;
        if (!tiles_.joins.empty()) c = joined(bundle, c, plan, tile);
        for (Index row = 0; row < phases * channels; ++row)
            activate(kernels_, call.layer, c + row * width, tile.vectors * kernels_.lanes, 1);
        S* to = call.y.at(n, call.g * layer_.out_channels + bundle.first);
        kernels_.weave(to, channel_step, step, c, width, phases, channels, strips.data(), ssize(strips), plan.nontemporal);
    }

    T* joined(const Bundle& bundle, const T* c, const Plan& plan, const Unit::Tile& tile) const {
        thread_local Buffer<T> buffer;
        T* const sums = buffer.grow(joined_size(plan));
        const std::vector<Join>& joins = tiles_.joins;
        for (Index channel = 0; channel < bundle.channels; ++channel)
            for (std::size_t first = 0, end; first < joins.size(); first = end) {
                const T* from[max_joined];
                for (end = first; end < joins.size() && joins[end].phase == joins[first].phase; ++end)
                    from[end - first] = c + tiles_.row_of(bundle, channel, joins[end].sum, tiles_.sums) * plan.width + joins[end].distance;
                kernels_.join(sums + tiles_.row_of(bundle, channel, joins[first].phase, tiles_.phases) * plan.width, from,
                              static_cast<Index>(end - first), tile.vectors * kernels_.lanes);
            }
        return sums;
    }

    static constexpr std::size_t max_joined = 16;  // taps of a phase: no more than there are lanes

    const Form layer_;
    const Kernels<S, E>& kernels_;
    const bool woven_channels_;
    const Index depth_;  // elements that hold the channels of a group
    PixelTiles tiles_;
    PanelNeeds needs_;
    const bool in_place_;  // inputs are read where they lie, if they lie as in a panel
    Recent<Plan> plans_;
};

}  // namespace tconv
