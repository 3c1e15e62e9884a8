// The micro-kernels, written once. Each file in isa/ defines VECTOR_BYTES, REGISTERS and ROWS, includes this and exports
// one Backend, or the kernels that one adds to another. Everything stays in an unnamed namespace: a weak symbol compiled for
// AVX-512 here could be the one that the linker keeps for everybody.
#include <cstring>
#include <utility>

namespace {

using tconv::Activation;
using tconv::Atoms;
using tconv::Bf16;
using tconv::Bf16Pair;
using tconv::Block;
using tconv::F16;
using tconv::Index;
using tconv::Moments;
using tconv::Patch;
using tconv::Piece;
using tconv::Rows;
using tconv::Source;
using tconv::Strip;
using tconv::Sum;

}  // namespace

#include "vectors.inl"
#include "halves.inl"
#include "nontemporal.inl"
#include "depthwise.inl"
#include "pixels.inl"
#include "cells.inl"
#include "winograd.inl"
#include "winograd_line.inl"
#include "activation.inl"
#include "norm.inl"
#include "codes.inl"

namespace {

// The largest number of vectors v for which rows*v sums, v inputs and a broadcast weight fit into the registers.
constexpr int vectors_of(int rows) {
    const int vectors = (REGISTERS - 1) / (rows + 1);
    return vectors < tconv::max_vectors ? vectors : tconv::max_vectors;
}

// Rows of a tile that has a vector more than the largest, if it computes as many sums; else 0. Its registers hold sums, a
// vector of weights and an input of each row, or the other way round.
constexpr int rows_of_wide() {
    constexpr int others = VECTOR_BYTES > 16 ? 1 : 2;  // where products are not fused with sums, they have a register, too
    const int vectors = vectors_of(ROWS) + 1, rows = (REGISTERS - others) / (vectors + 1);
    return vectors <= tconv::max_vectors && rows * vectors >= ROWS * (vectors - 1) ? rows : 0;
}

// Of a tile of pixels, whose registers may hold weights in place of inputs, too.
constexpr int vectors_of_pixels(int rows) {
    const int vectors = vectors_of(rows), wide = vectors_of(ROWS) + 1;
    return rows <= rows_of_wide() && vectors < wide ? wide : vectors;
}

template <class E, int rows, int vectors>
constexpr auto pixels_tile() -> decltype(&pixels<E, 1, 1>) {
    if constexpr (rows <= ROWS && vectors <= vectors_of_pixels(rows))
        return pixels<E, rows, vectors>;
    else
        return nullptr;
}

template <class E, int rows, int vectors>
constexpr auto cells_tile() -> decltype(&cells<E, 1, 1>) {
    if constexpr (rows <= (vectors <= vectors_of(ROWS) ? ROWS : rows_of_wide()) && vectors <= vectors_of(ROWS) + 1)
        return cells<E, rows, vectors>;
    else
        return nullptr;
}

// Of Winograd's way, whose weights may be of a smaller type.
template <class S, int rows, int vectors>
constexpr auto point_tile() -> decltype(&cells<Sum<S>, 1, 1, tconv::PointWeight<S>>) {
    if constexpr (rows <= ROWS && vectors <= vectors_of(ROWS))
        return cells<Sum<S>, rows, vectors, tconv::PointWeight<S>>;
    else
        return nullptr;
}

#define TILES(tile, type, rows)                                                                                \
    {tile<type, rows, 1>(), tile<type, rows, 2>(), tile<type, rows, 3>(), tile<type, rows, 4>(),               \
     tile<type, rows, 5>(), tile<type, rows, 6>(), tile<type, rows, 7>(), tile<type, rows, 8>()}
#define ALL_TILES(tile, type)                                                                                  \
    {TILES(tile, type, 1), TILES(tile, type, 2), TILES(tile, type, 3), TILES(tile, type, 4),                   \
     TILES(tile, type, 5), TILES(tile, type, 6), TILES(tile, type, 7), TILES(tile, type, 8)}

template <class S, class E = Sum<S>>
constexpr tconv::Kernels<S, E> kernels() {
    using T = Sum<S>;
    return {Vec<T>::lanes,
            ROWS,
            {vectors_of_pixels(1), vectors_of_pixels(2), vectors_of_pixels(3), vectors_of_pixels(4), vectors_of_pixels(5),
             vectors_of_pixels(6), vectors_of_pixels(7), vectors_of_pixels(8)},
            rows_of_wide(),
            ALL_TILES(pixels_tile, E),
            ALL_TILES(cells_tile, E),
            {},
            join<Sum<S>>,
            gather<S, E>,
            address<S, E>,
            bring<S, E>,
            put<S>,
            put_rows<S>,
            put_nontemporal<S>,
            weave<S>,
            fence,
            stencil<S, T>,
            stencil<S, S, tconv::is_own_sum<S>>,
            blend<S, E, T>,
            blend<S, E, S, tconv::is_own_sum<S>>,
            meet_rows<T>,
            meet_pixels<T>,
            small_tile_kernels<S>(),
            tile_kernels<S, tconv::large_tile>(),
            transform_taps<T>,
            ALL_TILES(point_tile, S),
            spread_row<T>,
            collect_row<T>,
            spread_runs<T>,
            collect_runs<T>,
            split_runs<T>,
            join_runs<T>,
            activate<T>,
            moments<S>,
            column_moments<S>,
            scale_run<S>,
            scale_rows<S>,
            descend<T>,
            stamp<T>,
            correlate<T>,
            pick<T>,
            proximal<T>};
}

}  // namespace
