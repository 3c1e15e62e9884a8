// Products of pairs of bfloat16 in registers of two dimensions, of 16 rows of 64 bytes, as AMX has them. `Tiles` is what
// does it, the processor or, in a test, plain loops. All tiles have one shape, so that they are set up once for many
// products: rows beyond those that are wanted are computed from anything, and left where they are.
#include <utility>

#include "kernels.inl"

namespace {

constexpr int deep = 16, tile_lanes = 16, tile_rows = 16;  // pairs and sums in a row of a tile; its rows
constexpr int left_tile = 4, right_tile = 6;               // tiles 0..3 are sums, two are left operands, two are right ones
constexpr Index row_bytes = 64;
constexpr int most_rows = 2 * tile_rows;
constexpr int vectors_in_tiles(int rows) { return rows > tile_rows ? 2 : 4; }

// Whether 16 rows are evenly spaced, so that they are a tile where they lie; and how far apart they are.
template <class T>
INLINED Index distance_of(T* const* rows) {
    return reinterpret_cast<std::intptr_t>(rows[1]) - reinterpret_cast<std::intptr_t>(rows[0]);
}
template <class T>
INLINED bool evenly_spaced(T* const* rows) {
    const auto eight = [&](int r) { return ::load(reinterpret_cast<const std::int64_t*>(rows + r)); };
    const V<std::int64_t> first = distance_of(rows) - V<std::int64_t>{};
    const V<std::int64_t> different = (eight(1) - eight(0) - first) | (eight(8) - eight(7) - first);
    return _mm512_test_epi64_mask(reinterpret_cast<__m512i>(different), reinterpret_cast<__m512i>(different)) == 0;
}

template <int number>
struct Number {  // as std::integral_constant, whose symbols would be weak
    constexpr operator int() const { return number; }
};

// Rows of sums, in blocks of a tile's rows, times `vectors`: tile block*vectors + vector.
template <class Tiles, int blocks, int vectors>
class TileSums {
   public:
    static constexpr int width = vectors * tile_lanes;

    explicit TileSums(int rows) : rows_(rows) {}

    // Of so many rows of the block.
    template <int block>
    INLINED int rows_of() const {
        return block + 1 < blocks ? tile_rows : rows_ - block * tile_rows;
    }

    // bias[lane] in each row, or bias[row] in each lane.
    INLINED void begin_with_lanes(const float* bias) {
        each_block([&](auto block) { load<block>(bias, 0); });
    }
    INLINED void begin_with_rows(const float* bias) {
        each_block([&](auto block) {
            for (int r = 0; r < rows_of<block>(); ++r)
                store(numbers_ + r * tile_lanes, bias[block * tile_rows + r] - V<float>{});
            each_vector([&](auto v) { Tiles::template load<block * vectors + v>(numbers_, row_bytes); });
        });
    }

    // What is at out[row]: `last` lanes of the last vector.
    INLINED void begin_with(float* const* out, Index last) {
        each_block([&](auto block) {
            float* const* from = out + block * tile_rows;
            if (lies_as_tile<block>(from, last)) return load<block>(from[0], distance_of(from));
            each_row<block>(last, [&](int row, int lane, Index count) {
                store(numbers_ + row * width + lane, load_some(from[row] + lane, count));
            });
            load<block>(numbers_, vectors * row_bytes);
        });
    }
    INLINED void put(float* const* out, Index last) {
        each_block([&](auto block) {
            float* const* to = out + block * tile_rows;
            if (lies_as_tile<block>(to, last)) return save<block>(to[0], distance_of(to));
            save<block>(numbers_, vectors * row_bytes);
            each_row<block>(last, [&](int row, int lane, Index count) {
                store_some(to[row] + lane, ::load(numbers_ + row * width + lane), 0, count);
            });
        });
    }

    // The same where sums are tiles where they lie, `step` apart.
    INLINED void begin_with(const float* sums, Index step) {
        each_block([&](auto block) { load<block>(sums + block * tile_rows * step, step * static_cast<Index>(sizeof(float))); });
    }
    INLINED void put(float* sums, Index step) {
        each_block([&](auto block) { save<block>(sums + block * tile_rows * step, step * static_cast<Index>(sizeof(float))); });
    }

    // The left operands, brought block by block, times what lies at right[vector], rows `step` apart; and on to the next.
    template <class Bring>
    INLINED void add(Bring bring, const Bf16Pair** right, Index step) {
        each_block(bring);
        each_vector([&](auto v) {
            Tiles::template load<right_tile + v % 2>(right[v], step * static_cast<Index>(sizeof(Bf16Pair)));
            right[v] += deep * step;
            each_block([&](auto block) {
                Tiles::template multiply<block * vectors + v, left_tile + block, right_tile + v % 2>();
            });
        });
    }

   private:
    template <class Use, int... number>
    INLINED static void each(Use use, std::integer_sequence<int, number...>) {
        (use(Number<number>()), ...);
    }
    template <class Use>
    INLINED static void each_block(Use use) {
        each(use, std::make_integer_sequence<int, blocks>());
    }
    template <class Use>
    INLINED static void each_vector(Use use) {
        each(use, std::make_integer_sequence<int, vectors>());
    }
    template <int block, class Use>
    INLINED void each_row(Index last, Use use) const {
        for (int r = 0; r < rows_of<block>(); ++r)
            for (int v = 0; v < vectors; ++v) use(r, v * tile_lanes, v + 1 < vectors ? tile_lanes : last);
    }

    template <int block>
    INLINED bool lies_as_tile(float* const* rows, Index last) const {
        return rows_of<block>() == tile_rows && last == tile_lanes && evenly_spaced(rows);
    }
    template <int block>
    INLINED static void load(const float* from, Index step) {
        each_vector([&](auto v) { Tiles::template load<block * vectors + v>(from + v * tile_lanes, step); });
    }
    template <int block>
    INLINED static void save(float* to, Index step) {
        each_vector([&](auto v) { Tiles::template store<block * vectors + v>(to + v * tile_lanes, step); });
    }

    const int rows_;
    alignas(64) float numbers_[tile_rows * width];  // of a block that is no tile where it lies
};

// The left operands of a tap, each row anywhere, times its weights: copied to be a tile, unless a block of them is one. Behind
// the channels are zeros in the left operand, and any other weights in the right one.
template <class Tiles, int blocks, int vectors>
INLINED void add_rows(TileSums<Tiles, blocks, vectors>& sums, int rows, const Bf16Pair* const* x, Index first, Index end,
                      const Bf16Pair** right) {
    alignas(64) Bf16Pair copied[blocks][tile_rows * deep];
    bool even[blocks];
    for (int b = 0; b < blocks; ++b) even[b] = rows >= (b + 1) * tile_rows && evenly_spaced(x + b * tile_rows);
    for (Index channel = first; channel < end; channel += deep) {
        const Index count = end - channel;
        sums.add(
            [&](auto block) {
                const Bf16Pair* const* in = x + block * tile_rows;
                if (even[block] && count >= deep)
                    return Tiles::template load<left_tile + block>(in[0] + channel, distance_of(in));
                for (int r = 0; r < sums.template rows_of<block>(); ++r)
                    store_elements(copied[block] + r * deep, load_up_to(in[r] + channel, count));
                Tiles::template load<left_tile + block>(copied[block], row_bytes);
            },
            right, tile_lanes);
    }
}

// The rows of a span as places.
INLINED void list_rows(const Bf16Pair** to, const Bf16Pair* first, tconv::Span span, Index step, const Bf16Pair* zeros) {
    const V<std::int64_t> number = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int r = 0; r < most_rows; r += 8) {
        const V<std::int64_t> row = number + r, place = reinterpret_cast<std::int64_t>(first) + row * step;
        store(reinterpret_cast<std::int64_t*>(to + r),
              (row >= span.low) & (row < span.high) ? place : reinterpret_cast<std::int64_t>(zeros) - V<std::int64_t>{});
    }
}

template <class Tiles, int blocks, int vectors>
[[gnu::noinline]] void cells_in_tiles(float* out, Index width, int rows, const Bf16Pair* const* x, const tconv::Span* spans,
                                      Index step, const Bf16Pair* zeros, const Index* number, Index taps, Index channels,
                                      Index first, Index end, const Bf16Pair* weight, const float* bias) {
    TileSums<Tiles, blocks, vectors> sums(rows);
    if (bias)
        sums.begin_with_lanes(bias);
    else
        sums.begin_with(out, width);
    for (Index tap = 0; tap < taps; ++tap) {
        const Bf16Pair* right[vectors];
        for (int v = 0; v < vectors; ++v)
            right[v] = weight + ((number[tap] * vectors + v) * channels + first) * tile_lanes;
        if (spans[tap].high == 0) {
            add_rows(sums, rows, x, first, end, right);
            x += rows;
            continue;
        }
        Index channel = first;
        const char* left = reinterpret_cast<const char*>(*x + first);
        if (spans[tap].low == 0 && spans[tap].high == blocks * tile_rows)
            for (; channel + deep <= end; channel += deep, left += row_bytes)
                sums.add([&](auto block) { Tiles::template load<left_tile + block>(left + block * tile_rows * step, step); },
                         right, tile_lanes);
        if (channel < end) {
            const Bf16Pair* each[most_rows];
            list_rows(each, *x, spans[tap], step, zeros);
            add_rows(sums, rows, each, channel, end, right);
        }
        ++x;
    }
    sums.put(out, width);
}

// As `tile_cells`.
template <class Tiles, int vectors>
void tile_of_cells(float* out, Index width, Index rows, const Bf16Pair* const* x, const tconv::Span* spans, Index step,
                   const Bf16Pair* zeros, const Index* number, Index taps, Index channels, Index first, Index end,
                   const Bf16Pair* weight, const float* bias) {
    const auto compute = rows > tile_rows ? cells_in_tiles<Tiles, 2, vectors> : cells_in_tiles<Tiles, 1, vectors>;
    compute(out, width, static_cast<int>(rows), x, spans, step, zeros, number, taps, channels, first, end, weight, bias);
}

// As `pixels`, of weights of which `deep` pairs lie together, w[channel/deep][s][row][pair]. Panels have zeros behind the
// channels, up to a multiple of `deep`, and so have weights.
template <class Tiles, int blocks, int vectors>
[[gnu::noinline]] void pixels_in_tiles(int rows, float* c, const Index* row, Index width, const Bf16Pair* const* x,
                                       Index x_step, const Index* taps, Index count, Index channels, const Bf16Pair* w,
                                       const float* bias) {
    TileSums<Tiles, blocks, vectors> sums(rows);
    float* out[blocks * tile_rows];
    for (int r = 0; r < rows; ++r) out[r] = c + row[r] * width;
    if (bias)
        sums.begin_with_rows(bias);
    else
        sums.begin_with(out, tile_lanes);
    for (Index channel = 0; channel < channels; channel += deep)
        for (Index s = 0; s < count; ++s, w += rows * deep) {
            const Bf16Pair* right[vectors];
            for (int v = 0; v < vectors; ++v) right[v] = x[v] + channel * x_step + taps[s];
            sums.add(
                [&](auto block) {
                    Tiles::template load<left_tile + block>(w + block * tile_rows * deep, row_bytes);
                },
                right, x_step);
        }
    sums.put(out, tile_lanes);
}

template <class Tiles, int rows, int vectors>
void pixels_tile_of(float* c, const Index* row, Index width, const Bf16Pair* const* x, Index x_step, const Index* taps,
                    Index count, Index channels, const Bf16Pair* w, const float* bias) {
    pixels_in_tiles<Tiles, (rows + tile_rows - 1) / tile_rows, vectors>(rows, c, row, width, x, x_step, taps, count, channels,
                                                                        w, bias);
}

template <class Tiles, int... v>
constexpr void set_tiles_of_cells(tconv::Kernels<Bf16, Bf16Pair>& all, std::integer_sequence<int, v...>) {
    ((all.tile_cells[v] = tile_of_cells<Tiles, v + 1>), ...);
}

template <class Tiles, int rows, int... v>
constexpr void set_tiles_of_rows(tconv::Kernels<Bf16, Bf16Pair>& all, std::integer_sequence<int, v...>) {
    all.vectors[rows - 1] = sizeof...(v);
    ((all.pixels[rows - 1][v] = pixels_tile_of<Tiles, rows, v + 1>), ...);
}

// The kernels of pairs with both of these in the place of their own.
template <class Tiles, int... r>
constexpr tconv::Kernels<Bf16, Bf16Pair> in_tiles(std::integer_sequence<int, r...>) {
    auto all = kernels<Bf16, Bf16Pair>();
    all.rows = most_rows;
    all.deep = deep;
    all.wide_rows = 0;
    all.begin = Tiles::begin;
    all.end = Tiles::end;
    set_tiles_of_cells<Tiles>(all, std::make_integer_sequence<int, vectors_in_tiles(most_rows)>());
    (set_tiles_of_rows<Tiles, r + 1>(all, std::make_integer_sequence<int, vectors_in_tiles(r + 1)>()), ...);
    return all;
}
template <class Tiles>
constexpr tconv::Kernels<Bf16, Bf16Pair> in_tiles() {
    return in_tiles<Tiles>(std::make_integer_sequence<int, most_rows>());
}

}  // namespace
