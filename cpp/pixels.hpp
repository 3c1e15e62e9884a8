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
        Index shifts = 1, rows = 1;
        for (PhaseGroup& phases : group_phases(layer.axes, Grouping::all)) {
            groups_.push_back(plan(std::move(phases)));
            const Group& group = groups_.back();
            shifts = std::max(shifts, static_cast<Index>(group.shifts.size()));
            rows = std::max(rows, std::min(pixel_channels, layer.out_channels) * (group.alike ? group.phases.phases() : 1));
        }
        // Lanes of a panel: as many vectors as the tiles take, fewer if the panel would leave the cache.
        const Index bytes = shifts * layer.in_channels * kernels.lanes * static_cast<Index>(sizeof(T));
        width_ = std::min(kernels.vectors[std::min(rows, kernels.rows) - 1], largest_panel / bytes) * kernels.lanes;
        pack();
    }

    // Whether panels of at least one vector are small enough.
    bool fits() const { return width_ > 0; }

    void run(const View<const T>& x, const View<T>& y, double multiplications) const {
        const std::vector<Sharing> all = share_panels(std::vector<Index>(y.shape.begin() + 2, y.shape.end()));
        std::vector<Index> first_block{0};  // of each
        for (const Sharing& sharing : all)
            first_block.push_back(first_block.back() + ceil_div(sharing.cells.total, width_));
        // Few blocks of pixels: share the images and channel groups of a block as well, then its channels.
        const Index images = x.shape[0] * layer_.groups, channel_blocks = ceil_div(layer_.out_channels, pixel_channels);
        const Index blocks = std::max<Index>(first_block.back(), 1), wanted = num_threads() > 1 ? 4 * num_threads() : 1;
        const Index image_shares = std::clamp<Index>(ceil_div(wanted, blocks), 1, images);
        const Index shares = std::clamp<Index>(ceil_div(wanted, blocks * image_shares), 1, channel_blocks);
        // Neighbouring blocks go to one task, which finds their inputs fetched ahead.
        const Index several = std::clamp<Index>(blocks / (8 * wanted), 1, 16);
        // No block at all: the window shows nothing but holes.
        parallel(ceil_div(first_block.back(), several) * image_shares * shares, multiplications, [&](Index task) {
            const Index share = task % shares, part = task / shares % image_shares;
            const Index begin = task / shares / image_shares * several, end = std::min(begin + several, first_block.back());
            thread_local std::vector<Block> located;
            for (Index number = begin; number < end; ++number) {
                const auto above = std::upper_bound(first_block.begin(), first_block.end(), number);
                const auto which = static_cast<std::size_t>(above - first_block.begin() - 1);
                const Sharing& sharing = all[which];
                if (located.size() < sharing.groups.size()) located.resize(sharing.groups.size());
                for (std::size_t i = 0; i < sharing.groups.size(); ++i)
                    locate(located[i], *sharing.groups[i], sharing.cells, x, y, (number - first_block[which]) * width_);
                for (Index image = images * part / image_shares; image < images * (part + 1) / image_shares; ++image) {
                    const Index n = image / layer_.groups, g = image % layer_.groups;
                    const std::vector<T>& panel = gather(located[0], *sharing.groups[0], x, n, g);
                    for (std::size_t i = 0; i < sharing.groups.size(); ++i)
                        compute(located[i], *sharing.groups[i], panel, y, n, g, channel_blocks * share / shares,
                                channel_blocks * (share + 1) / shares);
                }
            }
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

    // Groups that read the same inputs of nearly the same cells: one panel serves all of them.
    struct Sharing {
        std::vector<const Group*> groups;
        Cells cells;  // all that any of them has
        Index total;  // of each group's own cells, added up
    };

    std::vector<Sharing> share_panels(const std::vector<Index>& out_size) const {
        std::vector<Sharing> all;
        for (const Group& group : groups_) {
            const Cells own = cells_of(layer_.axes, group.phases, out_size);
            if (own.total == 0) continue;
            const auto joins = [&](const Sharing& sharing) {
                if (sharing.groups.front()->shifts != group.shifts) return false;
                const Index computed = united(sharing.cells, own).total * static_cast<Index>(sharing.groups.size() + 1);
                return computed * 8 <= (sharing.total + own.total) * 9;  // at most an eighth for nothing
            };
            const auto found = std::find_if(all.begin(), all.end(), joins);
            if (found == all.end()) {
                all.push_back({{&group}, own, own.total});
            } else {
                found->groups.push_back(&group);
                found->cells = united(found->cells, own);
                found->total += own.total;
            }
        }
        return all;
    }

    static Cells united(const Cells& a, const Cells& b) {
        Cells both;
        for (std::size_t axis = 0; axis < a.first.size(); ++axis) {
            const Index first = std::min(a.first[axis], b.first[axis]);
            const Index end = std::max(a.first[axis] + a.count[axis], b.first[axis] + b.count[axis]);
            both.first.push_back(first);
            both.count.push_back(end - first);
            both.total *= end - first;
        }
        return both;
    }

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

    // Neighbouring cells of one group: where their inputs and outputs lie, relative to the first element of an image and
    // channel. The same for every image, channel and channel group.
    struct Block {
        struct Run {  // cells of one row
            Index lane, count;
            bool shown;       // whether the output row lies in the window
            Index y;          // where it begins
            Index o;          // output index of the first cell's first phase
            Index low, high;  // cells whose phases all lie in the window
        };

        Index vectors, width;
        std::vector<Run> runs;
        std::vector<Piece> pieces;  // of all shifts
        std::vector<Index> begin;   // of each shift's pieces
        std::vector<bool> gaps;     // of each shift: whether some lane has no input
    };

    void locate(Block& block, const Group& group, const Cells& cells, const View<const T>& x, const View<T>& y,
                Index first) const {
        const std::size_t last = layer_.axes.size() - 1;
        const Index total = std::min(width_, cells.total - first), row_length = cells.count[last];
        const Index phases = group.phases.phases(), out = y.shape[last + 2];
        block.vectors = ceil_div(total, kernels_.lanes);
        block.width = block.vectors * kernels_.lanes;
        block.runs.clear();
        block.pieces.clear();
        block.begin.assign(1, 0);
        block.gaps.clear();
        thread_local std::vector<Index> at;  // the cell on every axis, run by run
        at.clear();
        for (Index lane = 0; lane < total;) {
            const Index column = (first + lane) % row_length, count = std::min(total - lane, row_length - column);
            const std::size_t place = at.size();
            at.resize(place + last + 1);
            at[place + last] = cells.first[last] + column;
            Index rest = (first + lane) / row_length, offset = 0;
            bool shown = true;
            for (std::size_t a = last; a-- > 0; rest /= cells.count[a]) {
                const Index q = at[place + a] = cells.first[a] + rest % cells.count[a];
                const Axis& axis = layer_.axes[a];
                const Index o = axis.stride * q + group.phases.residue[a] - axis.crop_lo;
                shown = shown && o >= 0 && o < y.shape[a + 2];
                offset += o * y.strides[a + 2];
            }
            const Index o = phases * at[place + last] - layer_.axes[last].crop_lo;
            const Index low = o < 0 ? ceil_div(-o, phases) : 0;
            const Index high = std::max(low, std::min(count, floor_div(out - o, phases)));
            block.runs.push_back({lane, count, shown, offset, o, low, high});
            lane += count;
        }
        for (const auto& shift : group.shifts) {
            Index filled = 0;
            for (std::size_t run = 0; run < block.runs.size(); ++run) {
                const Index* cell = at.data() + run * (last + 1);
                const Index i = cell[last] - shift[last], count = block.runs[run].count;
                const Index low = std::max<Index>(0, -i), high = std::min(count, x.shape[last + 2] - i);
                Index source = (i + low) * x.strides[last + 2];
                bool inside = low < high;
                for (std::size_t a = 0; a < last; ++a) {
                    const Index from = cell[a] - shift[a];
                    inside = inside && from >= 0 && from < x.shape[a + 2];
                    source += from * x.strides[a + 2];
                }
                if (!inside) continue;
                block.pieces.push_back({block.runs[run].lane + low, high - low, source});
                filled += high - low;
            }
            block.begin.push_back(static_cast<Index>(block.pieces.size()));
            block.gaps.push_back(filled < block.width);
        }
    }

    // The panel of image n and channel group g.
    const std::vector<T>& gather(const Block& block, const Group& group, const View<const T>& x, Index n, Index g) const {
        thread_local std::vector<T> panel;
        const Index one = layer_.in_channels * block.width;
        panel.resize(group.shifts.size() * static_cast<std::size_t>(one));
        for (std::size_t shift = 0; shift < group.shifts.size(); ++shift)
            kernels_.gather(panel.data() + static_cast<Index>(shift) * one, block.width, x.at(n, g * layer_.in_channels),
                            x.strides[1], x.strides.back(), layer_.in_channels, block.pieces.data() + block.begin[shift],
                            block.begin[shift + 1] - block.begin[shift], block.gaps[shift], shift == 0);
        return panel;
    }

    // The channel blocks begin..end of image n and channel group g.
    void compute(const Block& block, const Group& group, const std::vector<T>& panel, const View<T>& y, Index n, Index g,
                 Index begin, Index end) const {
        thread_local std::vector<T> sums;
        const Index phases = group.phases.phases();
        sums.resize(static_cast<std::size_t>(pixel_channels * phases * block.width));
        const Index per_channel = group.weight_size / layer_.out_channels;
        for (Index first = begin * pixel_channels; first < std::min(end * pixel_channels, layer_.out_channels);
             first += pixel_channels) {
            const Index channels = std::min(pixel_channels, layer_.out_channels - first);
            const T* w = weight_.data() + group.weight + g * group.weight_size + first * per_channel;
            tiles(group, channels, [&](Index set, const std::vector<Index>& segments, Index row, Index rows) {
                const Index step = group.alike ? block.width : phases * block.width;
                kernels_.pixels[rows - 1][block.vectors - 1](
                    sums.data() + (group.alike ? 0 : set * block.width) + row * step, step, panel.data(),
                    segments.data(), static_cast<Index>(segments.size()), layer_.in_channels, w);
                w += static_cast<Index>(segments.size()) * layer_.in_channels * rows;
            });
            for (Index c = 0; c < channels; ++c)
                store(block, sums.data() + c * phases * block.width, phases, y, n, g * layer_.out_channels + first + c);
        }
    }

    // The sums of one output channel, [phase][lane], to where they belong.
    void store(const Block& block, const T* sums, Index phases, const View<T>& y, Index n, Index channel) const {
        const Index step = y.strides.back(), out = y.shape.back();
        const T bias = layer_.bias_of(channel);
        for (const typename Block::Run& run : block.runs) {
            if (!run.shown) continue;
            T* row = y.at(n, channel) + run.y;
            const T* from = sums + run.lane;
            for (const Index cell : {run.low - 1, run.high})  // the cells that the window cuts through
                if (cell >= 0 && cell < run.count)
                    for (Index phase = 0; phase < phases; ++phase)
                        if (const Index at = run.o + cell * phases + phase; at >= 0 && at < out) {
                            row[at * step] = from[phase * block.width + cell] + bias;
                            activate(layer_.activation, layer_.slope, row + at * step, 1, step);
                        }
            T* to = row + (run.o + run.low * phases) * step;
            kernels_.interleave(to, step, from + run.low, block.width, phases, run.high - run.low, bias);
            activate(layer_.activation, layer_.slope, to, (run.high - run.low) * phases, step);
        }
    }

    const Constants<T>& layer_;
    const Kernels<T>& kernels_;
    std::vector<Group> groups_;
    std::vector<T> weight_;
    Index width_;
};

}  // namespace tconv
