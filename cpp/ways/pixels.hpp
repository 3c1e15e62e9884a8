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
#include "pixel_sets.hpp"
#include "way.hpp"

namespace tconv {

template <class S, class E>
class Pixels final : public Program<S> {
    using T = Sum<S>;

   public:
    // With `woven_channels`, the channels of a pixel are neighbours in the output and are woven together with the phases.
    Pixels(const Form& layer, const Kernels<S, E>& kernels, bool woven_channels)
        : layer_(layer), kernels_(kernels), woven_channels_(woven_channels), depth_(ceil_div(layer.in_channels, channels_of<E>)) {
        // Few channels: phases that read the same inputs share tiles. Else no cell is computed before the window.
        const bool few = layer.out_channels < tuning::pixels::bundle_channels, apart = fills_tiles_apart(layer, kernels.lanes);
        const Origin origin = few ? Origin::canvas : Origin::output;
        for (const PhaseGroup& group : group_phases(layer.axes, Grouping::all, origin)) {
            if (apart) joins_ = joins(group);  // the same for all
            groups_.push_back({{group.residue.begin(), group.residue.end() - 1},
                               apart ? std::vector{apart_set(group)} : few ? shared_sets(group) : whole_sets(group)});
        }
        const auto room = [&](Index bytes) { return bytes / (depth_ * static_cast<Index>(sizeof(E))); };
        needs_ = {counted_from(origin, layer.axes), {}, {}, layer.axes.back().stride, 1, 0, kernels.lanes, 1,
                  room(tuning::pixels::shared_bytes), room(tuning::pixels::dense_bytes), apart};
        if (woven_channels) needs_.woven = layer.out_channels;
        sums_ = apart ? ssize(joins_) : needs_.phases;
        lay_out();
        for (const Group& group : groups_) {
            needs_.residues.push_back(group.residue);
            for (const PixelSet& set : group.sets) {
                needs_.shifts.insert(needs_.shifts.end(), set.shifts.begin(), set.shifts.end());
                for (const Join& join : joins_) {
                    needs_.shifts.push_back(set.shifts.front());
                    needs_.shifts.back().back() += join.distance;
                }
                needs_.work += static_cast<double>(set.shifts.size() * set.sums.size()) *
                               static_cast<double>(layer.out_channels);
            }
        }
        Index rows = 1, times = 0;  // that inputs are read
        for (const Bundle& bundle : bundles_)
            for (const auto& tiles : bundle.tiles)
                for (const Tile& tile : tiles) {
                    rows = std::max(rows, tile.rows);
                    ++times;
                }
        needs_.vectors = kernels.vectors[rows - 1];
        in_place_ = std::is_same_v<S, E> && times <= tuning::pixels::times_in_place;
        order_.deep = kernels.deep;
        if (kernels.deep > 1) order_.behind = kernels.rows * kernels.deep;
    }

    Index packed_bytes() const override { return order_.weights * layer_.groups * static_cast<Index>(sizeof(E)); }
    Packed pack(const Constants<T>& layer, const S* weights) const override { return tconv::pack<E>(order_, layer, weights); }

    Index workspace_bytes(const View<const S>& x, const View<S>& y) const override {
        const auto plan = plan_of(x, y);
        const Index sums = sums_size(*plan, ssize(bundles_)) * static_cast<Index>(sizeof(T));
        return panel_size(*plan) * static_cast<Index>(sizeof(E)) + sums + joined_size(*plan) * static_cast<Index>(sizeof(T));
    }

    bool run(const Constants<T>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        const auto plan = plan_of(x, y);
        const Index images = x.shape[0], units = plan->panels.units() * images;
        const Index blocks = ceil_div(units, plan->units), count = static_cast<Index>(bundles_.size());
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
                    compute({layer, packed, x, y, located, g, first, std::min(first + at_once, last)}, *plan, block * plan->units,
                            std::min((block + 1) * plan->units, units));
            if (plan->nontemporal) kernels_.fence();
        });
        return true;
    }

   private:
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

    struct Inputs {  // of some units, for some channels: their panels, or the array where it is one
        const E* at[max_vectors];
        Index step;  // from a channel to the next
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
            : panels(pixels.needs_, x.shape, x.strides, y.shape, y.strides) {
            const Kernels<S, E>& kernels = pixels.kernels_;
            units = panels.tiles() > 1 ? 1 : std::max<Index>(1, pixels.needs_.vectors / panels.tile_vectors());
            const Index bytes = units * panels.size() * static_cast<Index>(sizeof(E)), all = pixels.depth_;
            const Index chunks = ceil_div(all, std::clamp<Index>(tuning::pixels::panels_bytes / bytes, 1, all));
            channels = kernels.whole(ceil_div(all, chunks));
            width = units * panels.tile_vectors() * kernels.lanes;
            const auto whole_lines = [](Index step) { return step * static_cast<Index>(sizeof(S)) % line_bytes == 0; };
            nontemporal = exceeds(y, tuning::nontemporal_bytes) &&
                          std::all_of(y.strides.begin() + (pixels.woven_channels_ ? 2 : 1), y.strides.end() - 1, whole_lines);
            for (const Group& group : pixels.groups_)
                for (const PixelSet& set : group.sets) {
                    distances.emplace_back();
                    for (const auto& shift : set.shifts) distances.back().push_back(panels.distance(shift));
                }
        }

        Panels panels;
        Index units;     // of a block
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

    Index panel_size(const Plan& plan) const { return plan.units * plan.panels.size() * plan.channels + kernels_.lanes; }

    // What the sums of a tile are joined to, for one group of phases.
    Index joined_size(const Plan& plan) const {
        return joins_.empty() ? 0 : bundles_.back().channels * needs_.phases * plan.width + kernels_.lanes;
    }

    // Sums of one bundle of output channels; of one group of phases, if a panel holds all input channels.
    Index bundle_size(const Plan& plan) const {
        const Index groups = plan.channels >= depth_ ? 1 : ssize(groups_);
        return groups * bundles_.back().channels * sums_ * plan.width;
    }

    Index bundles_at_once(const Plan& plan) const {
        if (plan.channels >= depth_) return ssize(bundles_);
        return std::max<Index>(1, tuning::pixels::sums_bytes / (bundle_size(plan) * plan.panels.tiles() * static_cast<Index>(sizeof(T))));
    }

    Index sums_size(const Plan& plan, Index bundles) const {
        const bool whole = plan.channels >= depth_;
        return (whole ? 1 : std::min(bundles, bundles_at_once(plan)) * plan.panels.tiles()) * bundle_size(plan) + kernels_.lanes;
    }

    // Which channels and phases make a tile, and where its weights and sums lie.
    void lay_out() {
        // As many channels as fill the largest tile twice, if phases do not; about as many in each bundle.
        using tuning::pixels::bundle_channels;
        const Index wide = std::clamp(2 * kernels_.rows / sums_, bundle_channels, std::max(bundle_channels, kernels_.rows));
        const Index count = woven_channels_ ? 1 : ceil_div(layer_.out_channels, wide);
        for (Index b = 0; b < count; ++b) {
            const Index first = part(layer_.out_channels, b, count);
            Bundle bundle{first, part(layer_.out_channels, b + 1, count) - first, {}};
            for (const Group& group : groups_) {
                bundle.tiles.emplace_back();
                for (std::size_t set = 0; set < group.sets.size(); ++set) {
                    const Index all = bundle.channels * static_cast<Index>(group.sets[set].sums.size());
                    const Index tiles = ceil_div(all, kernels_.rows);
                    for (Index t = 0; t < tiles; ++t)
                        bundle.tiles.back().push_back(
                            tile_of(bundle, group.sets[set], set, part(all, t, tiles), part(all, t + 1, tiles)));
                }
            }
            bundles_.push_back(std::move(bundle));
        }
    }

    // Rows begin..end of the set: its phases of the bundle's first channel, of the second, and so on.
    Tile tile_of(const Bundle& bundle, const PixelSet& set, std::size_t number, Index begin, Index end) {
        const auto together = static_cast<Index>(set.sums.size()), taps = static_cast<Index>(set.shifts.size());
        Tile tile{number, end - begin, {}, order_.weights, static_cast<Index>(order_.biases.size())};
        Column column{order_.weights, taps * tile.rows, taps * tile.rows, {}};
        for (Index r = 0; r < tile.rows; ++r) {
            const Index channel = (begin + r) / together, sum = set.sums[static_cast<std::size_t>((begin + r) % together)];
            tile.row[r] = row_of(bundle, channel, sum, sums_);
            const auto join = static_cast<std::size_t>(sum);
            const bool added = !joins_.empty() && join > 0 && joins_[join - 1].phase == joins_[join].phase;
            order_.biases.push_back(added ? PackOrder::none : bundle.first + channel);
        }
        for (std::size_t s = 0; s < set.shifts.size(); ++s)
            for (Index r = begin; r < end; ++r)
                column.from.push_back((bundle.first + r / together) * layer_.taps() +
                                      set.weights[static_cast<std::size_t>(r % together)][s]);
        order_.weights += column.width * kernels_.whole(depth_);
        order_.columns.push_back(std::move(column));
        return tile;
    }

    // Where the sums of a channel are: of a phase as `weave` reads them.
    Index row_of(const Bundle& bundle, Index channel, Index sum, Index sums) const {
        return woven_channels_ ? sum * bundle.channels + channel : channel * sums + sum;
    }

    // The units begin..end of all images: one for several tiles, or several for one.
    void compute(const Call& call, const Plan& plan, Index begin, Index end) const {
        thread_local Buffer<E> panel;
        thread_local Buffer<T> sums;
        thread_local std::vector<Unit> fresh;
        const Index count = end - begin;
        panel.grow(panel_size(plan));
        sums.grow(sums_size(plan, call.last - call.first));
        fresh.resize(static_cast<std::size_t>(count));
        const Unit* units[max_vectors];
        for (Index u = 0; u < count; ++u) {
            const auto number = static_cast<std::size_t>((begin + u) % plan.panels.units());
            Unit& own = fresh[static_cast<std::size_t>(u)];
            if (!call.located) plan.panels.locate(own, static_cast<Index>(number));
            units[u] = call.located ? &(*call.located)[number] : &own;
        }
        for (Index channel = 0; channel < depth_; channel += plan.channels) {
            const Index channels = std::min(plan.channels, depth_ - channel);
            const Inputs inputs = inputs_of(call, plan, units, begin, count, panel.data(), channel, channels);
            T* c = sums.data();
            for (Index b = call.first; b < call.last; ++b)
                for (Index t = 0; t < ssize(units[0]->tiles); ++t) {
                    compute_tile(call, plan, bundles_[static_cast<std::size_t>(b)], units, begin, count, t, inputs, c, channel,
                                 channels);
                    if (plan.channels < depth_) c += bundle_size(plan);
                }
        }
    }

    // Of the units begin..begin + count, for some input channels.
    Inputs inputs_of(const Call& call, const Plan& plan, const Unit* const* units, Index begin, Index count, E* panel,
                     Index channel, Index channels) const {
        const Index first = channel * channels_of<E>, read = std::min(channels * channels_of<E>, layer_.in_channels - first);
        const Index size = plan.panels.size() * plan.channels;
        const auto image = [&](Index u) { return call.x.at((begin + u) / plan.panels.units(), call.g * layer_.in_channels + first); };
        Inputs inputs{{}, plan.panels.size()};
        if constexpr (std::is_same_v<S, E>) {
            const auto lies = [](const Unit* unit) { return unit->source != Piece::nothing; };
            if (in_place_ && std::all_of(units, units + count, lies)) {
                inputs.step = call.x.strides[1];
                for (Index u = 0; u < count; ++u) inputs.at[u] = image(u) + units[u]->source;
                return inputs;
            }
        }
        for (Index u = 0; u < count; ++u) {
            E* const to = panel + u * size;
            kernels_.gather(to, plan.panels.size(), image(u), call.x.strides[1], call.x.strides.back(), read,
                            units[u]->pieces.data(), ssize(units[u]->pieces));
            std::fill(to + channels * plan.panels.size(), to + kernels_.whole(channels) * plan.panels.size(), E{});
            inputs.at[u] = to;
        }
        return inputs;
    }

    // One bundle of output channels for the t-th tile. Sums stay in `c` until all input channels are added.
    void compute_tile(const Call& call, const Plan& plan, const Bundle& bundle, const Unit* const* units, Index begin,
                      Index count, Index t, const Inputs& inputs, T* c, Index channel, Index channels) const {
        const Index lanes = kernels_.lanes;
        const Index groups = ssize(groups_), group_size = plan.channels < depth_ ? bundle_size(plan) / groups : 0;
        const E* in[max_vectors];
        Index vectors = 0;
        for (Index u = 0; u < count; ++u) {
            const Unit::Tile& tile = units[u]->tiles[static_cast<std::size_t>(t)];
            for (Index v = 0; v < tile.vectors; ++v) in[vectors++] = inputs.at[u] + tile.lane + v * lanes;
        }
        const std::vector<Index>* distances = plan.distances.data();
        for (std::size_t i = 0; i < groups_.size(); distances += groups_[i++].sets.size(), c += group_size) {
            for (const Tile& tile : bundle.tiles[i])
                add(call, plan, tile, groups_[i].sets[tile.set].begins && channel == 0, distances[tile.set], c, in,
                    inputs.step, vectors, channel, channels);
            if (channel + channels < depth_) continue;
            for (Index u = 0, lane = 0; u < count; ++u) {
                const Unit::Tile& own = units[u]->tiles[static_cast<std::size_t>(t)];
                store(call, (begin + u) / plan.panels.units(), bundle, c + lane, plan, own, own.strips[i]);
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
        const Index taps = ssize(distances), at_once = tconv::at_once<E>(taps, kernels_.deep);
        const E* w = call.packed.template weight<E>() + call.g * order_.weights + tile.weight + channel * taps * tile.rows;
        const T* bias = begins ? call.packed.template bias<T>() + call.g * ssize(order_.biases) + tile.bias : nullptr;
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
        if (!joins_.empty()) c = joined(bundle, c, plan, tile);
        for (Index row = 0; row < phases * channels; ++row)
            activate(kernels_, call.layer, c + row * width, tile.vectors * kernels_.lanes, 1);
        S* to = call.y.at(n, call.g * layer_.out_channels + bundle.first);
        kernels_.weave(to, channel_step, step, c, width, phases, channels, strips.data(), ssize(strips), plan.nontemporal);
    }

    T* joined(const Bundle& bundle, const T* c, const Plan& plan, const Unit::Tile& tile) const {
        thread_local Buffer<T> buffer;
        T* const sums = buffer.grow(joined_size(plan));
        for (Index channel = 0; channel < bundle.channels; ++channel)
            for (std::size_t first = 0, end; first < joins_.size(); first = end) {
                const T* from[max_joined];
                for (end = first; end < joins_.size() && joins_[end].phase == joins_[first].phase; ++end)
                    from[end - first] = c + row_of(bundle, channel, joins_[end].sum, sums_) * plan.width + joins_[end].distance;
                kernels_.join(sums + row_of(bundle, channel, joins_[first].phase, needs_.phases) * plan.width, from,
                              static_cast<Index>(end - first), tile.vectors * kernels_.lanes);
            }
        return sums;
    }

    static constexpr std::size_t max_joined = 16;  // taps of a phase: no more than there are lanes

    const Form layer_;
    const Kernels<S, E>& kernels_;
    const bool woven_channels_;
    const Index depth_;  // elements that hold the channels of a group
    PanelNeeds needs_;
    std::vector<Group> groups_;
    std::vector<Join> joins_;  // by phase; none if there are no sums but those of phases
    Index sums_;               // of a cell's output channel
    std::vector<Bundle> bundles_;
    bool in_place_;  // inputs are read where they lie, if they lie as in a panel
    PackOrder order_;
    Recent<Plan> plans_;
};

}  // namespace tconv
