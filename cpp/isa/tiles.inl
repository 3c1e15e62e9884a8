// Products of pairs of bfloat16 in registers of two dimensions, of up to 16 rows of 64 bytes, as AMX has them. `Tiles` is
// what does it, the processor or, in a test, plain loops.
#include <utility>

#include "kernels.inl"

namespace {

constexpr int deep = 16, tile_lanes = 16;                         // pairs and sums in a row of a tile
constexpr int sum_tiles = 6, left_tile = 6, right_tile = 7;      // tiles 0..5 are sums

// Sums of some rows and vectors, as tiles and then as floats.
template <class Tiles, int rows, int vectors>
struct TileSums {
    static constexpr int width = vectors * tile_lanes;

    // left[row][pair] times right[pair*step + vector*lanes + lane], `deep` pairs.
    template <int... v>
    INLINED static void add(const Bf16Pair* left, const Bf16Pair* const* right, Index step, std::integer_sequence<int, v...>) {
        Tiles::template load<left_tile>(left, deep * sizeof(Bf16Pair));
        ((Tiles::template load<right_tile>(right[v], step * static_cast<Index>(sizeof(Bf16Pair))),
          Tiles::template multiply<v, left_tile, right_tile>()),
         ...);
    }
    template <int... v>
    INLINED static void clear(std::integer_sequence<int, v...>) {
        (Tiles::template clear<v>(), ...);
    }
    template <int... v>
    INLINED static void store(float* sums, std::integer_sequence<int, v...>) {
        (Tiles::template store<v>(sums + v * tile_lanes, width * sizeof(float)), ...);
    }
};

// As `cells`; channels that fill no tile are multiplied as vectors.
template <class Tiles, int rows, int vectors>
void cells_in_tiles(float* const* out, Index last, const Bf16Pair* const* x, const Index* number, Index taps, Index channels,
                    Index first, Index end, const Bf16Pair* weight, const float* bias) {
    using Sums = TileSums<Tiles, rows, vectors>;
    constexpr std::make_integer_sequence<int, vectors> all;
    constexpr int width = Sums::width;
    alignas(64) float sums[rows * width];
    const Index whole = first + (end - first) / deep * deep;
    alignas(64) Bf16Pair left[rows * deep];
    Tiles::begin(rows);
    Sums::clear(all);
    for (Index tap = 0; tap < taps; ++tap)
        for (Index channel = first; channel < whole; channel += deep) {
            for (int r = 0; r < rows; ++r) std::memcpy(left + r * deep, x[tap * rows + r] + channel, sizeof left / rows);
            const Bf16Pair* right[vectors];
            for (int v = 0; v < vectors; ++v)
                right[v] = weight + (number[tap] * channels + channel) * width + v * tile_lanes;
            Sums::add(left, right, width, all);
        }
    Sums::store(sums, all);
    Tiles::end();
    for (int r = 0; r < rows; ++r) {
        V<float> sum[vectors];
        for (int v = 0; v < vectors; ++v) sum[v] = load(sums + r * width + v * tile_lanes);
        for (Index tap = 0; tap < taps; ++tap) {
            const Bf16Pair* in = x[tap * rows + r];
            for (Index channel = whole; channel < end; ++channel)
                for (int v = 0; v < vectors; ++v)
                    add_product(sum[v], load_elements(weight + (number[tap] * channels + channel) * width + v * tile_lanes),
                                in[channel]);
        }
        for (int v = 0; v < vectors; ++v) {
            float* const to = out[r] + v * tile_lanes;
            const Index count = v + 1 < vectors ? tile_lanes : last;
            store_some(to, sum[v] + load_some(bias ? bias + v * tile_lanes : to, count), 0, count);
        }
    }
}

// from[pair*step + row] as left[row][pair].
template <int rows>
INLINED void turn_left(Bf16Pair* left, const Bf16Pair* from, Index step) {
    using Half = Vec<std::uint32_t, 32>::type;
    using Whole = Elements<Bf16Pair>;
    const auto some = [&](Index pair) {
        Half row = {};
        std::memcpy(&row, from + pair * step, rows * sizeof(Bf16Pair));
        return row;
    };
    Whole a[8], b[8];  // pairs j and j + 8; then two of them in each quarter, then four, then all
    for (int j = 0; j < 8; ++j)
        a[j] = __builtin_shufflevector(some(j), some(j + 8), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int j = 0; j < 8; j += 2) {
        b[j] = __builtin_shufflevector(a[j], a[j + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
        b[j + 1] = __builtin_shufflevector(a[j], a[j + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    }
    for (int j = 0; j < 8; j += 4)
        for (int i = 0; i < 2; ++i) {
            const Whole c = b[j + i], d = b[j + i + 2];
            a[j + 2 * i] = __builtin_shufflevector(c, d, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            a[j + 2 * i + 1] = __builtin_shufflevector(c, d, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    for (int j = 0; j < 4; ++j) {
        b[j] = __builtin_shufflevector(a[j], a[j + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
        b[j + 4] = __builtin_shufflevector(a[j], a[j + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
    for (int r = 0; r < rows; ++r) store_elements(left + r * deep, b[r]);
}

// As `pixels`, likewise.
template <class Tiles, int rows, int vectors>
void pixels_in_tiles(float* c, const Index* row, Index width, const Bf16Pair* const* x, Index x_step, const Index* taps,
                     Index count, Index channels, const Bf16Pair* w, const float* bias) {
    using Sums = TileSums<Tiles, rows, vectors>;
    constexpr std::make_integer_sequence<int, vectors> all;
    alignas(64) float sums[rows * Sums::width];
    const Index whole = channels / deep * deep;
    alignas(64) Bf16Pair left[rows * deep];
    Tiles::begin(rows);
    Sums::clear(all);
    for (Index channel = 0; channel < whole; channel += deep)
        for (Index s = 0; s < count; ++s) {
            turn_left<rows>(left, w + (channel * count + s) * rows, count * rows);
            const Bf16Pair* right[vectors];
            for (int v = 0; v < vectors; ++v) right[v] = x[v] + channel * x_step + taps[s];
            Sums::add(left, right, x_step, all);
        }
    Sums::store(sums, all);
    Tiles::end();
    for (int r = 0; r < rows; ++r) {
        V<float> sum[vectors];
        for (int v = 0; v < vectors; ++v) sum[v] = load(sums + r * Sums::width + v * tile_lanes);
        for (Index channel = whole; channel < channels; ++channel)
            for (Index s = 0; s < count; ++s)
                for (int v = 0; v < vectors; ++v)
                    add_product(sum[v], load_elements(x[v] + channel * x_step + taps[s]), w[(channel * count + s) * rows + r]);
        for (int v = 0; v < vectors; ++v) {
            float* const to = c + row[r] * width + v * tile_lanes;
            store(to, bias ? sum[v] + bias[r] : sum[v] + load(to));
        }
    }
}

// The kernels of pairs with both of these in the place of their own.
template <class Tiles, int... number>
constexpr tconv::Kernels<Bf16, Bf16Pair> in_tiles(std::integer_sequence<int, number...>) {
    auto all = kernels<Bf16, Bf16Pair>();
    for (Index& vectors : all.vectors) vectors = sum_tiles;
    ((all.cells[number / sum_tiles][number % sum_tiles] = cells_in_tiles<Tiles, number / sum_tiles + 1, number % sum_tiles + 1>,
      all.pixels[number / sum_tiles][number % sum_tiles] = pixels_in_tiles<Tiles, number / sum_tiles + 1, number % sum_tiles + 1>),
     ...);
    return all;
}
template <class Tiles>
constexpr tconv::Kernels<Bf16, Bf16Pair> in_tiles() {
    return in_tiles<Tiles>(std::make_integer_sequence<int, ROWS * sum_tiles>());
}

}  // namespace
