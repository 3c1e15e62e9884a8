// The micro-kernels, written once. Each file in isa/ defines VECTOR_BYTES, ROWS and VECTORS, includes this and exports
// one Backend. Everything stays in an unnamed namespace: a weak symbol compiled for AVX-512 here could be the one that
// the linker keeps for everybody.
namespace {

using tconv::Index;
using tconv::Piece;

template <class T>
struct Vec {
    typedef T type __attribute__((vector_size(VECTOR_BYTES)));
    typedef T unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));
    static constexpr int lanes = VECTOR_BYTES / sizeof(T);
};

template <class T>
inline typename Vec<T>::type load(const T* from) {
    return *reinterpret_cast<const typename Vec<T>::unaligned*>(from);
}

template <class T>
inline void store(T* to, typename Vec<T>::type value) {
    *reinterpret_cast<typename Vec<T>::unaligned*>(to) = value;
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
void cells(T* c, const T* const* x, Index taps, Index step, Index channels, const T* w) {
    constexpr int lanes = Vec<T>::lanes, width = vectors * lanes;
    typename Vec<T>::type sum[rows][vectors] = {};
    for (Index tap = 0; tap < taps; ++tap, x += rows) {
        const T* in[rows];
        for (int r = 0; r < rows; ++r) in[r] = x[r];
        for (Index channel = 0, at = 0; channel < channels; ++channel, at += step, w += width) {
            typename Vec<T>::type weights[vectors];
            for (int v = 0; v < vectors; ++v) weights[v] = load(w + v * lanes);
            for (int r = 0; r < rows; ++r)
                for (int v = 0; v < vectors; ++v) sum[r][v] += weights[v] * in[r][at];
        }
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) store(c + r * width + v * lanes, sum[r][v]);
}

template <class T>
void gather(T* panel, Index width, const T* x, Index channel_step, Index step, Index channels, const Piece* pieces,
            Index count, bool gaps) {
    for (Index channel = 0; channel < channels; ++channel, panel += width, x += channel_step) {
        if (gaps)
            for (Index lane = 0; lane < width; ++lane) panel[lane] = T(0);
        for (Index p = 0; p < count; ++p) {
            T* to = panel + pieces[p].lane;
            const T* from = x + pieces[p].source;
            if (step == 1)
                for (Index j = 0; j < pieces[p].count; ++j) to[j] = from[j];
            else
                for (Index j = 0; j < pieces[p].count; ++j) to[j] = from[j * step];
        }
    }
}

template <class T, int vectors>
void stencil_at(T* c, const T* const* x, const T* w, Index taps, Index j) {
    constexpr int lanes = Vec<T>::lanes;
    typename Vec<T>::type sum[vectors] = {};
    for (Index tap = 0; tap < taps; ++tap)
        for (int v = 0; v < vectors; ++v) sum[v] += load(x[tap] + j + v * lanes) * w[tap];
    for (int v = 0; v < vectors; ++v) store(c + j + v * lanes, sum[v]);
}

template <class T>
void stencil(T* c, const T* const* x, const T* w, Index taps, Index begin, Index end) {
    constexpr int lanes = Vec<T>::lanes;
    Index j = begin;
    for (; j + 4 * lanes <= end; j += 4 * lanes) stencil_at<T, 4>(c, x, w, taps, j);
    for (; j + lanes <= end; j += lanes) stencil_at<T, 1>(c, x, w, taps, j);
    // The rest is shorter than a vector: take the last vector again, from where it fits.
    if (j < end && end - begin >= lanes) return stencil_at<T, 1>(c, x, w, taps, end - lanes);
    for (; j < end; ++j) {
        T sum = T(0);
        for (Index tap = 0; tap < taps; ++tap) sum += x[tap][j] * w[tap];
        c[j] = sum;
    }
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

#define TILE(kernel, rows, vectors) kernel<T, rows, vectors>
#define TILES(kernel, rows) {TILE(kernel, rows, 1), TILE(kernel, rows, 2), TILE(kernel, rows, 3), TILE(kernel, rows, 4)}
#define ALL_TILES(kernel)                                                                          \
    {TILES(kernel, 1), TILES(kernel, 2), TILES(kernel, 3), TILES(kernel, 4), TILES(kernel, 5),     \
     TILES(kernel, 6), TILES(kernel, 7), TILES(kernel, 8)}

template <class T>
constexpr tconv::Kernels<T> kernels() {
    return {Vec<T>::lanes, ROWS, VECTORS, ALL_TILES(pixels), ALL_TILES(cells), gather<T>,
            stencil<T>, blend<T>, interleave<T>};
}

}  // namespace
