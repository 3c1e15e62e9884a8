// The micro-kernels, written once. Each file in isa/ defines VECTOR_BYTES, REGISTERS and ROWS, includes this and exports
// one Backend. Everything stays in an unnamed namespace: a weak symbol compiled for AVX-512 here could be the one that
// the linker keeps for everybody.
#include <utility>

namespace {

using tconv::Index;
using tconv::Piece;
using tconv::Strip;

}  // namespace

#include "vectors.inl"
#include "pixels.inl"
#include "cells.inl"

namespace {

// The largest number of vectors v for which rows*v sums, v inputs and a broadcast weight fit into the registers.
constexpr int vectors_of(int rows) {
    const int vectors = (REGISTERS - 1) / (rows + 1);
    return vectors < tconv::max_vectors ? vectors : tconv::max_vectors;
}

template <class T, int bytes, int vectors>
inline void stencil_at(T* c, const T* const* x, const T* w, Index taps, Index j) {
    constexpr int lanes = Vec<T, bytes>::lanes;
    typename Vec<T, bytes>::type sum[vectors] = {};
    for (Index tap = 0; tap < taps; ++tap)
        for (int v = 0; v < vectors; ++v) sum[v] += load<T, bytes>(x[tap] + j + v * lanes) * w[tap];
    for (int v = 0; v < vectors; ++v) store<T, bytes>(c + j + v * lanes, sum[v]);
}

// In vectors that get shorter towards the end; the shortest is taken again from where it fits, if it does.
template <class T, int bytes>
inline void stencil_rest(T* c, const T* const* x, const T* w, Index taps, Index begin, Index j, Index end) {
    constexpr int lanes = Vec<T, bytes>::lanes;
    for (; j + lanes <= end; j += lanes) stencil_at<T, bytes, 1>(c, x, w, taps, j);
    if constexpr (bytes > 16)
        return stencil_rest<T, bytes / 2>(c, x, w, taps, begin, j, end);
    if (j < end && end - begin >= lanes) return stencil_at<T, bytes, 1>(c, x, w, taps, end - lanes);
    for (; j < end; ++j) {
        T sum = T(0);
        for (Index tap = 0; tap < taps; ++tap) sum += x[tap][j] * w[tap];
        c[j] = sum;
    }
}

template <class T>
void stencil(T* c, const T* const* x, const T* w, Index taps, Index begin, Index end) {
    constexpr int four = 4 * Vec<T>::lanes;
    Index j = begin;
    for (; j + four <= end; j += four) stencil_at<T, VECTOR_BYTES, 4>(c, x, w, taps, j);
    stencil_rest<T, VECTOR_BYTES>(c, x, w, taps, begin, j, end);
}

template <class T, int vectors>
void blend_at(T* out, const T* const* x, const T* const* w, const T* bias, Index taps, Index j) {
    constexpr int lanes = Vec<T>::lanes;
    typename Vec<T>::type sum[vectors] = {};
    for (int v = 0; bias && v < vectors; ++v) sum[v] = load(bias + j + v * lanes);
    for (Index tap = 0; tap < taps; ++tap)
        for (int v = 0; v < vectors; ++v) sum[v] += load(x[tap] + j + v * lanes) * load(w[tap] + j + v * lanes);
    for (int v = 0; v < vectors; ++v) store(out + j + v * lanes, sum[v]);
}

template <class T>
void blend(T* out, const T* const* x, const T* const* w, const T* bias, Index taps, Index count) {
    constexpr int lanes = Vec<T>::lanes;
    Index j = 0;
    for (; j + 4 * lanes <= count; j += 4 * lanes) blend_at<T, 4>(out, x, w, bias, taps, j);
    for (; j + lanes <= count; j += lanes) blend_at<T, 1>(out, x, w, bias, taps, j);
    for (; j < count; ++j) {
        T sum = bias ? bias[j] : T(0);
        for (Index tap = 0; tap < taps; ++tap) sum += x[tap][j] * w[tap][j];
        out[j] = sum;
    }
}

template <class T, int rows, int vectors>
constexpr auto pixels_tile() -> decltype(&pixels<T, 1, 1>) {
    if constexpr (rows <= ROWS && vectors <= vectors_of(rows))
        return pixels<T, rows, vectors>;
    else
        return nullptr;
}

template <class T, int rows, int vectors>
constexpr auto cells_tile() -> decltype(&cells<T, 1, 1>) {
    if constexpr (rows <= ROWS && vectors <= vectors_of(ROWS))
        return cells<T, rows, vectors>;
    else
        return nullptr;
}

#define TILES(tile, rows)                                                                                  \
    {tile<T, rows, 1>(), tile<T, rows, 2>(), tile<T, rows, 3>(), tile<T, rows, 4>(), tile<T, rows, 5>(),   \
     tile<T, rows, 6>(), tile<T, rows, 7>(), tile<T, rows, 8>()}
#define ALL_TILES(tile)                                                                                    \
    {TILES(tile, 1), TILES(tile, 2), TILES(tile, 3), TILES(tile, 4), TILES(tile, 5), TILES(tile, 6),       \
     TILES(tile, 7), TILES(tile, 8)}

template <class T>
constexpr tconv::Kernels<T> kernels() {
    return {Vec<T>::lanes,
            ROWS,
            {vectors_of(1), vectors_of(2), vectors_of(3), vectors_of(4), vectors_of(5), vectors_of(6), vectors_of(7),
             vectors_of(8)},
            ALL_TILES(pixels_tile),
            ALL_TILES(cells_tile),
            gather<T>,
            weave<T>,
            stencil<T>,
            blend<T>};
}

}  // namespace
