// Vectors of VECTOR_BYTES bytes, written with the compiler's own vector types; only loads and stores of a part of a vector
// need to know the instruction set.
#if VECTOR_BYTES > 16
#include <immintrin.h>
#endif

// Sums stay in registers only if all that touches them is inlined. (Without optimization, GCC would give such functions
// an exception path, and with it a weak symbol.)
#ifdef __OPTIMIZE__
#define INLINED [[gnu::always_inline]] inline
#else
#define INLINED inline
#endif

namespace {

template <class T, int bytes = VECTOR_BYTES>
struct Vec {
    typedef T type __attribute__((vector_size(bytes)));
    typedef T unaligned __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
    static constexpr int lanes = bytes / sizeof(T);
};

template <class T>
using V = typename Vec<T>::type;

template <class T, int bytes = VECTOR_BYTES>
inline typename Vec<T, bytes>::type load(const T* from) {
    return *reinterpret_cast<const typename Vec<T, bytes>::unaligned*>(from);
}

template <class T, int bytes = VECTOR_BYTES>
inline void store(T* to, typename Vec<T, bytes>::type value) {
    *reinterpret_cast<typename Vec<T, bytes>::unaligned*>(to) = value;
}

#if VECTOR_BYTES == 64
inline unsigned lanes_from_to(Index low, Index high) { return (1u << high) - (1u << low); }

inline Vec<float>::type load_some(const float* from, Index count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes_from_to(0, count)), from);
}
inline Vec<double>::type load_some(const double* from, Index count) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>(lanes_from_to(0, count)), from);
}
inline void store_some(float* to, Vec<float>::type value, Index low, Index high) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>(lanes_from_to(low, high)), value);
}
inline void store_some(double* to, Vec<double>::type value, Index low, Index high) {
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>(lanes_from_to(low, high)), value);
}
#elif VECTOR_BYTES == 32
inline __m256i lanes_from_to(float, Index low, Index high) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(low)), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(high)), lane));
}
inline __m256i lanes_from_to(double, Index low, Index high) {
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_andnot_si256(_mm256_cmpgt_epi64(_mm256_set1_epi64x(low), lane),
                               _mm256_cmpgt_epi64(_mm256_set1_epi64x(high), lane));
}
inline Vec<float>::type load_some(const float* from, Index count) {
    return _mm256_maskload_ps(from, lanes_from_to(0.0f, 0, count));
}
inline Vec<double>::type load_some(const double* from, Index count) {
    return _mm256_maskload_pd(from, lanes_from_to(0.0, 0, count));
}
// The first ones by stores of fixed sizes: AMD's processors take ten times as long for one under a mask.
inline void store_some(float* to, Vec<float>::type value, Index low, Index high) {
    if (low > 0 || high <= 0) return _mm256_maskstore_ps(to, lanes_from_to(0.0f, low, high), value);
    if (high >= 8) return store(to, value);
    __m128 rest = _mm256_castps256_ps128(value);
    if (high & 4) {
        _mm_storeu_ps(to, rest);
        rest = _mm256_extractf128_ps(value, 1), to += 4;
    }
    if (high & 2) {
        _mm_storel_pi(reinterpret_cast<__m64*>(to), rest);
        rest = _mm_movehl_ps(rest, rest), to += 2;
    }
    if (high & 1) _mm_store_ss(to, rest);
}
inline void store_some(double* to, Vec<double>::type value, Index low, Index high) {
    if (low > 0 || high <= 0) return _mm256_maskstore_pd(to, lanes_from_to(0.0, low, high), value);
    if (high >= 4) return store(to, value);
    __m128d rest = _mm256_castpd256_pd128(value);
    if (high & 2) {
        _mm_storeu_pd(to, rest);
        rest = _mm256_extractf128_pd(value, 1), to += 2;
    }
    if (high & 1) _mm_store_sd(to, rest);
}
#else
template <class T>
inline typename Vec<T>::type load_some(const T* from, Index count) {
    typename Vec<T>::type value = {};
    for (Index j = 0; j < count; ++j) value[j] = from[j];
    return value;
}
template <class T>
inline void store_some(T* to, typename Vec<T>::type value, Index low, Index high) {
    for (Index j = low; j < high; ++j) to[j] = value[j];
}
#endif

// Of two vectors, one number of each in turn; beginning with those in the middle, if `half` is 1.
template <class T, int half, int... l>
INLINED V<T> zip(V<T> a, V<T> b, std::integer_sequence<int, l...>) {
    constexpr int lanes = Vec<T>::lanes;
    return __builtin_shufflevector(a, b, (l % 2 * lanes + (half * lanes + l) / 2)...);
}

// Every other number of two vectors, from the first one on.
template <class T, int... l>
INLINED V<T> alternate(V<T> a, V<T> b, std::integer_sequence<int, l...>) {
    return __builtin_shufflevector(a, b, (2 * l)...);
}

// Lane l of the k-th vector of an odd number of interleaved phases is output m = k*lanes + l: cell m / phases of phase
// m % phases. The phases are merged one after the other; `phase` is the next one (the first two are merged at once).
template <int lanes, int phases>
constexpr int woven(int k, int phase, int l) {
    const int m = k * lanes + l, cell = m / phases;
    if (m % phases == phase) return lanes + cell;
    return phase == 1 && m % phases == 0 ? cell : l;
}

template <class T, int phases, int k, int phase, int... l>
INLINED V<T> merged_with(V<T> so_far, V<T> next, std::integer_sequence<int, l...>) {
    return __builtin_shufflevector(so_far, next, woven<Vec<T>::lanes, phases>(k, phase, l)...);
}

template <class T, int phases, int k, int phase>
INLINED V<T> merged(const V<T>* in) {
    if constexpr (phase == 0)
        return in[0];
    else
        return merged_with<T, phases, k, phase>(merged<T, phases, k, phase - 1>(in), in[phase],
                                                std::make_integer_sequence<int, Vec<T>::lanes>());
}

template <class T, int phases, int k = 0>
INLINED void merge(V<T> (&out)[phases], const V<T> (&in)[phases]) {
    if constexpr (k < phases) {
        out[k] = merged<T, phases, k, phases - 1>(in);
        merge<T, phases, k + 1>(out, in);
    }
}

// The phases of neighbouring cells, in the order of memory: out[k] holds the outputs k*lanes and on. Those of even and of odd
// number are interleaved first, then both with one another.
template <class T, int phases>
INLINED void interleave(V<T> (&out)[phases], const V<T> (&in)[phases]) {
    if constexpr (phases % 2 != 0) {
        merge<T, phases>(out, in);
    } else {
        constexpr int half = phases / 2;
        constexpr std::make_integer_sequence<int, Vec<T>::lanes> all;
        V<T> even[half], odd[half], evens[half], odds[half];
        for (int k = 0; k < half; ++k) even[k] = in[2 * k], odd[k] = in[2 * k + 1];
        interleave<T, half>(evens, even);
        interleave<T, half>(odds, odd);
        for (int k = 0; k < half; ++k) {
            out[2 * k] = zip<T, 0>(evens[k], odds[k], all);
            out[2 * k + 1] = zip<T, 1>(evens[k], odds[k], all);
        }
    }
}

}  // namespace
