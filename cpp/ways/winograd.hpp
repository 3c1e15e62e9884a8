// Winograd's minimal filtering (Winograd 1980; Lavin & Gray, CVPR 2016), for channels-last arrays. On each of the last two
// axes, four neighbouring inputs are all that two neighbouring cells of three taps, or three cells of two taps, read; and
// four products are enough for them, instead of six. All phases of the cells read the same four inputs, so these are
// transformed once, whatever the stride. Per axis, for inputs d and taps g (flipped):
//     m0 = (d0-d2)*g0
//     m1 = (d1+d2)*(g0+g1+g2)/2      y0 = m0+m1+m2      of two taps: g2 is absent from m1 and m2, m3 = (d1-d3)*g1,
//     m2 = (d2-d1)*(g0-g1+g2)/2      y1 = m1-m2-m3                   y1 = m1-m2, y2 = m1+m2-m3
//     m3 = (d1-d3)*g2
// The sums over channels, and over the taps of axes before the last two, are matrix products, one for each of the 4x4
// products of a tile.
// Large and small inputs of a tile meet in sums where the definition keeps them apart: rounding errors are relative to
// the largest of its inputs. So this way is taken only if it was asked for.
//
// Large tiles have 6x6 inputs: four cells of three taps, or five of two, on each axis. They need four times fewer products,
// instead of 2.25 times. Their points are 0, r, -r, 2r, -2r and infinity, of which r = sqrt(1/2) makes the largest errors
// smallest: with a hundred channels 1.6e-6 of the largest output in single precision, where 0, 1, -1, 2, -2 and infinity
// would make 7e-6, small tiles make 4e-7 and the definition 8e-7. They pay on larger maps, see winograd_weights.hpp.
// Arrays of half precision, whose products are of floats, have large tiles alone.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>

#include "../activation.hpp"
#include "../packing.hpp"
#include "../packs.hpp"
#include "../problem.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "way.hpp"
#include "winograd_sheet.hpp"
#include "winograd_side.hpp"
#include "winograd_weights.hpp"

namespace tconv {

// Tiles have `points` inputs on either axis; transformed weights are of type W.
template <class S, class W, int points>
class Winograd final : public Program<S> {
    using T = Sum<S>;

   public:
    Winograd(const Form& layer, const Kernels<S>& kernels)
        : kernels_(kernels),
          before_(layer.axes.begin(), layer.axes.end() - 2),
          axes_{Side(layer.axes[before_.size()]), Side(layer.axes[before_.size() + 1])},
          groups_(layer.groups),
          channels_(layer.in_channels),
          pitch_(ceil_div(layer.in_channels, kernels.lanes) * kernels.lanes + kernels.lanes),
          out_vectors_(ceil_div(layer.out_channels, kernels.lanes)),
          weights_(layer, kernels, axes_, taps_of(before_)) {}

    // How many times fewer products than by the definition; 0 where it cannot or should not be.
    static double saved(const Query<S>& query) {
        const auto& [layer, kernels, x, y, pairs] = query;
        if (layer.axes.size() < 2 || x.strides[1] != 1 || y.strides[1] != 1) return 0;
        if (layer.in_channels < kernels.lanes || layer.out_channels < kernels.lanes) return 0;
        if (takes_pairs(query) && pairs->deep > 1) return 0;  // an order of magnitude more products than of floats
        double saved = 1, tiles = static_cast<double>(x.shape[0]);
        constexpr Index least_taps = Weights::anew ? 3 : 2;
        for (std::size_t a = layer.axes.size() - 2; a < layer.axes.size(); ++a) {
            const Side side(layer.axes[a]);
            if (layer.axes[a].dilation != 1 || side.taps < least_taps || side.taps > 3) return 0;
            const auto along = static_cast<double>(side.tiles(y.shape[a + 2]));
            const auto pairs = static_cast<double>(x.shape[a + 2] * side.kernel);
            saved *= pairs / (along * static_cast<double>(points * side.stride));
            tiles *= along;
        }
        const double enough = takes_pairs(query) ? tuning::winograd::worth_while_pairs : tuning::winograd::worth_while;
        const double least = Weights::anew          ? tuning::winograd::few_tiles_anew
                             : points == large_tile ? tuning::winograd::few_large_tiles
                                                    : tuning::winograd::few_tiles;
        const bool too_large = Weights::anew && transformed_bytes(query) > tuning::winograd::most_anew_bytes;
        return saved >= enough && tiles >= least && !too_large ? saved : 0;
    }

    // Whether weights of type T are too many for any layer, so that they are kept in W.
    static int in_few_bits(const Query<S>& query) { return !std::is_same_v<W, T> && transformed_bytes(query) > small_pack; }

    Index workspace_bytes(const View<const S>&, const View<S>& y) const override {
        Index taps = 1;
        for (const Axis& axis : before_) taps *= ceil_div(axis.kernel, axis.stride);
        const Index tiles = tiles_at_once(tiles_of(y), taps, 1);
        const Index sums = all_points * (point_step(tiles * taps) + product_step(tiles));
        return sums * static_cast<Index>(sizeof(T)) + weights_.workspace_bytes();
    }

    Index packed_bytes() const override { return weights_.packed_bytes(); }
    Packed pack(const Constants<T>& layer, const S* weights) const override { return weights_.pack(layer, weights); }

    // False if some output came out as NaN or Inf, which spreads over a tile here; then all must be computed otherwise.
    bool run(const Constants<T>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        const std::vector<Sheet> sheets = sheets_of(before_, x, y);
        std::size_t most = 1;
        for (const Sheet& sheet : sheets) most = std::max(most, sheet.taps.size());
        const int threads = threads_for(multiplications);
        const Index tiles = tiles_of(y), step = tiles_at_once(tiles, static_cast<Index>(most), threads);
        const Index blocks = ceil_div(tiles, step), count = static_cast<Index>(sheets.size());
        const typename Weights::Transformed weights = weights_.ready(packed);
        std::atomic<bool> finite{true};
        parallel(blocks * count * layer.groups, multiplications, [&](Index task) {
            const Index g = task / blocks / count, begin = task % blocks * step;
            const Call call{layer, packed, weights.first, x, y, sheets[static_cast<std::size_t>(task / blocks % count)], g, begin,
                            std::min(step, tiles - begin)};
            if (finite.load(std::memory_order_relaxed) && !compute(call)) finite.store(false, std::memory_order_relaxed);
        });
        return finite.load();
    }

   private:
    static constexpr Index all_points = points * points, most_cells = (points - 1) * (points - 1);
    static constexpr Index most_added = longest_sum / (points == large_tile ? 8 : 1);  // the way back multiplies what is lost

    using Side = WinogradSide<points>;
    using Sheet = WinogradSheet;
    using Weights = WinogradWeights<S, W, points>;
    using Swath = typename Weights::Swath;
    using Stretch = typename Weights::Stretch;

    struct Call {  // some tiles of a sheet and a channel group
        const Constants<T>& layer;
        const Packed& packed;
        const W* weights;  // transformed
        const View<const S>& x;
        const View<S>& y;
        const Sheet& sheet;
        Index g, begin, count;
    };

    struct Tile {
        Index image;
        std::array<Index, 2> cell;  // the first, on each axis
    };

    struct Output {
        S* y;             // of the first cell
        unsigned wanted;  // which cells of the tile lie in the window
    };

    // What transformed weights of type T take.
    static Index transformed_bytes(const Query<S>& query) {
        const auto& axes = query.form.axes;
        Index values = ceil_div(query.form.out_channels, query.kernels.lanes) * query.kernels.lanes * all_points;
        for (std::size_t a = 0; a < axes.size(); ++a) values *= a + 2 < axes.size() ? axes[a].kernel : axes[a].stride;
        return values * query.form.in_channels * query.form.groups * static_cast<Index>(sizeof(T));
    }

    // Of a sheet.
    Index tiles_of(const View<S>& y) const {
        return y.shape[0] * axes_[0].tiles(rows_of(y)) * axes_[1].tiles(y.shape.back());
    }

    static Index rows_of(const View<S>& y) { return y.shape[y.shape.size() - 2]; }

    Index tiles_at_once(Index tiles, Index taps, int threads) const {
        const Index each_bytes = all_points * pitch_ * taps * static_cast<Index>(sizeof(T));
        const Index fit = std::max<Index>(32, tuning::winograd::inputs_bytes / each_bytes);
        const Index each = ceil_div(tiles, std::max<Index>(1, ceil_div(tiles, fit * threads)) * threads);
        return ceil_div(each, kernels_.rows) * kernels_.rows;
    }

    // Apart by an odd number of vectors, so that they do not compete for the same places in the cache.
    Index point_step(Index inputs) const { return inputs * pitch_ + 5 * kernels_.lanes; }
    Index product_step(Index tiles) const { return (tiles * kernels_.vectors[kernels_.rows - 1] + 5) * kernels_.lanes; }

    Tile tile_at(const Call& call, Index number) const {
        const Index columns = axes_[1].tiles(call.y.shape.back()), rows = axes_[0].tiles(rows_of(call.y));
        const Index row = number / columns % rows, column = number % columns;
        return {number / columns / rows,
                {axes_[0].first_cell() + row * axes_[0].cells, axes_[1].first_cell() + column * axes_[1].cells}};
    }

    bool compute(const Call& call) const {
        thread_local Buffer<T> inputs, products;
        const auto taps = static_cast<Index>(call.sheet.taps.size());
        const Index in_step = point_step(call.count * taps), out_step = product_step(call.count);
        inputs.grow(all_points * in_step);
        products.grow(all_points * out_step);
        for (Index n = 0; n < call.count; ++n)
            spread(call, tile_at(call, call.begin + n), inputs.data() + n * taps * pitch_, in_step);
        for (const Swath& swath : weights_.swaths()) {
            multiply(call, swath, inputs.data(), in_step, products.data(), out_step);
            const Index width = swath.vectors * kernels_.lanes;
            for (Index n = 0; n < call.count; ++n)
                if (!collect(call, tile_at(call, call.begin + n), swath, products.data() + n * width, out_step)) return false;
        }
        if constexpr (is_own_sum<S>)
            for (Index n = 0; n < call.count; ++n) activate_tile(call, tile_at(call, call.begin + n));
        return true;
    }

    // A tile's inputs for each tap of the axes before.
    void spread(const Call& call, const Tile& tile, T* to, Index point_step) const {
        const std::size_t last = call.x.shape.size() - 1;
        for (const Index input : call.sheet.inputs) {
            const S* image = call.x.at(tile.image, call.g * channels_) + input;
            const S* from[all_points];
            for (Index i = 0; i < points; ++i)
                for (Index j = 0; j < points; ++j) {
                    const Index row = tile.cell[0] - axes_[0].taps + 1 + i, column = tile.cell[1] - axes_[1].taps + 1 + j;
                    const bool is = row >= 0 && row < call.x.shape[last - 1] && column >= 0 && column < call.x.shape[last];
                    const S* at = image + row * call.x.strides[last - 1] + column * call.x.strides[last];
                    from[points * i + j] = is ? at : zeros_.data();
                }
            tiles().spread(to, point_step, from, channels_);
            to += pitch_;
        }
    }

    // For each point one matrix product: tiles x channels and taps times channels and taps x lanes of the swath.
    void multiply(const Call& call, const Swath& swath, const T* inputs, Index in_step, T* products, Index out_step) const {
        thread_local std::vector<const T*> in;
        const Index width = swath.vectors * kernels_.lanes, taps = static_cast<Index>(call.sheet.taps.size());
        const Index at_once = std::max<Index>(1, most_added / std::max<Index>(1, taps));
        in.resize(static_cast<std::size_t>(taps * kernels_.rows));
        for (Index point = 0; point < all_points; ++point) {
            const W* weight = call.weights + call.g * weights_.of_group() + swath.weight + point * weights_.point_step(swath);
            for (Index begin = 0; begin < channels_; begin += at_once) {
                const Index end = std::min(begin + at_once, channels_);
                for (Index n = 0; n < call.count; n += kernels_.rows) {
                    const Index rows = std::min(kernels_.rows, call.count - n);
                    T* out[max_rows];
                    for (Index r = 0; r < rows; ++r) out[r] = products + point * out_step + (n + r) * width;
                    for (Index k = 0; k < taps * rows; ++k)
                        in[static_cast<std::size_t>(k)] = inputs + point * in_step + ((n + k % rows) * taps + k / rows) * pitch_;
                    const auto sum = [&] {
                        if constexpr (std::is_same_v<W, T>) return kernels_.cells[rows - 1][swath.vectors - 1];
                        else return kernels_.points[rows - 1][swath.vectors - 1];
                    }();
                    sum(out, kernels_.lanes, in.data(), call.sheet.taps.data(), taps, channels_, begin, end, weight,
                        begin == 0 ? no_bias_.data() : nullptr);
                }
            }
        }
    }

    bool collect(const Call& call, const Tile& tile, const Swath& swath, const T* products, Index out_step) const {
        bool finite = true;
        for (const Stretch& stretch : swath.stretches) {
            const Index channels = std::min(stretch.count * kernels_.lanes, call.layer.out_channels - stretch.channel);
            Output first = output(call, tile, stretch.phase);
            first.y += stretch.channel;
            const T* bias = call.packed.template bias<T>() + call.g * out_vectors_ * kernels_.lanes + stretch.channel;
            finite &= collect(call, first, products + stretch.vector * kernels_.lanes, out_step, bias, channels);
        }
        return finite;
    }

    // Sums are written in place; those of half precision are activated and rounded on the way.
    bool collect(const Call& call, const Output& to, const T* products, Index step, const T* bias, Index channels) const {
        const auto sums = tiles().collect[3 - axes_[0].taps][3 - axes_[1].taps];
        const auto [row, column] = steps(call.y);
        const T scale = call.packed.template bias<T>()[groups_ * out_vectors_ * kernels_.lanes];
        if constexpr (is_own_sum<S>) {
            return sums(to.y, row, column, to.wanted, products, step, scale, bias, channels);
        } else {
            alignas(64) T cells[most_cells * max_vectors * 16];
            const Index count = axes_[0].cells * axes_[1].cells;
            if (!sums(cells, axes_[1].cells * channels, channels, ~0u, products, step, scale, bias, channels)) return false;
            activate(kernels_, call.layer, cells, count * channels, 1);
            for (Index k = 0; k < count; ++k)
                if (to.wanted >> k & 1)
                    kernels_.put(to.y + k / axes_[1].cells * row + k % axes_[1].cells * column, cells + k * channels, channels);
            return true;
        }
    }

    const TileKernels<S>& tiles() const { return points == small_tile ? kernels_.small_tiles : kernels_.large_tiles; }

    // Elements from a cell to the next on either axis.
    std::array<Index, 2> steps(const View<S>& y) const {
        const std::size_t last = y.strides.size() - 1;
        return {axes_[0].stride * y.strides[last - 1], axes_[1].stride * y.strides[last]};
    }

    Output output(const Call& call, const Tile& tile, const std::array<Index, 2>& phase) const {
        const std::size_t last = call.y.shape.size() - 1;
        std::array<Index, 2> o;
        for (std::size_t a = 0; a < 2; ++a) o[a] = axes_[a].stride * tile.cell[a] + phase[a] - axes_[a].crop;
        unsigned wanted = 0;
        for (Index i = axes_[0].cells; i-- > 0;)
            for (Index j = axes_[1].cells; j-- > 0;) {
                const Index row = o[0] + i * axes_[0].stride, column = o[1] + j * axes_[1].stride;
                wanted = 2 * wanted + (row >= 0 && row < call.y.shape[last - 1] && column >= 0 && column < call.y.shape[last]);
            }
        S* image = call.y.at(tile.image, call.g * call.layer.out_channels) + call.sheet.y;
        return {image + o[0] * call.y.strides[last - 1] + o[1] * call.y.strides[last], wanted};
    }

    void activate_tile(const Call& call, const Tile& tile) const {
        if (call.layer.activation == Activation::none) return;
        const auto [row, column] = steps(call.y);
        for (Index p = 0; p < axes_[0].stride * axes_[1].stride; ++p) {
            const Output first = output(call, tile, {p / axes_[1].stride, p % axes_[1].stride});
            for (Index k = 0; k < axes_[0].cells * axes_[1].cells; ++k)
                if (first.wanted >> k & 1)
                    activate(kernels_, call.layer, first.y + k / axes_[1].cells * row + k % axes_[1].cells * column,
                             call.layer.out_channels, 1);
        }
    }

    const Kernels<S>& kernels_;
    const std::vector<Axis> before_;
    const std::array<Side, 2> axes_;
    const Index groups_, channels_, pitch_, out_vectors_;
    const Weights weights_;
    const std::vector<S> zeros_ = std::vector<S>(static_cast<std::size_t>(channels_));
    const std::vector<T> no_bias_ = std::vector<T>(static_cast<std::size_t>(max_vectors * kernels_.lanes));
};

// Where small tiles save nearly as many products, large ones are not worth their errors.
template <class S>
bool large_tiles_fit(const Query<S>& query) {
    const double saved = Winograd<S, Sum<S>, large_tile>::saved(query);
    if constexpr (is_own_sum<S>)
        return saved > tuning::winograd::worth_larger * Winograd<S, S, small_tile>::saved(query);
    else
        return saved > 0;
}

template <class S>
constexpr Way<S> large_winograd_way{
    "winograd_6x6", true, true, large_tiles_fit<S>, Winograd<S, PointWeight<S>, large_tile>::in_few_bits,
    [](const Query<S>& query, int in_few_bits) -> std::shared_ptr<const Program<S>> {
        if (in_few_bits) return shared_program<Winograd<S, PointWeight<S>, large_tile>>(query.form, query.kernels);
        return shared_program<Winograd<S, Sum<S>, large_tile>>(query.form, query.kernels);
    }};

template <class T>
constexpr Way<T> small_winograd_way{
    "winograd_4x4", true, true, [](const Query<T>& query) { return Winograd<T, T, small_tile>::saved(query) > 0; },
    [](const Query<T>&) { return 0; },
    [](const Query<T>& query, int) -> std::shared_ptr<const Program<T>> {
        return shared_program<Winograd<T, T, small_tile>>(query.form, query.kernels);
    }};

}  // namespace tconv
