// The micro-kernels, written once. Each file in isa/ defines VECTOR_BYTES, REGISTERS and ROWS, includes this and exports
// one Backend. Everything stays in an unnamed namespace: a weak symbol compiled for AVX-512 here could be the one that
// the linker keeps for everybody.
#if VECTOR_BYTES == 64
#include <immintrin.h>
#endif

#include <cstring>
#include <utility>

namespace {

using tconv::Block;
using tconv::Index;
using tconv::Piece;
using tconv::Source;
using tconv::Strip;

template <class T, int bytes = VECTOR_BYTES>
struct Vec {
    typedef T type __attribute__((vector_size(bytes)));
    typedef T unaligned __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
    static constexpr int lanes = bytes / sizeof(T);
};

template <class T, int bytes = VECTOR_BYTES>
inline typename Vec<T, bytes>::type load(const T* from) {
    return *reinterpret_cast<const typename Vec<T, bytes>::unaligned*>(from);
}

template <class T, int bytes = VECTOR_BYTES>
inline void store(T* to, typename Vec<T, bytes>::type value) {
    *reinterpret_cast<typename Vec<T, bytes>::unaligned*>(to) = value;
}

// The largest number of vectors v for which rows*v sums, v inputs and a broadcast weight fit into the registers.
constexpr int vectors_of(int rows) {
    const int vectors = (REGISTERS - 1) / (rows + 1);
    return vectors < tconv::max_vectors ? vectors : tconv::max_vectors;
}

template <class T, int rows, int vectors>
void pixels(T* c, Index c_step, const T* panel, const Index* segments, Index count, Index channels, const T* w) {
    constexpr int lanes = Vec<T>::lanes, width = vectors * lanes;
    typename Vec<T>::type sum[rows][vectors] = {};
    for (Index s = 0; s < count; ++s) {
        const T* x = panel + segments[s] * channels * width;
        for (Index channel = 0; channel < channels; ++channel, x += width, w += rows) {
            typename Vec<T>::type in[vectors];
            for (int v = 0; v < vectors; ++v) in[v] = load(x + v * lanes);
            for (int r = 0; r < rows; ++r)
                for (int v = 0; v < vectors; ++v) sum[r][v] += in[v] * w[r];
        }
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) store(c + r * c_step + v * lanes, sum[r][v]);
}

template <class T, int rows, int vectors>
void cells(T* c, const T* const* x, const Index* number, Index taps, Index channels, const T* weight) {
    constexpr int lanes = Vec<T>::lanes, width = vectors * lanes;
    typename Vec<T>::type sum[rows][vectors] = {};
    for (Index tap = 0; tap < taps; ++tap, x += rows) {
        const T* in[rows];
        for (int r = 0; r < rows; ++r) in[r] = x[r];
        const T* w = weight + number[tap] * channels * width;
        for (Index channel = 0; channel < channels; ++channel, w += width) {
            typename Vec<T>::type weights[vectors];
            for (int v = 0; v < vectors; ++v) weights[v] = load(w + v * lanes);
            for (int r = 0; r < rows; ++r)
                for (int v = 0; v < vectors; ++v) sum[r][v] += weights[v] * in[r][channel];
        }
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) store(c + r * width + v * lanes, sum[r][v]);
}

// Copy in vectors that get shorter towards the end.
template <class T, int bytes = VECTOR_BYTES>
inline void copy(T* to, const T* from, Index count) {
    constexpr int lanes = Vec<T, bytes>::lanes;
    Index j = 0;
    for (; j + lanes <= count; j += lanes) store<T, bytes>(to + j, load<T, bytes>(from + j));
    if constexpr (bytes > 16)
        copy<T, bytes / 2>(to + j, from + j, count - j);
    else
        for (; j < count; ++j) to[j] = from[j];
}

template <class T>
void gather(T* panel, Index width, const T* x, Index channel_step, Index step, Index channels, const Piece* pieces,
            Index count, bool gaps, bool ahead) {
    constexpr int line = 64 / sizeof(T);
    for (Index channel = 0; channel < channels; ++channel, panel += width, x += channel_step) {
        if (gaps)
            for (Index lane = 0; lane < width; ++lane) panel[lane] = T(0);
        for (Index p = 0; p < count; ++p) {
            T* to = panel + pieces[p].lane;
            const T* from = x + pieces[p].source;
            if (step == 1)
                copy(to, from, pieces[p].count);
            else
                for (Index j = 0; j < pieces[p].count; ++j) to[j] = from[j * step];
        }
        if (ahead && count > 0) {
            const T* next = x + pieces[count - 1].source + pieces[count - 1].count;
            for (Index j = 0; j < width; j += line) __builtin_prefetch(next + j);
        }
    }
}

#include "depthwise.inl"

template <class T>
void put(T* out, Index step, const T* c, const T* bias, Index count) {
    constexpr int lanes = Vec<T>::lanes;
    Index j = 0;
    if (step == 1)
        for (; j + lanes <= count; j += lanes) store(out + j, load(c + j) + load(bias + j));
    for (; j < count; ++j) out[j * step] = c[j] + bias[j];
}

template <class T, int phases>
void interleave_packed(T* out, const T* c, Index c_step, Index count, T bias) {
    for (Index j = 0; j < count; ++j)
        for (int phase = 0; phase < phases; ++phase) out[j * phases + phase] = c[phase * c_step + j] + bias;
}

template <class T>
void interleave(T* out, Index step, const T* c, Index c_step, Index phases, Index count, T bias) {
    if (step == 1 && phases == 1) return interleave_packed<T, 1>(out, c, c_step, count, bias);
    if (step == 1 && phases == 2) return interleave_packed<T, 2>(out, c, c_step, count, bias);
    if (step == 1 && phases == 4) return interleave_packed<T, 4>(out, c, c_step, count, bias);
    for (Index j = 0; j < count; ++j)
        for (Index phase = 0; phase < phases; ++phase)
            out[(j * phases + phase) * step] = c[phase * c_step + j] + bias;
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
            stencil<T>,
            blend<T>,
            put<T>,
            interleave<T>};
}

}  // namespace
