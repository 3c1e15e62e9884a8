// Winograd's minimal filtering on one axis, for stride 1 and arrays whose positions are neighbours in memory: four outputs
// of four taps from seven products instead of sixteen, F(4,4) at the points 0, 1, -1, 2, -2, 1/2, -1/2.
//
// A kernel is cut into pieces of four taps. Outputs are dilation apart within a tile, so that any dilation is the same to
// it, and the tile of piece p reads what the next tile reads for piece p-1: its inputs are transformed once for all
// pieces, whose products are added up before they are transformed back. Where taps do not come out even, they are
// missing in front: a piece whose first tap is missing has no product at the point 0. So 3 taps are 6 products for 4
// outputs, 7 are 13, 11 are 20: 2, 2.15 and 2.2 times fewer than pairs of an output and a tap.
//
// Lanes are tiles: lane b*dilation + r is the tile with the outputs 4*dilation*b + dilation*j + r, for j = 0..3. A row of
// positions is split into four planes, one for each j; the tile's inputs 4..6 lie in the planes 0..2, dilation lanes on.
//
// The points are powers of two or their reciprocals, so that the transforms have few and short constants, and 2 and 1/2
// balance one another: rounding errors are about twice those of the definition, relative to the largest of a
// neighbourhood's inputs.
#pragma once
#include <algorithm>
#include <atomic>

#include "../activation.hpp"
#include "../packing.hpp"
#include "../problem.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "way.hpp"

namespace tconv {

template <class T>
class WinogradLine final : public Program<T> {
   public:
    WinogradLine(const Form& layer, const Kernels<T>& kernels)
        : kernels_(kernels),
          kernel_(layer.axes[0].kernel),
          dilation_(layer.axes[0].dilation),
          pieces_(ceil_div(kernel_, cells)),
          missing_(cells * pieces_ - kernel_),
          base_(layer.axes[0].crop_lo - dilation_ * (cells * pieces_ - 1)),
          groups_(layer.groups),
          channels_(layer.in_channels),
          out_channels_(layer.out_channels) {
        const Index count = ceil_div(layer.out_channels, kernels.rows);
        for (Index t = 0; t < count; ++t) {
            const Index first = part(layer.out_channels, t, count), rows = part(layer.out_channels, t + 1, count) - first;
            tiles_.push_back({first, rows, weights_});
            weights_ += (pieces_ * points - (missing_ > 0)) * channels_ * rows;
        }
    }

    // Whether it can, and pays: see `gain`.
    static bool fits(const Query<T>& query) {
        using namespace tuning::winograd_line;
        const auto& [layer, kernels, x, y, pairs] = query;
        const Axis& axis = layer.axes[0];
        if (layer.axes.size() != 1 || axis.stride != 1 || x.strides[2] != 1 || y.strides[2] != 1) return false;
        const Index length = std::min(x.shape[2], y.shape[2]);
        if (axis.kernel < 3 || axis.dilation * ceil_div(axis.kernel, cells) > widest) return false;
        if (length < few_positions || length < 2 * axis.dilation * (axis.kernel - 1)) return false;
        // A single vector of tiles and all their inputs.
        const Index beyond = ceil_div(axis.dilation * (ceil_div(axis.kernel, cells) - 1), kernels.lanes);
        const Index vectors = layer.in_channels * (1 + beyond) + layer.out_channels;
        if (points * vectors * kernels.lanes * static_cast<Index>(sizeof(T)) > all_bytes) return false;
        return gain(layer, kernels, length, y) >= worth_while;
    }

    Index packed_bytes() const override { return weights_ * groups_ * static_cast<Index>(sizeof(T)); }

    Packed pack(const Constants<T>& layer, const T* weights) const override {
        Packed packed = Packed::of<T>(weights_ * groups_, layer.out_channels * groups_);
        for (Index c = 0; c < layer.out_channels * groups_; ++c) packed.bias<T>()[c] = layer.bias_of(c);
        parallel(channels_ * groups_, static_cast<double>(weights_ * groups_), [&](Index task) {
            const Index g = task / channels_, channel = task % channels_;
            for (const Tile& tile : tiles_)
                for (Index r = 0; r < tile.rows; ++r) {
                    const T* taps = weights + (task * layer.out_channels + tile.first + r) * kernel_;
                    put_transformed(packed.weight<T>() + g * weights_, tile, channel, r, taps);
                }
        });
        return packed;
    }

    // Bytes that each thread needs beside its output and the weights.
    Index workspace_bytes(const View<const T>&, const View<T>& y) const override {
        const Axis axis{kernel_, 1, dilation_, 0};
        const Index vectors = ceil_div(tiles_of(axis, y), kernels_.lanes), blocks = blocks_of(vectors, 1, 1);
        const Sizes sizes(*this, ceil_div(vectors, blocks), dilation_ - 1);
        return (sizes.inputs + sizes.scratch) * static_cast<Index>(sizeof(T));
    }

    // False if some output came out as NaN or Inf, which spreads over a tile here; then all must be computed otherwise.
    bool run(const Constants<T>& layer, const Packed& packed, const View<const T>& x, const View<T>& y,
             double multiplications) const override {
        const Index tiles = tiles_of(layer.axes[0], y), vectors = ceil_div(tiles, kernels_.lanes);
        const Index blocks = blocks_of(vectors, x.shape[0] * groups_, threads_for(multiplications));
        std::atomic<bool> finite{true};
        parallel(blocks * x.shape[0] * groups_, multiplications, [&](Index task) {
            const Index k = task % blocks, g = task / blocks % groups_, n = task / blocks / groups_;
            const Index begin = part(vectors, k, blocks), end = part(vectors, k + 1, blocks);
            const Index last = std::min(end * kernels_.lanes, tiles);
            const Call call{layer, packed, x, y, n, g, begin * kernels_.lanes, last, end - begin};
            if (finite.load(std::memory_order_relaxed) && !compute(call)) finite.store(false, std::memory_order_relaxed);
        });
        return finite.load();
    }

   private:
    static constexpr Index cells = 4, points = 7;  // of a tile: outputs, and inputs and products
    static constexpr Index most_added = longest_sum / 4;  // one by one: the way back multiplies what is lost

    // How many times faster it should be. Inputs and outputs are transformed for each input and output channel, which
    // takes as long as so many products do for every 16 outputs; more where tiles have to be split from runs.
    static double gain(const Form& layer, const Kernels<T>& kernels, Index length, const View<T>& y) {
        const Axis& axis = layer.axes[0];
        const Index pieces = ceil_div(axis.kernel, cells), products = pieces * points - (axis.kernel % cells != 0);
        const Index lanes = ceil_div(tiles_of(axis, y), kernels.lanes) * kernels.lanes;
        const double multiplied = static_cast<double>(products * lanes) / static_cast<double>(axis.kernel * length);
        const double each = 1 / static_cast<double>(layer.in_channels) + 1 / static_cast<double>(layer.out_channels);
        return 1 / (multiplied + (axis.dilation == 1 ? tuning::winograd_line::transforms : tuning::winograd_line::dealt) * each / static_cast<double>(axis.kernel));
    }

    struct Tile {  // neighbouring output channels
        Index first, rows, weight;
    };

    struct Call {  // some tiles of an image and a channel group
        const Constants<T>& layer;
        const Packed& packed;
        const View<const T>& x;
        const View<T>& y;
        Index n, g;
        Index begin, end, vectors;
    };

    // How numbers lie in memory, for a block whose first tile is the `before`-th of its run.
    struct Sizes {
        Sizes(const WinogradLine& program, Index vectors, Index before) {
            const Index lanes = program.kernels_.lanes, dilation = program.dilation_;
            constexpr Index beyond = 64 / static_cast<Index>(sizeof(T));  // what may be written behind a row
            width = vectors * lanes;
            pitch = ceil_div(width + dilation * (program.pieces_ - 1), lanes) * lanes;
            // Apart by an odd number of vectors, so that they do not compete for the same places in the cache.
            point_step = program.channels_ * pitch + 5 * lanes;
            runs = dilation == 1 ? pitch + lanes : ceil_div(before + pitch + dilation, dilation);
            plane_step = runs * dilation + lanes + beyond;
            row = cells * runs * dilation;
            inputs = points * point_step;
            by_tile = inputs * static_cast<Index>(sizeof(T)) <= tuning::winograd_line::inputs_bytes;
            product_step = (by_tile ? program.kernels_.rows : program.out_channels_) * width + 5 * lanes;
            scratch = points * product_step + cells * plane_step + row + beyond;
        }

        Index width, pitch;              // lanes of tiles, and of all their inputs
        Index point_step, product_step;  // from the inputs and products of a point to the next
        Index runs, plane_step, row;     // runs of tiles; from a plane to the next; positions of a row
        Index inputs, scratch;           // numbers
        bool by_tile;                    // whether products of a tile are turned into outputs before the next one's
    };

    static Index tiles_of(const Axis& axis, const View<T>& y) {
        return ceil_div(y.shape[2], cells * axis.dilation) * axis.dilation;
    }

    // All weights are fetched for each block, so it has some vectors at least. If all its inputs stay in the second-level
    // cache then, output channels are finished tile by tile; else point by point is computed for all of them, and a block
    // is as large as the inputs of a point allow.
    Index blocks_of(Index vectors, Index images, Index threads) const {
        using namespace tuning::winograd_line;
        const auto most = [&](auto fits) {
            Index count = most_vectors;
            while (count > 1 && !fits(Sizes(*this, count, dilation_ - 1))) --count;
            return count;
        };
        const auto bytes = [](Index numbers) { return numbers * static_cast<Index>(sizeof(T)); };
        Index each = most([](const Sizes& sizes) { return sizes.by_tile; });
        if (each < some_vectors)
            each = most([&](const Sizes& sizes) {
                return bytes(sizes.point_step) <= point_bytes && bytes(sizes.inputs + sizes.scratch) <= all_bytes;
            });
        const Index blocks = ceil_div(vectors, each), all = blocks * images;
        // Few blocks: as many for each thread.
        return all >= 8 * threads ? blocks : std::min(vectors, ceil_div(ceil_div(all, threads) * threads, images));
    }

    // Taps of a piece at a point: the first may be missing, and at 0 no other counts.
    Index taps_at(Index point) const { return pieces_ - (point == 0 && missing_ > 0); }

    Index weights_before(Index point) const { return point == 0 ? 0 : pieces_ * point - (missing_ > 0); }

    // At the points a: (g0 + g1*a + g2*a^2 + g3*a^3) over the product of the distances from a to the others.
    void put_transformed(T* to, const Tile& tile, Index channel, Index r, const T* taps) const {
        static constexpr double at[points] = {0, 1, -1, 2, -2, 0.5, -0.5};
        static constexpr double distances[points] = {-1, -4.5, -4.5, 90, 90, 1.40625, 1.40625};
        for (Index point = 0; point < points; ++point) {
            const Index count = taps_at(point), first = pieces_ - count;
            T* place = to + tile.weight + weights_before(point) * channels_ * tile.rows + channel * count * tile.rows + r;
            for (Index piece = first; piece < pieces_; ++piece, place += tile.rows) {
                double sum = 0;
                for (Index s = cells; s-- > 0;) {
                    const Index tap = cells * (pieces_ - piece) - 1 - s;  // the last one meets the first input
                    sum = sum * at[point] + (tap < kernel_ ? static_cast<double>(taps[tap]) : 0.0);
                }
                *place = static_cast<T>(sum / distances[point]);
            }
        }
    }

    struct Room {  // of a thread
        T *inputs, *products, *planes, *row;
        Index first;  // output channel of the products
    };

    bool compute(const Call& call) const {
        thread_local Buffer<T> inputs, scratch;
        const Sizes sizes(*this, call.vectors, call.begin % dilation_);
        T* const products = scratch.grow(sizes.scratch);
        T* const planes = products + points * sizes.product_step;
        Room room{inputs.grow(sizes.inputs), products, planes, planes + cells * sizes.plane_step, 0};
        for (Index channel = 0; channel < channels_; ++channel) spread(call, sizes, room, channel);
        if (taps_at(0) == 0) std::fill_n(products, sizes.product_step, T(0));
        const std::size_t together = sizes.by_tile ? 1 : tiles_.size();
        for (std::size_t first = 0; first < tiles_.size(); first += together) {
            room.first = tiles_[first].first;
            for (Index point = 0; point < points; ++point)
                for (std::size_t t = first; t < first + together && taps_at(point) > 0; ++t)
                    multiply(call, sizes, room, tiles_[t], point);
            for (std::size_t t = first; t < first + together; ++t)
                if (!collect(call, sizes, room, tiles_[t])) return false;
        }
        return true;
    }

    // The transformed inputs of all tiles of the block, of one channel.
    void spread(const Call& call, const Sizes& sizes, const Room& room, Index channel) const {
        const Index before = call.begin % dilation_, size = call.x.shape[2];
        const Index first = (call.begin - before) * cells + base_;
        const Index beyond = dilation_ > 1 ? 64 / static_cast<Index>(sizeof(T)) : 0;  // is read behind the last run
        const T* from = call.x.at(call.n, call.g * channels_ + channel);
        if (first >= 0 && first + sizes.row + beyond <= size) {
            from += first;
        } else {
            const Index low = std::clamp<Index>(-first, 0, sizes.row);
            const Index high = std::clamp<Index>(size - first, low, sizes.row);
            std::fill(room.row, room.row + low, T(0));
            if (high > low) std::copy(from + first + low, from + first + high, room.row + low);
            std::fill(room.row + high, room.row + sizes.row, T(0));
            from = room.row;
        }
        T* const to = room.inputs + channel * sizes.pitch;
        if (dilation_ == 1) return kernels_.spread_row(to, sizes.point_step, from, sizes.pitch);
        kernels_.split_runs(room.planes, sizes.plane_step, from, dilation_, sizes.runs);
        const T* x[points];
        for (Index i = 0; i < points; ++i)
            x[i] = room.planes + i % cells * sizes.plane_step + before + i / cells * dilation_;
        kernels_.spread_runs(to, sizes.point_step, x, sizes.pitch);
    }

    // One matrix product: output channels of the tile x channels and pieces times channels and pieces x lanes.
    void multiply(const Call& call, const Sizes& sizes, const Room& room, const Tile& tile, Index point) const {
        static constexpr Index row[max_rows] = {0, 1, 2, 3, 4, 5, 6, 7};
        static constexpr T no_bias[max_rows] = {};
        const Index taps = taps_at(point), at_once = std::max<Index>(1, most_added / taps);
        const Index wide = kernels_.vectors[tile.rows - 1];
        Index distance[tuning::winograd_line::widest];
        for (Index s = 0; s < taps; ++s) distance[s] = (pieces_ - taps + s) * dilation_;
        const T* weight = call.packed.template weight<T>() + call.g * weights_ + tile.weight +
                          weights_before(point) * channels_ * tile.rows;
        const T* from = room.inputs + point * sizes.point_step;
        T* to = room.products + point * sizes.product_step + (tile.first - room.first) * sizes.width;
        for (Index begin = 0; begin < channels_; begin += at_once) {
            const Index count = std::min(at_once, channels_ - begin), strips = ceil_div(call.vectors, wide);
            for (Index strip = 0; strip < strips; ++strip) {
                const Index first = part(call.vectors, strip, strips), end = part(call.vectors, strip + 1, strips);
                const T* in[max_vectors];
                for (Index v = first; v < end; ++v) in[v - first] = from + begin * sizes.pitch + v * kernels_.lanes;
                const auto sum = kernels_.pixels[tile.rows - 1][end - first - 1];
                sum(to + first * kernels_.lanes, row, sizes.width, in, sizes.pitch, distance, taps, count,
                    weight + begin * taps * tile.rows, begin == 0 ? no_bias : nullptr);
            }
        }
    }

    // The block's outputs of some channels, to where they belong.
    bool collect(const Call& call, const Sizes& sizes, const Room& room, const Tile& tile) const {
        const Index count = call.end - call.begin, runs = call.begin / dilation_, origin = runs * dilation_ * cells;
        const bool whole = dilation_ == 1 && cells * call.end <= call.y.shape[2];
        for (Index channel = tile.first; channel < tile.first + tile.rows; ++channel) {
            const Index number = call.g * out_channels_ + channel;
            const T* m = room.products + (channel - room.first) * sizes.width;
            const T bias = call.packed.template bias<T>()[number];
            T* const y = call.y.at(call.n, number);
            if (dilation_ == 1) {
                if (!kernels_.collect_row(whole ? y + origin : room.row, m, sizes.product_step, bias, count)) return false;
            } else {
                T* to = room.planes + call.begin % dilation_;
                if (!kernels_.collect_runs(to, sizes.plane_step, m, sizes.product_step, bias, count)) return false;
                kernels_.join_runs(room.row, room.planes, sizes.plane_step, dilation_, ceil_div(call.end, dilation_) - runs);
            }
            if (whole)
                activate(kernels_, call.layer, y + origin, cells * count, 1);
            else
                put(call, y, room.row, origin);
        }
        return true;
    }

    // A row that begins at `origin`, to where it belongs. Only whole runs of tiles have neighbouring outputs: a block may
    // begin and end within one.
    void put(const Call& call, T* y, const T* row, Index origin) const {
        const auto put_range = [&](Index begin, Index end) {
            end = std::min(end, call.y.shape[2]);
            if (begin >= end) return;
            std::copy(row + (begin - origin), row + (end - origin), y + begin);
            activate(kernels_, call.layer, y + begin, end - begin, 1);
        };
        const auto put_part = [&](Index run, Index low, Index high) {
            for (Index j = 0; j < cells; ++j)
                put_range((run * cells + j) * dilation_ + low, (run * cells + j) * dilation_ + high);
        };
        const Index before = call.begin % dilation_, after = call.end % dilation_;
        const Index first = ceil_div(call.begin, dilation_), last = call.end / dilation_;
        if (first > last) return put_part(last, before, after);
        if (before > 0) put_part(first - 1, before, dilation_);
        put_range(first * cells * dilation_, last * cells * dilation_);
        if (after > 0) put_part(last, 0, after);
    }

    const Kernels<T>& kernels_;
    const Index kernel_, dilation_, pieces_, missing_;
    const Index base_;  // from an output to the input of a piece's first tap
    const Index groups_, channels_, out_channels_;
    std::vector<Tile> tiles_;
    Index weights_ = 0;  // of a channel group
};

template <class T>
constexpr Way<T> winograd_line_way{
    "winograd_line", true, true, WinogradLine<T>::fits, [](const Query<T>&) { return 0; },
    [](const Query<T>& query, int) { return shared_program<WinogradLine<T>>(query.form, query.kernels); }};

}  // namespace tconv
