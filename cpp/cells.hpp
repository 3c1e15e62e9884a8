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

enum class LaneOrder { channel_then_phase, phase_then_channel };  // the latter varies fastest

template <class T>
class CellLanes {
   public:
    CellLanes(const Constants<T>& layer, const Kernels<T>& kernels, Grouping grouping, LaneOrder order)
        : layer_(layer), kernels_(kernels), order_(order) {
        for (PhaseGroup& phases : group_phases(layer.axes, grouping)) groups_.push_back({std::move(phases), {}});
        pack();
    }

    // Every input channel step of `x` must be 1; see `channels_last`.
    void run(const View<const T>& x, const View<T>& y, double multiplications) const {
        const std::vector<Index> out_size(y.shape.begin() + 2, y.shape.end());
        const std::vector<T> zeros(static_cast<std::size_t>(layer_.in_channels));
        struct Part {
            const Group* group;
            const Cells* cells;
            Index begin, end, first_panel, last_panel;
        };
        std::vector<Cells> cells;
        for (const Group& group : groups_) cells.push_back(cells_of(layer_.axes, group.phases, out_size));
        const Index per_cell = layer_.in_channels * static_cast<Index>(sizeof(T));
        const Index chunk = std::max(kernels_.rows, chunk_bytes / per_cell / kernels_.rows * kernels_.rows);
        std::vector<Part> parts;
        Index most = 1;
        for (const Cells& each : cells) most = std::max(most, each.total);
        const Index images = x.shape[0] * layer_.groups;
        const Index units = images * ceil_div(most, chunk) * static_cast<Index>(groups_.size());
        for (Index begin = 0; begin < most; begin += chunk)
            for (std::size_t i = 0; i < groups_.size(); ++i) {
                const Index end = std::min(begin + chunk, cells[i].total);
                const Index panels = static_cast<Index>(groups_[i].panels.size());
                const Index shares = std::clamp<Index>(ceil_div(4 * num_threads(), units), 1, panels);
                for (Index share = 0; begin < end && share < shares; ++share)
                    parts.push_back({&groups_[i], &cells[i], begin, end, panels * share / shares,
                                     panels * (share + 1) / shares});
            }
        const Index count = static_cast<Index>(parts.size());
        parallel(images * count, multiplications, [&](Index task) {
            const Part& part = parts[static_cast<std::size_t>(task % count)];
            const Index image = task / count;
            for (Index panel = part.first_panel; panel < part.last_panel; ++panel)
                for (Index cell = part.begin; cell < part.end; cell += kernels_.rows)
                    tile(*part.group, part.group->panels[static_cast<std::size_t>(panel)], *part.cells, x, y,
                         zeros.data(), image / layer_.groups, image % layer_.groups, cell,
                         std::min(kernels_.rows, part.end - cell));
        });
    }

   private:
    struct Panel {
        Index first, count, vectors;  // lanes of the group's outputs of a cell
        Index weight, weight_size;    // where its weights begin, for channel group 0; of one channel group
    };

    struct Group {
        PhaseGroup phases;
        std::vector<Panel> panels;
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
                group.panels.push_back({first, std::min(to * kernels_.lanes, lanes) - first, to - from, size, needs});
                size += needs * layer_.groups;
            }
        }
        weight_.resize(static_cast<std::size_t>(size));
        for (const Group& group : groups_)
            for (const Panel& panel : group.panels)
                for (Index g = 0; g < layer_.groups; ++g) pack_panel(group, panel, g);
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

    void tile(const Group& group, const Panel& panel, const Cells& cells, const View<const T>& x, const View<T>& y,
              const T* zeros, Index n, Index g, Index first, Index rows) const {
        thread_local std::vector<const T*> inputs;
        thread_local std::vector<Index> at;
        alignas(64) T sums[max_rows * max_vectors * 16];
        const auto& taps = group.phases.taps.front();  // all phases of a group read the same
        const std::size_t dims = layer_.axes.size();
        inputs.resize(taps.size() * static_cast<std::size_t>(rows));
        at.resize(static_cast<std::size_t>(rows) * dims);
        const T* image = x.at(n, g * layer_.in_channels);
        for (Index r = 0; r < rows; ++r) {
            Index rest = first + r;
            Index* cell = at.data() + static_cast<std::size_t>(r) * dims;
            for (std::size_t a = dims; a-- > 0; rest /= cells.count[a]) cell[a] = cells.first[a] + rest % cells.count[a];
            for (std::size_t t = 0; t < taps.size(); ++t) {
                const T* from = image;
                bool inside = true;
                for (std::size_t a = 0; a < dims; ++a) {
                    const Index i = cell[a] - taps[t].offset[a];
                    inside = inside && i >= 0 && i < x.shape[a + 2];
                    from += i * x.strides[a + 2];
                }
                inputs[t * static_cast<std::size_t>(rows) + static_cast<std::size_t>(r)] = inside ? from : zeros;
            }
        }
        kernels_.cells[rows - 1][panel.vectors - 1](sums, inputs.data(), static_cast<Index>(taps.size()), 1,
                                                    layer_.in_channels,
                                                    weight_.data() + panel.weight + g * panel.weight_size);
        for (Index r = 0; r < rows; ++r)
            store(sums + r * panel.vectors * kernels_.lanes, group, panel, y, n, g,
                  at.data() + static_cast<std::size_t>(r) * dims);
    }

    void store(const T* sums, const Group& group, const Panel& panel, const View<T>& y, Index n, Index g,
               const Index* cell) const {
        const std::size_t last = layer_.axes.size() - 1;
        T* row = y.at(n, g * layer_.out_channels);
        for (std::size_t a = 0; a < last; ++a) {
            const Axis& axis = layer_.axes[a];
            row += (axis.stride * cell[a] + group.phases.residue[a] - axis.crop_lo) * y.strides[a + 2];
        }
        const Axis& axis = layer_.axes[last];
        const Index o = axis.stride * cell[last] + group.phases.residue[last] - axis.crop_lo, out = y.shape[last + 2];
        const T* bias = layer_.bias ? layer_.bias + g * layer_.out_channels : nullptr;
        const Index phases = group.phases.phases();
        const bool by_phase = order_ == LaneOrder::channel_then_phase;
        for (Index lane = 0; lane < panel.count;) {
            const Index phase = phase_of(group, panel.first + lane), c = channel_of(group, panel.first + lane);
            const Index count = std::min(panel.count - lane, by_phase ? phases - phase : layer_.out_channels - c);
            T* to = row + c * y.strides[1] + (o + phase) * y.strides[last + 2];
            const T* from = sums + lane;
            if (by_phase) {
                const Index step = y.strides[last + 2], add = std::max<Index>(0, -(o + phase));
                const Index end = std::min(count, out - (o + phase));
                for (Index j = add; j < end; ++j) to[j * step] = from[j] + (bias ? bias[c] : T(0));
                if (add < end) activate(layer_.activation, layer_.slope, to + add * step, end - add, step);
            } else if (o + phase >= 0 && o + phase < out) {
                const Index step = y.strides[1];
                for (Index j = 0; j < count; ++j) to[j * step] = from[j] + (bias ? bias[c + j] : T(0));
                activate(layer_.activation, layer_.slope, to, count, step);
            }
            lane += count;
        }
    }

    const Constants<T>& layer_;
    const Kernels<T>& kernels_;
    LaneOrder order_;
    std::vector<Group> groups_;
    std::vector<T> weight_;
};

}  // namespace tconv
