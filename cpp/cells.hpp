// Outputs of a cell in lanes: for channels-last arrays, long strides and inputs of a single pixel. Each tile takes a few
// cells, whose inputs are broadcast from where they lie, times a panel of weights: lanes are output channels or phases,
// whichever are neighbours in memory.
#pragma once
#include <algorithm>

#include "activation.hpp"
#include "lazy.hpp"
#include "packing.hpp"
#include "phases.hpp"
#include "places.hpp"
#include "problem.hpp"
#include "threads.hpp"

namespace tconv {

constexpr Index chunk_bytes = 128 * 1024;  // inputs and outputs of a chunk of cells, which stay in the cache
constexpr Index few_cells = 32;            // of a chunk: for fewer, fetching all weights takes as long as multiplying
constexpr Index most_cells = 1024;         // of a chunk
constexpr Index most_places = 32 * 1024;   // inputs of cells, of a task; and of all, if they are remembered

enum class LaneOrder { channel_then_phase, phase_then_channel };  // the latter varies fastest

template <class T>
class CellLanes {
   public:
    CellLanes(const Form& layer, const Kernels<T>& kernels, Grouping grouping, LaneOrder order)
        : layer_(layer), kernels_(kernels), lane_order_(order) {
        for (PhaseGroup& phases : group_phases(layer.axes, grouping)) {
            groups_.push_back({std::move(phases), {}});
            lay_out(groups_.back());
        }
    }

    Index packed_weights() const { return order_.weights * layer_.groups; }
    Packed<T> pack(const Constants<T>& layer, const T* weights) const { return tconv::pack(order_, layer, weights); }

    // Bytes that each thread needs beside its output and the weights.
    Index workspace_bytes(const View<const T>& x, const View<T>& y) const {
        const auto plan = plan_of(x, y, 1);
        Index bytes = 0;
        Places places;
        for (std::size_t task = 0; task + 1 < plan->first_part.size(); ++task) {
            Index located = 0, lowest = INT64_MAX, highest = 0;
            for (std::size_t part = plan->first_part[task]; part < plan->first_part[task + 1]; ++part) {
                locate(places, *plan, plan->parts[part]);
                located += static_cast<Index>((2 * places.inputs.size() + 2 * places.y.size()) * sizeof(Index));
                lowest = std::min(lowest, places.lowest);
                highest = std::max(highest, places.highest);
            }
            const Index pixels = plan->walk.transposed ? std::max<Index>(0, highest - lowest + 1) : 0;
            bytes = std::max(bytes, located + pixels * layer_.in_channels * static_cast<Index>(sizeof(T)));
        }
        return bytes;
    }

    bool run(const Constants<T>& layer, const Packed<T>& packed, const View<const T>& x, const View<T>& y,
             double multiplications) const {
        const auto plan = plan_of(x, y, threads_for(multiplications));
        const std::vector<Places>* places = nullptr;
        if (plan->remembers) places = plan->places.get_again([&] { return locate_all(*plan); });
        const auto tasks = static_cast<Index>(plan->first_part.size()) - 1;
        parallel(tasks * layer_.groups, multiplications, [&](Index task) {
            const Index g = task % layer_.groups;
            const Call call{layer, packed, y, places, x.at(0, g * layer_.in_channels), y.at(0, g * layer_.out_channels), g};
            const auto number = static_cast<std::size_t>(task / layer_.groups);
            compute(call, *plan, plan->first_part[number], plan->first_part[number + 1]);
        });
        return true;
    }

   private:
    struct Run {  // lanes of a panel whose outputs are neighbours
        Index lane, count, phase, channel;
    };

    struct Panel {
        Index first, count, vectors;  // lanes of the group's outputs of a cell
        Index weight, bias;           // where they begin, for channel group 0
        Index phases;                 // of its group
        std::vector<Run> runs;
    };

    struct Group {
        PhaseGroup phases;
        std::vector<Panel> panels;
    };

    struct Part {  // cells begin..end and some panels of a group
        std::size_t group;
        Index begin, end, first_panel, last_panel;
    };

    struct Call {
        const Constants<T>& layer;
        const Packed<T>& packed;
        const View<T>& y;
        const std::vector<Places>* places;  // of each part; null: not remembered
        const T* in;  // image 0 of the channel group
        T* out;
        Index g;
    };

    // What is the same for all calls with arrays of one shape.
    struct Plan {
        Plan(const CellLanes& lanes, const View<const T>& x, const View<T>& y, int threads)
            : walk(x, y), zeros(static_cast<std::size_t>(lanes.layer_.in_channels)) {
            const Index outputs = lanes.layer_.out_channels * lanes.layer_.axes.back().stride;
            const Index per_cell = (lanes.layer_.in_channels + outputs) * static_cast<Index>(sizeof(T));
            const Index rows = lanes.kernels_.rows;
            // The phases of a cell are neighbours in rows of pixels: there one task does them all, or threads would
            // write to the same cache lines.
            const bool together = y.strides[1] != 1;
            Index taps = 1, most = 1;
            for (const Group& group : lanes.groups_) taps = std::max(taps, static_cast<Index>(group.phases.taps.front().size()));
            const Index located = taps * (together ? static_cast<Index>(lanes.groups_.size()) : 1);  // of a cell, by a task
            const Index bytes = chunk_bytes / per_cell < few_cells ? 4 * chunk_bytes : chunk_bytes;
            const Index cells_at_once = std::min({bytes / per_cell, most_places / located, most_cells});
            const Index step = std::max<Index>(1, cells_at_once / rows) * rows;
            for (const Group& group : lanes.groups_) {
                cells.push_back(cells_of(lanes.layer_.axes, group.phases, walk.out_size));
                most = std::max(most, cells.back().total * x.shape[0]);
            }
            const Index units = lanes.layer_.groups * ceil_div(most, step) *
                                (together ? 1 : static_cast<Index>(lanes.groups_.size()));
            const Index wanted = std::max<Index>(1, ceil_div(threads > 1 ? 4 * threads : 1, units));
            for (Index begin = 0; begin < most; begin += step)
                for (Index share = 0; share < wanted; ++share) {
                    first_part.push_back(parts.size());
                    for (std::size_t i = 0; i < lanes.groups_.size(); ++i) {
                        const Index end = std::min(begin + step, cells[i].total * x.shape[0]);
                        const auto panels = static_cast<Index>(lanes.groups_[i].panels.size());
                        const Index shares = std::min(wanted, panels);
                        if (begin >= end || share >= shares) continue;
                        if (!together && parts.size() > first_part.back()) first_part.push_back(parts.size());
                        parts.push_back({i, begin, end, part(panels, share, shares), part(panels, share + 1, shares)});
                    }
                }
            first_part.push_back(parts.size());
            remembers = static_cast<double>(most) * static_cast<double>(taps) * static_cast<double>(parts.size()) <= most_places;
        }

        Walk walk;
        std::vector<T> zeros;
        std::vector<Cells> cells;             // of each group
        std::vector<Part> parts;
        std::vector<std::size_t> first_part;  // of each task
        bool remembers;                       // the places, because they are few
        Lazy<std::vector<Places>> places;     // of each part
    };

    std::shared_ptr<const Plan> plan_of(const View<const T>& x, const View<T>& y, int threads) const {
        std::vector<Index> key = shapes_of(x, y);
        key.push_back(threads);
        return plans_.get(key, [&] { return std::make_shared<const Plan>(*this, x, y, threads); });
    }

    void locate(Places& places, const Plan& plan, const Part& part) const {
        const PhaseGroup& phases = groups_[part.group].phases;
        places.locate(plan.walk, layer_.axes, phases, plan.cells[part.group], part.begin, part.end, kernels_.rows);
    }

    std::unique_ptr<std::vector<Places>> locate_all(const Plan& plan) const {
        auto places = std::make_unique<std::vector<Places>>(plan.parts.size());
        for (std::size_t part = 0; part < plan.parts.size(); ++part) locate((*places)[part], plan, plan.parts[part]);
        return places;
    }

    Index phase_of(const Group& group, Index lane) const {
        return lane_order_ == LaneOrder::channel_then_phase ? lane % group.phases.phases() : lane / layer_.out_channels;
    }

    Index channel_of(const Group& group, Index lane) const {
        return lane_order_ == LaneOrder::channel_then_phase ? lane / group.phases.phases() : lane % layer_.out_channels;
    }

    // How the lanes of a group are divided into panels, and what is packed for each.
    void lay_out(Group& group) {
        const Index lanes = group.phases.phases() * layer_.out_channels, most = kernels_.vectors[kernels_.rows - 1];
        const Index vectors = ceil_div(lanes, kernels_.lanes), panels = ceil_div(vectors, most);
        for (Index p = 0; p < panels; ++p) {
            const Index from = part(vectors, p, panels), to = part(vectors, p + 1, panels);
            const Index first = from * kernels_.lanes, width = (to - from) * kernels_.lanes;
            group.panels.push_back({first, std::min(first + width, lanes) - first, to - from, order_.weights,
                                    static_cast<Index>(order_.biases.size()), group.phases.phases(), {}});
            Panel& panel = group.panels.back();
            panel.runs = runs_of(group, panel);
            for (std::size_t t = 0; t < group.phases.taps.front().size(); ++t) {
                Column column{order_.weights, width, width, {}};
                for (Index lane = first; lane < first + panel.count; ++lane) {
                    const Tap& tap = group.phases.taps[static_cast<std::size_t>(phase_of(group, lane))][t];
                    column.from.push_back(channel_of(group, lane) * layer_.taps() + tap.weight);
                }
                order_.columns.push_back(std::move(column));
                order_.weights += width * layer_.in_channels;
            }
            for (Index lane = first; lane < first + width; ++lane)
                order_.biases.push_back(lane < lanes ? channel_of(group, lane) : PackOrder::none);
        }
    }

    std::vector<Run> runs_of(const Group& group, const Panel& panel) const {
        std::vector<Run> runs;
        for (Index lane = 0; lane < panel.count; lane += runs.back().count) {
            const Index phase = phase_of(group, panel.first + lane), channel = channel_of(group, panel.first + lane);
            const Index left = lane_order_ == LaneOrder::channel_then_phase ? group.phases.phases() - phase
                                                                       : layer_.out_channels - channel;
            runs.push_back({lane, std::min(panel.count - lane, left), phase, channel});
        }
        return runs;
    }

    // The parts begin..end of a task.
    void compute(const Call& call, const Plan& plan, std::size_t begin, std::size_t end) const {
        thread_local std::vector<Places> fresh;
        thread_local std::vector<const T*> inputs;
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
        const bool transposed = plan.walk.transposed;
        const T* origin = transposed ? bring_together(plan.walk, call.in, lowest, highest) : call.in;
        const Index from = transposed ? lowest : 0, step = transposed ? layer_.in_channels : 1;
        for (std::size_t number = begin; number < end; ++number) {
            const Part& part = plan.parts[number];
            const Places& places = places_of(number);
            inputs.resize(places.inputs.size());
            for (std::size_t k = 0; k < inputs.size(); ++k) {
                const Index at = places.inputs[k];
                inputs[k] = at == Places::nothing ? plan.zeros.data() : origin + (at - from) * step;
            }
            const Group& group = groups_[part.group];
            for (Index p = part.first_panel; p < part.last_panel; ++p)
                compute_panel(call, group.panels[static_cast<std::size_t>(p)], places, inputs.data(), part.end - part.begin);
        }
    }

    // The channels of the pixels lowest..highest, one pixel after the other.
    const T* bring_together(const Walk& walk, const T* image, Index lowest, Index highest) const {
        thread_local Buffer<T> together;
        const Index channels = layer_.in_channels, columns = walk.in_size.back(), count = highest - lowest + 1;
        if (lowest > highest) return nullptr;
        together.grow(count * channels);
        for (Index pixel = lowest; pixel <= highest;) {
            const T* from = image + pixel % columns * walk.x_strides.back();
            Index rest = pixel / columns;
            for (std::size_t a = walk.in_size.size() - 1; a-- > 0; rest /= walk.in_size[a])
                from += rest % walk.in_size[a] * walk.x_strides[a + 2];
            from += rest * walk.x_strides[0];
            const Index run = std::min(columns - pixel % columns, highest - pixel + 1);
            T* to = together.data() + (pixel - lowest) * channels;
            for (Index begin = 0; begin < channels; begin += 16)  // so many at a time stay in the cache
                for (Index i = 0; i < run; ++i)
                    for (Index c = begin; c < std::min(begin + 16, channels); ++c)
                        to[i * channels + c] = from[c * walk.x_strides[1] + i * walk.x_strides.back()];
            pixel += run;
        }
        return together.data();
    }

    void compute_panel(const Call& call, const Panel& panel, const Places& places, const T* const* x, Index total) const {
        const View<T>& y = call.y;
        alignas(64) T scratch[max_rows * max_vectors * 16];
        const Index width = panel.vectors * kernels_.lanes, tail = panel.count - (panel.vectors - 1) * kernels_.lanes;
        const T* weight = call.packed.weight.data() + call.g * order_.weights + panel.weight;
        const T* bias = call.packed.bias.data() + call.g * static_cast<Index>(order_.biases.size()) + panel.bias;
        const bool together = neighbours(panel, y), activates = call.layer.activation != Activation::none;
        const Run &first = panel.runs.front(), &last = panel.runs.back();
        const Index lowest = std::min(first.phase, last.phase);
        const Index highest = lane_order_ == LaneOrder::channel_then_phase ? highest_phase(panel) : last.phase;
        T* out[max_rows];
        // Long sums go over all tiles in parts, so that the weights of a part stay in the cache; but those of a tile whose
        // outputs are no neighbours are put in place at once.
        for (Index begin = 0, at_once = channels_at_once(places); begin < layer_.in_channels; begin += at_once) {
            const Index end = std::min(begin + at_once, layer_.in_channels);
            const Index* number = places.number.data();
            const T* const* in = x;
            for (Index cell = 0, tile = 0; cell < total; cell += kernels_.rows, ++tile) {
                const Index rows = std::min(kernels_.rows, total - cell), used = places.used[static_cast<std::size_t>(tile)];
                bool all_direct = true;
                for (Index r = 0; r < rows; ++r) {
                    const auto c = static_cast<std::size_t>(cell + r);
                    const Index o = places.o[c];
                    const bool direct = together && o + lowest >= 0 && o + highest < y.shape.back();
                    out[r] = direct ? call.out + places.y[c] + first.channel * y.strides[1] + (o + first.phase) * y.strides.back()
                                    : scratch + r * width;
                    all_direct = all_direct && direct;
                }
                const auto sum = kernels_.cells[rows - 1][panel.vectors - 1];
                if (all_direct) {
                    sum(out, tail, in, number, used, layer_.in_channels, begin, end, weight, begin == 0 ? bias : nullptr);
                } else if (begin == 0) {
                    for (Index from = 0; from < layer_.in_channels; from += at_once)
                        sum(out, tail, in, number, used, layer_.in_channels, from,
                            std::min(from + at_once, layer_.in_channels), weight, from == 0 ? bias : nullptr);
                }
                const bool done = all_direct ? activates && end == layer_.in_channels : begin == 0;
                for (Index r = 0; r < rows && done; ++r) {
                    const auto c = static_cast<std::size_t>(cell + r);
                    activate(kernels_, call.layer, out[r], panel.count, 1);
                    if (out[r] == scratch + r * width) put(call, out[r], panel, call.out + places.y[c], places.o[c]);
                }
                number += used;
                in += used * rows;
            }
        }
    }

    // So many that a sum is not too long, if all taps are used.
    Index channels_at_once(const Places& places) const {
        Index most = 1;
        for (const Index used : places.used) most = std::max(most, used);
        return std::max<Index>(1, longest_sum / most);
    }

    static Index highest_phase(const Panel& panel) {
        Index highest = 0;
        for (const Run& run : panel.runs) highest = std::max(highest, run.phase + run.count - 1);
        return highest;
    }

    // Whether all lanes of the panel are neighbours in memory.
    bool neighbours(const Panel& panel, const View<T>& y) const {
        const Index channel_step = y.strides[1], step = y.strides.back();
        const bool one = panel.runs.size() == 1;
        if (lane_order_ == LaneOrder::phase_then_channel) return channel_step == 1 && (one || step == layer_.out_channels);
        return step == 1 && (one || channel_step == panel.phases);
    }

    void put(const Call& call, const T* sums, const Panel& panel, T* row, Index o) const {
        const Index out = call.y.shape.back(), channel_step = call.y.strides[1], step = call.y.strides.back();
        const bool by_phase = lane_order_ == LaneOrder::channel_then_phase;
        for (const Run& run : panel.runs) {
            const Index at = o + run.phase;
            // A run of phases is clipped to the window; a run of channels lies in it or not.
            const Index low = by_phase ? std::max<Index>(0, -at) : (at < 0 ? run.count : 0);
            const Index high = by_phase ? std::min(run.count, out - at) : (at >= out ? 0 : run.count);
            if (low >= high) continue;
            const Index walk = by_phase ? step : channel_step;
            T* to = row + run.channel * channel_step + at * step + low * walk;
            for (Index j = 0; j < high - low; ++j) to[j * walk] = sums[run.lane + low + j];
        }
    }

    const Form layer_;
    const Kernels<T>& kernels_;
    const LaneOrder lane_order_;
    std::vector<Group> groups_;
    PackOrder order_;
    Recent<Plan> plans_;
};

}  // namespace tconv
