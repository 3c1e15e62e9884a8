// Outputs of a cell in lanes: for channels-last arrays, long strides and inputs of a single pixel. Each tile takes a few
// cells, whose inputs are broadcast from where they lie, times a swath of weights: lanes are output channels or phases,
// whichever are neighbours in memory.
#pragma once
#include <algorithm>

#include "../cache.hpp"
#include "../lazy.hpp"
#include "../places.hpp"
#include "../problem.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "brought.hpp"
#include "cell_chunks.hpp"
#include "cell_groups.hpp"
#include "cell_tiles.hpp"
#include "swaths.hpp"
#include "way.hpp"

namespace tconv {

template <class S, class E>
class CellLanes final : public Program<S> {
    using T = Sum<S>;

   public:
    CellLanes(const Form& layer, const Kernels<S, E>& kernels, Grouping grouping, LaneOrder order)
        : layer_(layer), kernels_(kernels), lane_order_(order), depth_(ceil_div(layer.in_channels, channels_of<E>)),
          row_(kernels.whole(depth_)), groups_(layer, kernels, grouping, order, depth_) {}

    Index packed_bytes() const override { return groups_.order.weights * layer_.groups * static_cast<Index>(sizeof(E)); }
    Packed pack(const Constants<T>& layer, const S* weights) const override { return tconv::pack<E>(groups_.order, layer, weights); }

    Index workspace_bytes(const View<const S>& x, const View<S>& y) const override {
        const auto plan = plan_of(x, y, 1);
        Index bytes = 0;
        Places places;
        for (std::size_t task = 0; task + 1 < plan->first_part.size(); ++task) {
            Index located = 0, lowest = INT64_MAX, highest = 0;
            for (std::size_t part = plan->first_part[task]; part < plan->first_part[task + 1]; ++part) {
                locate(places, *plan, plan->parts[part]);
                located += static_cast<Index>(2 * places.inputs.size() * sizeof(Index) + places.outputs.size() * sizeof(OutputRun));
                lowest = std::min(lowest, places.lowest);
                highest = std::max(highest, places.highest);
            }
            const Index brought = plan->walk.brings ? std::max<Index>(0, highest - lowest + plan->walk.pixel) : 0;
            bytes = std::max(bytes, located + brought * static_cast<Index>(sizeof(S)));
        }
        return bytes + sums_size(*plan) * static_cast<Index>(sizeof(T));
    }

    bool run(const Constants<T>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        const auto plan = plan_of(x, y, threads_for(multiplications));
        const std::vector<Places>* places = nullptr;
        if (plan->remembers) places = plan->places.get_again([&] { return locate_all(*plan); });
        const auto tasks = static_cast<Index>(plan->first_part.size()) - 1;
        parallel(tasks * layer_.groups, multiplications, [&](Index task) {
            const Index g = task % layer_.groups;
            const Call call{layer, packed, y, places, x.at(0, g * layer_.in_channels), y.at(0, g * layer_.out_channels), g};
            const auto number = static_cast<std::size_t>(task / layer_.groups);
            const Multiplying multiplying(kernels_);
            compute(call, *plan, plan->first_part[number], plan->first_part[number + 1]);
            if (exceeds(y, tuning::nontemporal_bytes)) kernels_.fence();
        });
        return true;
    }

   private:
    static constexpr Index put_together = tuning::cells::put_together;

    using Group = CellGroups::Group;

    struct Part {  // cells begin..end and some swaths of a group
        std::size_t group;
        Index begin, end, first_swath, last_swath;
    };

    struct Call {
        const Constants<T>& layer;
        const Packed& packed;
        const View<S>& y;
        const std::vector<Places>* places;  // of each part; null: not remembered
        const S* in;  // image 0 of the channel group
        S* out;
        Index g;
    };

    struct Sources {  // of the cells of a part
        const Places& places;
        const E* const* x;
        const E* zeros;
        Index total;  // cells
        Index depth;  // elements of an input; those of which there are no weights are zeros
    };

    // What is the same for all calls with arrays of one shape.
    struct Plan {
        Plan(const CellLanes& lanes, const View<const S>& x, const View<S>& y, int threads)
            : walk(x, y, !lies_as_elements<E>(lanes.layer_, x)), zeros(static_cast<std::size_t>(lanes.row_)) {
            walk.pixel = lanes.row_ * static_cast<Index>(sizeof(E) / sizeof(S));
            for (const Group& group : lanes.groups_.all)
                cells.push_back(cells_of(lanes.layer_.axes, group.phases, walk.out_size));
            if (lanes.kernels_.deep > 1) lanes.space_evenly(walk, cells);
            // The phases of a cell are neighbours in rows of pixels: there one task does them all, or threads would
            // write to the same cache lines. And they may share inputs that are brought.
            const bool together = y.strides[1] != 1 || walk.padded;
            Index taps = 1, most = 1;
            for (const Group& group : lanes.groups_.all) taps = std::max(taps, static_cast<Index>(group.phases.taps.front().size()));
            const Index located = taps * (together ? static_cast<Index>(lanes.groups_.all.size()) : 1);  // of a cell, by a task
            const Index outputs = lanes.layer_.out_channels * lanes.layer_.axes.back().stride;
            const ChunkNeeds needs{lanes.depth_ * static_cast<Index>(sizeof(E)), outputs * static_cast<Index>(sizeof(S)),
                                   lanes.packed_bytes(), second_cache_bytes(), located, lanes.layer_.groups, lanes.all_at_once()};
            for (const Cells& own : cells) most = std::max(most, own.total * x.shape[0]);
            const Index rows = lanes.groups_.tile_rows, tiles = ceil_div(most, rows);
            const Index chunks = count_chunks(needs, most, rows, threads);
            const Index units = lanes.layer_.groups * chunks * (together ? 1 : static_cast<Index>(lanes.groups_.all.size()));
            const Index wanted = std::max<Index>(1, ceil_div(threads > 1 ? tuning::cells::tasks * threads : 1, units));
            for (Index chunk = 0; chunk < chunks; ++chunk)
                for (Index share = 0; share < wanted; ++share) {
                    first_part.push_back(parts.size());
                    for (std::size_t i = 0; i < lanes.groups_.all.size(); ++i) {
                        const Index begin = part(tiles, chunk, chunks) * rows;
                        const Index end = std::min(part(tiles, chunk + 1, chunks) * rows, cells[i].total * x.shape[0]);
                        const auto swaths = static_cast<Index>(lanes.groups_.all[i].swaths.size());
                        const Index shares = std::min(wanted, swaths);
                        if (begin >= end || share >= shares) continue;
                        if (!together && parts.size() > first_part.back()) first_part.push_back(parts.size());
                        parts.push_back({i, begin, end, part(swaths, share, shares), part(swaths, share + 1, shares)});
                    }
                }
            first_part.push_back(parts.size());
            double located_in_all = 0;
            for (const Part& own : parts) located_in_all += static_cast<double>(own.end - own.begin) * static_cast<double>(taps);
            if (needs.in_tiles) located_in_all /= tuning::cells::places_of_span;
            remembers = located_in_all <= tuning::cells::most_remembered;
        }

        Walk walk;
        std::vector<E> zeros;
        std::vector<Cells> cells;             // of each group
        std::vector<Part> parts;
        std::vector<std::size_t> first_part;  // of each task
        bool remembers;                       // the places, because they are few
        Lazy<std::vector<Places>> places;     // of each part
    };

    std::shared_ptr<const Plan> plan_of(const View<const S>& x, const View<S>& y, int threads) const {
        std::vector<Index> key = shapes_of(x, y);
        key.push_back(threads);
        return plans_.get(key, [&] { return std::make_shared<const Plan>(*this, x, y, threads); });
    }

    void locate(Places& places, const Plan& plan, const Part& part) const {
        const PhaseGroup& phases = groups_.all[part.group].phases;
        places.locate(plan.walk, layer_.axes, phases, plan.cells[part.group], part.begin, part.end, groups_.tile_rows, all_at_once());
    }

    std::unique_ptr<std::vector<Places>> locate_all(const Plan& plan) const {
        auto places = std::make_unique<std::vector<Places>>(plan.parts.size());
        for (std::size_t part = 0; part < plan.parts.size(); ++part) {
            locate((*places)[part], plan, plan.parts[part]);
            (*places)[part].inputs.shrink_to_fit();
        }
        return places;
    }

    // Cells whose inputs are as far apart as they are themselves are a tile where they lie. Where rows are short, many tiles
    // reach beyond one: then images have zeros around, and rows some cells behind that no one wants. Where there are as many
    // images as a tile has cells, its cells are evenly spaced without, but taps share no inputs in the first-level cache.
    // Channels that fill no row of a tile are copied for each tap, unless pixels have zeros behind them.
    void space_evenly(Walk& walk, std::vector<Cells>& cells) const {
        const auto is_long = [&](const Cells& own) { return own.count.back() >= tuning::cells::short_row; };
        const bool copies = depth_ != row_ && groups_.all.front().phases.taps.front().size() > 1;
        if (!copies && std::any_of(cells.begin(), cells.end(), is_long)) return;
        std::vector<PhaseGroup> groups;
        for (const Group& group : groups_.all) groups.push_back(group.phases);
        Walk padded = walk;
        const double pixels = pad(padded, groups, cells), held = static_cast<double>(pixels_of(walk.in_size));
        if (walk.images_first && walk.images >= groups_.tile_rows) {
            if (pixels > tuning::cells::few_zeros * held) return;
        } else if (pixels > tuning::cells::most_zeros * held && pixels > tuning::cells::small_grid) {
            return;
        }
        if (padded.grid == walk.in_size && depth_ == row_) return;
        walk = padded;
        walk.brings = true;
        walk.images_first = false;
        for (Cells& own : cells) {
            if (own.total == 0) continue;
            own.total = own.total / own.count.back() * walk.grid.back();
            own.count.back() = walk.grid.back();
        }
    }

    // The parts begin..end of a task.
    void compute(const Call& call, const Plan& plan, std::size_t begin, std::size_t end) const {
        thread_local std::vector<Places> fresh;
        thread_local std::vector<const E*> inputs;
        if (fresh.size() < end - begin) fresh.resize(end - begin);
        const auto places_of = [&](std::size_t part) -> const Places& {
            return call.places ? (*call.places)[part] : fresh[part - begin];
        };
        Index lowest = INT64_MAX, highest = 0;
        for (std::size_t part = begin; part < end; ++part) {
            if (!call.places) locate(fresh[part - begin], plan, plan.parts[part]);
            lowest = std::min(lowest, places_of(part).lowest);
            highest = std::max(highest, places_of(part).highest);
        }
        const E* together = !plan.walk.brings ? nullptr
                            : brought(plan.walk, kernels_, call.in, layer_.in_channels, row_, lowest, highest);
        for (std::size_t number = begin; number < end; ++number) {
            const Part& part = plan.parts[number];
            const Places& places = places_of(number);
            if (inputs.size() < places.inputs.size()) inputs.resize(places.inputs.size());
            const S* const origin = together ? reinterpret_cast<const S*>(together) : call.in;
            kernels_.address(inputs.data(), places.inputs.data(), ssize(places.inputs), origin, together ? lowest : 0, plan.zeros.data());
            const Group& group = groups_.all[part.group];
            const bool fetches = !together && depth_ >= tuning::cells::fetched_depth &&
                                 ssize(group.phases.taps.front()) <= tuning::cells::fetched_taps;
            const Sources sources{places, inputs.data(), plan.zeros.data(), part.end - part.begin, plan.walk.brings ? row_ : depth_};
            if (all_at_once())
                compute_tiles(call, group, part, sources);
            else
                for (Index p = part.first_swath; p < part.last_swath; ++p)
                    compute_swath(call, group.swaths[static_cast<std::size_t>(p)], sources, p == part.first_swath && fetches);
        }
    }

    // Sums of a swath, for all cells of a part, or of a tile: those of half precision wait there until they are rounded.
    Index sums_size(const Plan& plan) const {
        if (is_own_sum<S>) return 0;
        Index cells = 0, vectors = 0;
        for (const Part& part : plan.parts) cells = std::max(cells, part.end - part.begin);
        if (all_at_once()) cells = groups_.tile_rows * put_together * tuning::cells::sharing_tiles;
        for (const Group& group : groups_.all)
            for (const Swath& swath : group.swaths) vectors = std::max(vectors, swath.vectors);
        return cells * vectors * kernels_.lanes;
    }

    // Registers of two dimensions need so few weights at a time that those of all channels stay in the cache.
    bool all_at_once() const { return kernels_.deep > 1; }

    const E* weight_of(const Call& call, const Swath& swath) const {
        return call.packed.template weight<E>() + call.g * groups_.order.weights + swath.weight;
    }
    const T* bias_of(const Call& call, const Swath& swath) const {
        return call.packed.template bias<T>() + call.g * static_cast<Index>(groups_.order.biases.size()) + swath.bias;
    }
    SwathOutputs<S, E> outputs_of(const Call& call, const Swath& swath) const {
        return {kernels_, call.layer, swath, lane_order_, call.y, call.out};
    }

    // Some tiles at a time, which share what they are multiplied with while it is in the first-level cache: some taps and
    // channels of a swath. As many swaths as there is room for their weights: what is written lies together.
    void compute_tiles(const Call& call, const Group& group, const Part& part, const Sources& sources) const {
        const Places& places = sources.places;
        const TilePasses passes = passes_of<E>(most_taps(places), depth_, kernels_.deep);
        const Index tile_rows = groups_.tile_rows, widest = kernels_.vectors[tile_rows - 1] * kernels_.lanes;
        const Index bytes = most_taps(places) * sources.depth * widest * static_cast<Index>(sizeof(E));
        const Index together = std::max<Index>(1, tuning::cells::weights_bytes / std::max<Index>(1, bytes));
        T* const sums = room_for_sums<T>(passes.tiles * tile_rows * put_together * widest);
        for (Index first = part.first_swath; first < part.last_swath; first += together) {
            const std::vector<Swath> joined = groups_.joined(group, first, std::min(first + together, part.last_swath), put_together);
            std::vector<SwathOutputs<S, E>> outputs;
            for (const Swath& swaths : joined) outputs.push_back(outputs_of(call, swaths));
            TileSlices<E> slices(places.used.data(), places.number.data(), places.spans.data(), sources.x);
            const OutputRun* run = places.outputs.data();
            for (Index begin = 0, end = 0; begin < sources.total; begin = end) {
                end = std::min(begin + passes.tiles * tile_rows, sources.total);
                slices.take(end - begin, tile_rows, passes.slices);
                const Swath* swath = group.swaths.data() + first;
                for (std::size_t j = 0; j < joined.size(); ++j) {
                    const Index width = joined[j].vectors * kernels_.lanes;
                    for (Index lane = 0; lane < width; lane += swath++->vectors * kernels_.lanes)
                        multiply(call, *swath, sources, slices, passes, end - begin, sums + lane, width);
                    outputs[j].put(run, begin, end - begin, sums, width);
                }
            }
        }
    }

    // The sums of a swath for all tiles that were taken, pass by pass.
    void multiply(const Call& call, const Swath& swath, const Sources& sources, const TileSlices<E>& slices,
                  const TilePasses& passes, Index cells, T* sums, Index width) const {
        const auto kernel = kernels_.tile_cells[swath.vectors - 1];
        const Index step = sources.places.step * static_cast<Index>(sizeof(S)), tile_rows = groups_.tile_rows;
        const E* const weight = weight_of(call, swath);
        for (Index slice = 0; slice < passes.slices; ++slice)
            for (Index from = 0; from < sources.depth; from += passes.elements) {
                const Index to = std::min(from + passes.elements, sources.depth);
                const T* const bias = slice == 0 && from == 0 ? bias_of(call, swath) : nullptr;
                const TileSlice<E>* own = slices.of_first_tile(slice);
                for (Index cell = 0; cell < cells; cell += tile_rows, own += passes.slices)
                    kernel(sums + cell * width, width, std::min(tile_rows, cells - cell), own->x, own->spans, step, sources.zeros,
                           own->number, own->taps, depth_, from, to, weight, bias);
            }
    }

    // All tiles, one swath. Long sums go over all of them in parts, so that the weights of a part stay in the cache; but
    // those of a tile whose outputs are no neighbours, or are activated and written past the caches, are put in place at once.
    void compute_swath(const Call& call, const Swath& swath, const Sources& sources, bool fetches) const {
        alignas(64) T scratch[max_rows * max_vectors * 16];
        const Places& places = sources.places;
        const Index width = swath.vectors * kernels_.lanes, tail = swath.count - (swath.vectors - 1) * kernels_.lanes;
        const E* const weight = weight_of(call, swath);
        const SwathOutputs<S, E> outputs = outputs_of(call, swath);
        const Index at_once = channels_at_once(places), total = sources.total;
        const bool activates = call.layer.activation != Activation::none, waits = at_once < depth_;
        const bool past = is_own_sum<S> && outputs.nontemporal() && !waits;
        // Sums of half precision are rounded and put in place some tiles at a time.
        const Index together = is_own_sum<S> ? 1 : tuning::cells::tiles_put_together;
        const Index at_most = std::min(total, together * groups_.tile_rows);
        T* const sums = is_own_sum<S> ? nullptr : room_for_sums<T>((waits ? total : at_most) * width);
        T* out[max_rows];
        for (Index begin = 0; begin < depth_; begin += at_once) {
            const Index end = std::min(begin + at_once, depth_);
            const Index* number = places.number.data();
            const E* const* in = sources.x;
            const OutputRun* run = places.outputs.data();
            for (Index cell = 0, tile = 0; cell < total; cell += groups_.tile_rows, ++tile) {
                const Index rows = std::min(groups_.tile_rows, total - cell), used = places.used[static_cast<std::size_t>(tile)];
                const Index first = cell - tile % together * groups_.tile_rows;  // whose sums are put in place with these
                T* const waiting = is_own_sum<S> ? scratch : sums + (waits ? first : 0) * width;
                bool all_direct = true;
                if constexpr (is_own_sum<S>) {
                    each_run(run, cell, cell + rows, [&](const OutputRun& own, Index from, Index to) {
                        const bool direct = !(past && activates) &&
                                            outputs.place(out + from - cell, own, from, to, scratch + (from - cell) * width, width);
                        all_direct = all_direct && direct;
                    });
                }
                if (!is_own_sum<S> || (past && activates))
                    for (Index r = 0; r < rows; ++r) out[r] = waiting + (cell - first + r) * width;
                if (const Index left = total - cell - rows; fetches && left > 0)
                    fetch(in + used * rows, std::min(groups_.tile_rows, left) * places.used[static_cast<std::size_t>(tile) + 1], begin, end);
                const Index until = all_direct ? end : begin == 0 ? depth_ : 0;
                for (Index from = begin; from < until; from += at_once)
                    kernels_.cells[rows - 1][swath.vectors - 1](out, past && all_direct ? past_caches : tail, in, number, used, depth_,
                                                                from, std::min(from + at_once, until), weight,
                                                                from == 0 ? bias_of(call, swath) : nullptr);
                number += used;
                in += used * rows;
                if (all_direct ? end < depth_ : begin > 0) continue;
                if ((past && activates) || !is_own_sum<S>) {
                    if ((tile + 1) % together == 0 || cell + rows == total) outputs.put(run, first, cell + rows - first, waiting, width);
                } else if (!all_direct || activates) {
                    each_run(run, cell, cell + rows, [&](const OutputRun& own, Index from, Index to) {
                        for (Index c = from; c < to; ++c) {
                            if (activates) activate(kernels_, call.layer, out[c - cell], swath.count, 1);
                            if (out[c - cell] == scratch + (c - cell) * width) outputs.put_one(own, c, out[c - cell]);
                        }
                    });
                }
            }
        }
    }

    // Have inputs that the next tile will read on their way into the cache.
    static void fetch(const E* const* in, Index count, Index begin, Index end) {
        for (Index k = 0; k < count; ++k)
            for (Index j = begin; j < end; j += 64 / static_cast<Index>(sizeof(E))) __builtin_prefetch(in[k] + j);
    }

    static Index most_taps(const Places& places) {
        return places.used.empty() ? 1 : *std::max_element(places.used.begin(), places.used.end());
    }
    // So many that a sum is not too long, if all taps are used.
    Index channels_at_once(const Places& places) const { return at_once<E>(most_taps(places), kernels_.deep, depth_); }

    const Form layer_;
    const Kernels<S, E>& kernels_;
    const LaneOrder lane_order_;
    const Index depth_;  // elements that hold the channels of a group
    const Index row_;    // of a pixel that is brought: `deep` ones lie together
    const CellGroups groups_;
    Recent<Plan> plans_;
};

}  // namespace tconv
