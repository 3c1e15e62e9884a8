// Outputs of a cell in lanes: for channels-last arrays, long strides and few pixels. Each tile takes a few cells, whose
// inputs are broadcast straight from where they lie, times a panel of weights: lanes are output channels or phases,
// whichever are neighbours in memory.
#pragma once
#include <algorithm>

#include "activation.hpp"
#include "phases.hpp"
#include "problem.hpp"
#include "threads.hpp"

namespace tconv {

constexpr Index chunk_bytes = 256 * 1024;  // inputs of a chunk of cells, which stay in the cache for all panels
constexpr Index most_cells = 1024;         // of a chunk

enum class LaneOrder { channel_then_phase, phase_then_channel };  // the latter varies fastest

template <class T>
class CellLanes {
   public:
    CellLanes(const Constants<T>& layer, const Kernels<T>& kernels, Grouping grouping, LaneOrder order)
        : layer_(layer), kernels_(kernels), order_(order) {
        for (PhaseGroup& phases : group_phases(layer.axes, grouping)) groups_.push_back({std::move(phases), {}});
        pack();
    }

    // Every input channel step of `x` must be 1; see Layer::run_cells.
    void run(const View<const T>& x, const View<T>& y, double multiplications) const {
        const std::vector<Index> out_size(y.shape.begin() + 2, y.shape.end());
        const std::vector<T> zeros(static_cast<std::size_t>(layer_.in_channels));
        const Index per_cell = layer_.in_channels * static_cast<Index>(sizeof(T));
        const Index chunk = std::clamp<Index>(chunk_bytes / per_cell, 1, most_cells) / kernels_.rows * kernels_.rows;
        std::vector<Cells> cells;
        Index most = 1;
        for (const Group& group : groups_) {
            cells.push_back(cells_of(layer_.axes, group.phases, out_size));
            most = std::max(most, cells.back().total);
        }
        const Index images = x.shape[0] * layer_.groups, step = std::max(chunk, kernels_.rows);
        // The phases of a cell are neighbours in rows of pixels: there one task does them all, or threads would write
        // to the same cache lines.
        const bool together = y.strides[1] != 1;
        const Index units = images * ceil_div(most, step) * (together ? 1 : static_cast<Index>(groups_.size()));
        const Index wanted = std::max<Index>(1, ceil_div(4 * num_threads(), units));
        std::vector<Part> parts;
        std::vector<std::size_t> first_part;  // of each task
        for (Index begin = 0; begin < most; begin += step)
            for (Index share = 0; share < wanted; ++share) {
                first_part.push_back(parts.size());
                for (std::size_t i = 0; i < groups_.size(); ++i) {
                    const Index end = std::min(begin + step, cells[i].total);
                    const Index panels = static_cast<Index>(groups_[i].panels.size());
                    const Index shares = std::min(wanted, panels);
                    if (begin >= end || share >= shares) continue;
                    if (!together && parts.size() > first_part.back()) first_part.push_back(parts.size());
                    parts.push_back({groups_[i], cells[i], begin, end, panels * share / shares,
                                     panels * (share + 1) / shares});
                }
            }
        first_part.push_back(parts.size());
        const Index count = static_cast<Index>(first_part.size()) - 1;
        parallel(images * count, multiplications, [&](Index task) {
            const Index image = task / count;
            const auto number = static_cast<std::size_t>(task % count);
            for (std::size_t part = first_part[number]; part < first_part[number + 1]; ++part)
                compute(parts[part], x, y, image / layer_.groups, image % layer_.groups, zeros.data());
        });
    }

   private:
    struct Run {  // lanes of a panel whose outputs are neighbours
        Index lane, count, phase, channel;
    };

    struct Panel {
        Index first, count, vectors;  // lanes of the group's outputs of a cell
        Index weight, weight_size;    // where its weights begin, for channel group 0; of one channel group
        std::vector<Run> runs;
    };

    struct Group {
        PhaseGroup phases;
        std::vector<Panel> panels;
    };

    struct Part {  // the cells begin..end and some panels of a group
        const Group& group;
        const Cells& cells;
        Index begin, end, first_panel, last_panel;
    };

    Index phase_of(const Group& group, Index lane) const {
        return order_ == LaneOrder::channel_then_phase ? lane % group.phases.phases() : lane / layer_.out_channels;
    }

    Index channel_of(const Group& group, Index lane) const {
        return order_ == LaneOrder::channel_then_phase ? lane / group.phases.phases() : lane % layer_.out_channels;
    }

    void pack() {
        Index size = 0;
        for (Group& group : groups_) {
            const Index lanes = group.phases.phases() * layer_.out_channels;
            const Index vectors = ceil_div(lanes, kernels_.lanes), panels = ceil_div(vectors, kernels_.vectors[kernels_.rows - 1]);
            const Index depth = static_cast<Index>(group.phases.taps.front().size()) * layer_.in_channels;
            for (Index p = 0; p < panels; ++p) {
                const Index from = vectors * p / panels, to = vectors * (p + 1) / panels;
                const Index first = from * kernels_.lanes;
                const Index needs = depth * (to - from) * kernels_.lanes;
                group.panels.push_back({first, std::min(to * kernels_.lanes, lanes) - first, to - from, size, needs, {}});
                group.panels.back().runs = runs_of(group, group.panels.back());
                size += needs * layer_.groups;
            }
        }
        weight_.resize(static_cast<std::size_t>(size));
        for (const Group& group : groups_)
            for (const Panel& panel : group.panels)
                for (Index g = 0; g < layer_.groups; ++g) pack_panel(group, panel, g);
    }

    std::vector<Run> runs_of(const Group& group, const Panel& panel) const {
        std::vector<Run> runs;
        for (Index lane = 0; lane < panel.count; lane += runs.back().count) {
            const Index phase = phase_of(group, panel.first + lane), channel = channel_of(group, panel.first + lane);
            const Index left = order_ == LaneOrder::channel_then_phase ? group.phases.phases() - phase
                                                                       : layer_.out_channels - channel;
            runs.push_back({lane, std::min(panel.count - lane, left), phase, channel});
        }
        return runs;
    }

    void pack_panel(const Group& group, const Panel& panel, Index g) {
        T* to = weight_.data() + panel.weight + g * panel.weight_size;
        const Index taps = layer_.taps(), width = panel.vectors * kernels_.lanes;
        for (std::size_t t = 0; t < group.phases.taps.front().size(); ++t)
            for (Index ci = 0; ci < layer_.in_channels; ++ci, to += width)
                for (Index lane = 0; lane < panel.count; ++lane) {
                    const Index phase = phase_of(group, panel.first + lane);
                    const Tap& tap = group.phases.taps[static_cast<std::size_t>(phase)][t];
                    const Index in = g * layer_.in_channels + ci, c = channel_of(group, panel.first + lane);
                    to[lane] = layer_.weight[(in * layer_.out_channels + c) * taps + tap.weight];
                }
    }

    // Where the cells of a part read and write, found once for all its panels.
    struct Places {
        std::vector<const T*> inputs;  // [tile][tap][row], of the taps that some row of the tile has an input for
        std::vector<Index> number;     // [tile][tap]: which taps these are
        std::vector<Index> used;       // of each tile: how many
        std::vector<Index> y, o;       // of each cell: where its output row begins; index there of the first phase
    };

    void locate(Places& places, const Part& part, const View<const T>& x, const View<T>& y, const T* image,
                const T* zeros) const {
        const auto& taps = part.group.phases.taps.front();  // all phases of a group read the same
        const std::size_t dims = layer_.axes.size(), count = taps.size();
        std::vector<Index> offsets, cell(dims), low(dims, 0), high(x.shape.begin() + 2, x.shape.end());
        for (const Tap& tap : taps) {
            Index offset = 0;
            for (std::size_t a = 0; a < dims; ++a) {
                offset += tap.offset[a] * x.strides[a + 2];
                low[a] = std::max(low[a], tap.offset[a]);  // cells low..high have an input for every tap
                high[a] = std::min(high[a], x.shape[a + 2] + tap.offset[a]);
            }
            offsets.push_back(offset);
        }
        const Index total = part.end - part.begin;
        places.inputs.resize(count * static_cast<std::size_t>(total));
        places.number.clear();
        places.used.clear();
        places.y.resize(static_cast<std::size_t>(total));
        places.o.resize(static_cast<std::size_t>(total));
        Index rest = part.begin;
        for (std::size_t a = dims; a-- > 0; rest /= part.cells.count[a])
            cell[a] = part.cells.first[a] + rest % part.cells.count[a];
        std::vector<Index> from(static_cast<std::size_t>(kernels_.rows));
        std::vector<char> complete(from.size());  // whether every tap has an input
        std::vector<std::vector<Index>> at(from.size());
        for (Index tile = 0; tile < total; tile += kernels_.rows) {
            const Index rows = std::min(kernels_.rows, total - tile);
            for (Index r = 0; r < rows; ++r) {
                const auto row = static_cast<std::size_t>(r), c = static_cast<std::size_t>(tile + r);
                from[row] = places.y[c] = 0;
                complete[row] = true;
                at[row] = cell;
                for (std::size_t a = 0; a < dims; ++a) {
                    from[row] += cell[a] * x.strides[a + 2];
                    complete[row] = complete[row] && cell[a] >= low[a] && cell[a] < high[a];
                    const Axis& axis = layer_.axes[a];
                    const Index o = axis.stride * cell[a] + part.group.phases.residue[a] - axis.crop_lo;
                    if (a + 1 < dims)
                        places.y[c] += o * y.strides[a + 2];
                    else
                        places.o[c] = o;
                }
                for (std::size_t a = dims; a-- > 0;) {
                    if (++cell[a] < part.cells.first[a] + part.cells.count[a]) break;
                    cell[a] = part.cells.first[a];
                }
            }
            const T** inputs = places.inputs.data() + static_cast<Index>(count) * tile;
            Index used = 0;
            for (std::size_t t = 0; t < count; ++t) {
                bool any = false;
                for (Index r = 0; r < rows; ++r) {
                    const auto row = static_cast<std::size_t>(r);
                    const bool inside = complete[row] || has_input(at[row], taps[t], x);
                    inputs[used * rows + r] = inside ? image + from[row] - offsets[t] : zeros;
                    any = any || inside;
                }
                if (!any) continue;
                places.number.push_back(static_cast<Index>(t));
                ++used;
            }
            places.used.push_back(used);
        }
    }

    static bool has_input(const std::vector<Index>& cell, const Tap& tap, const View<const T>& x) {
        for (std::size_t a = 0; a < cell.size(); ++a)
            if (const Index i = cell[a] - tap.offset[a]; i < 0 || i >= x.shape[a + 2]) return false;
        return true;
    }

    void compute(const Part& part, const View<const T>& x, const View<T>& y, Index n, Index g, const T* zeros) const {
        thread_local Places places;
        alignas(64) T sums[max_rows * max_vectors * 16], bias[max_vectors * 16];
        locate(places, part, x, y, x.at(n, g * layer_.in_channels), zeros);
        const Index taps = static_cast<Index>(part.group.phases.taps.front().size());
        T* image = y.at(n, g * layer_.out_channels);
        for (Index p = part.first_panel; p < part.last_panel; ++p) {
            const Panel& panel = part.group.panels[static_cast<std::size_t>(p)];
            for (Index lane = 0; lane < panel.count; ++lane)
                bias[lane] = layer_.bias_of(g * layer_.out_channels + channel_of(part.group, panel.first + lane));
            const T* weight = weight_.data() + panel.weight + g * panel.weight_size;
            const Index* number = places.number.data();
            for (Index first = 0; first < part.end - part.begin; first += kernels_.rows) {
                const Index rows = std::min(kernels_.rows, part.end - part.begin - first);
                const Index used = places.used[static_cast<std::size_t>(first / kernels_.rows)];
                kernels_.cells[rows - 1][panel.vectors - 1](sums, places.inputs.data() + taps * first, number, used,
                                                            layer_.in_channels, weight);
                number += used;
                for (Index r = 0; r < rows; ++r) {
                    const auto cell = static_cast<std::size_t>(first + r);
                    store(sums + r * panel.vectors * kernels_.lanes, bias, panel, y, image + places.y[cell],
                          places.o[cell]);
                }
            }
        }
    }

    void store(const T* sums, const T* bias, const Panel& panel, const View<T>& y, T* row, Index o) const {
        const Index out = y.shape.back(), channel_step = y.strides[1], step = y.strides.back();
        const bool by_phase = order_ == LaneOrder::channel_then_phase;
        for (const Run& run : panel.runs) {
            const Index at = o + run.phase;
            // A run of phases is clipped to the window; a run of channels lies in it or not.
            const Index low = by_phase ? std::max<Index>(0, -at) : (at < 0 ? run.count : 0);
            const Index high = by_phase ? std::min(run.count, out - at) : (at >= out ? 0 : run.count);
            if (low >= high) continue;
            const Index walk = by_phase ? step : channel_step;
            T* to = row + run.channel * channel_step + at * step + low * walk;
            kernels_.put(to, walk, sums + run.lane + low, bias + run.lane + low, high - low);
            activate(layer_.activation, layer_.slope, to, high - low, walk);
        }
    }

    const Constants<T>& layer_;
    const Kernels<T>& kernels_;
    LaneOrder order_;
    std::vector<Group> groups_;
    std::vector<T> weight_;
};

}  // namespace tconv
