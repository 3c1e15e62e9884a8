// Pixels in lanes: for channels-first arrays. A panel holds the inputs of a block of cells, once for every shift that
// some tap of the group needs; each tile multiplies it with broadcast weights. All phases of the last axis share the
// panel and are interleaved in the store, so that rows of the output are written as they lie in memory.
#pragma once
#include <algorithm>

#include "activation.hpp"
#include "phases.hpp"
#include "problem.hpp"
#include "threads.hpp"

namespace tconv {

constexpr Index pixel_channels = 8;           // output channels of a block
constexpr Index largest_panel = 1536 * 1024;  // bytes; a panel stays in the second-level cache

template <class T>
class Pixels {
   public:
    Pixels(const Constants<T>& layer, const Kernels<T>& kernels) : layer_(layer), kernels_(kernels) {
        Index shifts = 1;
        for (PhaseGroup& phases : group_phases(layer.axes, Grouping::all)) {
            groups_.push_back(plan(std::move(phases)));
            shifts = std::max(shifts, static_cast<Index>(groups_.back().shifts.size()));
        }
        // Lanes of a panel: as many vectors as a tile takes, fewer if the panel would leave the cache.
        const Index bytes = shifts * layer.in_channels * kernels.lanes * static_cast<Index>(sizeof(T));
        width_ = std::min(kernels.vectors, largest_panel / bytes) * kernels.lanes;
        pack();
    }

    // Whether panels of at least one vector are small enough.
    bool fits() const { return width_ > 0; }

    void run(const View<const T>& x, const View<T>& y, double multiplications) const {
        const std::vector<Index> out_size(y.shape.begin() + 2, y.shape.end());
        const Index channel_blocks = ceil_div(layer_.out_channels, pixel_channels);
        std::vector<Cells> cells;
        std::vector<Index> first_task{0};
        const Index images = x.shape[0] * layer_.groups, lanes = width_;
        for (const Group& group : groups_) {
            cells.push_back(cells_of(layer_.axes, group.phases, out_size));
            first_task.push_back(first_task.back() + ceil_div(cells.back().total, lanes));
        }
        // Few blocks of pixels: share the channels as well.
        const Index blocks = images * first_task.back(), wanted = 4 * num_threads();
        const Index shares = std::clamp<Index>(ceil_div(wanted, std::max<Index>(blocks, 1)), 1, channel_blocks);
        parallel(blocks * shares, multiplications, [&](Index task) {
            const Index share = task % shares, block = task / shares % first_task.back();
            const Index image = task / shares / first_task.back();
            const auto found = std::upper_bound(first_task.begin(), first_task.end(), block) - first_task.begin() - 1;
            const auto which = static_cast<std::size_t>(found);
            const Index begin = channel_blocks * share / shares, end = channel_blocks * (share + 1) / shares;
            Block(*this, x, y, groups_[which], cells[which], image / layer_.groups, image % layer_.groups,
                  (block - first_task[which]) * lanes)
                .compute(begin, end);
        });
    }

   private:
    struct Group {
        PhaseGroup phases;
        std::vector<std::vector<Index>> shifts;    // distinct offsets of all taps
        std::vector<std::vector<Index>> segments;  // per phase: which shifts its taps read
        bool alike;                                // all phases read the same: their rows share tiles
        Index weight;                              // where its weights begin, for channel group 0
        Index weight_size;                         // of one channel group
    };

    static Group plan(PhaseGroup phases) {
        Group group{std::move(phases), {}, {}, true, 0, 0};
        for (const auto& taps : group.phases.taps) {
            group.segments.emplace_back();
            for (const Tap& tap : taps) {
                auto at = std::find(group.shifts.begin(), group.shifts.end(), tap.offset);
                group.segments.back().push_back(at - group.shifts.begin());
                if (at == group.shifts.end()) group.shifts.push_back(tap.offset);
            }
            group.alike = group.alike && group.segments.back() == group.segments.front();
        }
        return group;
    }

    // Call use(set, segments, first row, rows) for the tiles of a block of `channels`, in the order of the packed
    // weights: all phases together if they read alike, else phase by phase. A row is (channel, phase) or (channel).
    template <class Use>
    void tiles(const Group& group, Index channels, Use use) const {
        const Index phases = group.phases.phases(), sets = group.alike ? 1 : phases;
        for (Index set = 0; set < sets; ++set) {
            const Index rows = group.alike ? channels * phases : channels;
            const auto& segments = group.segments[static_cast<std::size_t>(set)];
            for (Index row = 0; row < rows; row += kernels_.rows)
                use(set, segments, row, std::min(kernels_.rows, rows - row));
        }
    }

    void pack() {
        Index size = 0;
        for (Group& group : groups_) {
            group.weight = size;
            for (const auto& segments : group.segments)
                group.weight_size += static_cast<Index>(segments.size()) * layer_.in_channels * layer_.out_channels;
            size += group.weight_size * layer_.groups;
        }
        weight_.resize(static_cast<std::size_t>(size));
        T* to = weight_.data();
        for (const Group& group : groups_)
            for (Index g = 0; g < layer_.groups; ++g)
                for (Index first = 0; first < layer_.out_channels; first += pixel_channels)
                    to = pack_block(group, g, first, to);
    }

    T* pack_block(const Group& group, Index g, Index first, T* to) const {
        const Index phases = group.phases.phases(), taps = layer_.taps();
        tiles(group, std::min(pixel_channels, layer_.out_channels - first),
              [&](Index set, const std::vector<Index>& segments, Index row, Index rows) {
                  for (std::size_t s = 0; s < segments.size(); ++s)
                      for (Index ci = 0; ci < layer_.in_channels; ++ci)
                          for (Index r = row; r < row + rows; ++r) {
                              const Index phase = group.alike ? r % phases : set, c = group.alike ? r / phases : r;
                              const Tap& tap = group.phases.taps[static_cast<std::size_t>(phase)][s];
                              const Index in = g * layer_.in_channels + ci;
                              *to++ = layer_.weight[(in * layer_.out_channels + first + c) * taps + tap.weight];
                          }
              });
        return to;
    }

    // A block of neighbouring cells of one group, in one image and channel group.
    class Block {
       public:
        Block(const Pixels& all, const View<const T>& x, const View<T>& y, const Group& group, const Cells& cells,
              Index n, Index g, Index first)
            : all_(all), layer_(all.layer_), x_(x), y_(y), group_(group), n_(n), g_(g) {
            const Index count = std::min(all.width_, cells.total - first);
            vectors_ = ceil_div(count, all.kernels_.lanes);
            width_ = vectors_ * all.kernels_.lanes;
            const Index row_length = cells.count.back();
            for (Index lane = 0; lane < count;) {
                Run run{lane, std::min(count - lane, row_length - (first + lane) % row_length), {}};
                Index rest = (first + lane) / row_length;
                run.cell.resize(cells.first.size());
                run.cell.back() = cells.first.back() + (first + lane) % row_length;
                for (std::size_t a = cells.first.size() - 1; a-- > 0; rest /= cells.count[a])
                    run.cell[a] = cells.first[a] + rest % cells.count[a];
                lane += run.count;
                runs_.push_back(std::move(run));
            }
        }

        // The output channels of blocks begin..end.
        void compute(Index begin, Index end) {
            thread_local std::vector<T> panel, sums;
            fill(panel);
            const Index phases = group_.phases.phases();
            sums.resize(static_cast<std::size_t>(pixel_channels * phases * width_));
            const Index per_channel = group_.weight_size / layer_.out_channels;
            for (Index block = begin; block < end; ++block) {
                const Index first = block * pixel_channels;
                const Index channels = std::min(pixel_channels, layer_.out_channels - first);
                const T* w = all_.weight_.data() + group_.weight + g_ * group_.weight_size + first * per_channel;
                all_.tiles(group_, channels, [&](Index set, const std::vector<Index>& segments, Index row, Index rows) {
                    const Index step = group_.alike ? width_ : phases * width_;
                    all_.kernels_.pixels[rows - 1][vectors_ - 1](
                        sums.data() + (group_.alike ? 0 : set * width_) + row * step, step, panel.data(), segments.data(),
                        static_cast<Index>(segments.size()), layer_.in_channels, w);
                    w += static_cast<Index>(segments.size()) * layer_.in_channels * rows;
                });
                for (Index c = 0; c < channels; ++c)
                    store(sums.data() + c * phases * width_, g_ * layer_.out_channels + first + c);
            }
        }

       private:
        struct Run {
            Index lane, count;
            std::vector<Index> cell;  // of the first lane
        };

        void fill(std::vector<T>& panel) const {
            thread_local std::vector<Piece> pieces;
            const Index one = layer_.in_channels * width_;
            panel.resize(group_.shifts.size() * static_cast<std::size_t>(one));
            const T* image = x_.at(n_, g_ * layer_.in_channels);
            const std::size_t last = layer_.axes.size() - 1;
            for (std::size_t shift = 0; shift < group_.shifts.size(); ++shift) {
                const auto& offset = group_.shifts[shift];
                pieces.clear();
                Index filled = 0;
                for (const Run& run : runs_) {
                    const Index i = run.cell[last] - offset[last], in = x_.shape[last + 2];
                    const Index low = std::max<Index>(0, -i), high = std::min(run.count, in - i);
                    Index source = (i + low) * x_.strides[last + 2];
                    bool inside = low < high;
                    for (std::size_t a = 0; a < last; ++a) {
                        const Index at = run.cell[a] - offset[a];
                        inside = inside && at >= 0 && at < x_.shape[a + 2];
                        source += at * x_.strides[a + 2];
                    }
                    if (!inside) continue;
                    pieces.push_back({run.lane + low, high - low, source});
                    filled += high - low;
                }
                all_.kernels_.gather(panel.data() + static_cast<Index>(shift) * one, width_, image, x_.strides[1],
                                     x_.strides[last + 2], layer_.in_channels, pieces.data(),
                                     static_cast<Index>(pieces.size()), filled < width_);
            }
        }

        // The sums of one output channel, [phase][lane], to where they belong.
        void store(const T* sums, Index channel) const {
            const std::size_t last = layer_.axes.size() - 1;
            const Index phases = group_.phases.phases(), step = y_.strides[last + 2], out = y_.shape[last + 2];
            const T bias = layer_.bias_of(channel);
            for (const Run& run : runs_) {
                T* row = y_.at(n_, channel);
                for (std::size_t a = 0; a < last; ++a) {
                    const Axis& axis = layer_.axes[a];
                    row += (axis.stride * run.cell[a] + group_.phases.residue[a] - axis.crop_lo) * y_.strides[a + 2];
                }
                const Index o = phases * run.cell[last] - layer_.axes[last].crop_lo;  // of the first lane, first phase
                const Index low = o < 0 ? ceil_div(-o, phases) : 0;
                const Index high = std::max(low, std::min(run.count, floor_div(out - o, phases)));
                const T* from = sums + run.lane;
                for (const Index cell : {low - 1, high})  // the cells that the window cuts through
                    if (cell >= 0 && cell < run.count)
                        for (Index phase = 0; phase < phases; ++phase)
                            if (const Index at = o + cell * phases + phase; at >= 0 && at < out) {
                                row[at * step] = from[phase * width_ + cell] + bias;
                                activate(layer_.activation, layer_.slope, row + at * step, 1, step);
                            }
                T* to = row + (o + low * phases) * step;
                all_.kernels_.interleave(to, step, from + low, width_, phases, high - low, bias);
                activate(layer_.activation, layer_.slope, to, (high - low) * phases, step);
            }
        }

        const Pixels& all_;
        const Constants<T>& layer_;
        const View<const T>& x_;
        const View<T>& y_;
        const Group& group_;
        Index n_, g_, vectors_, width_;
        std::vector<Run> runs_;
    };

    const Constants<T>& layer_;
    const Kernels<T>& kernels_;
    std::vector<Group> groups_;
    std::vector<T> weight_;
    Index width_;
};

}  // namespace tconv
