// Numbers in memory as lanes of sums, and back: half precision is widened where it is read, and rounded where it is written.
// Elements of panels and of packed weights, and the product that tiles are made of.
namespace {

// Less than `most` numbers of 16 bits, of which there are up to 16, in copies of fixed sizes.
template <int most>
INLINED void copy_some(std::uint16_t* to, const std::uint16_t* from, Index count) {
    Index done = 0;
    if constexpr (most > 8)
        if (count & 8) std::memcpy(to, from, 16), done = 8;
    if constexpr (most > 4)
        if (count & 4) std::memcpy(to + done, from + done, 8), done += 4;
    if (count & 2) std::memcpy(to + done, from + done, 4), done += 2;
    if (count & 1) to[done] = from[done];
}

INLINED const std::uint16_t* bits_of(const Bf16* numbers) { return reinterpret_cast<const std::uint16_t*>(numbers); }
INLINED const std::uint16_t* bits_of(const F16* numbers) { return reinterpret_cast<const std::uint16_t*>(numbers); }
INLINED std::uint16_t* bits_of(Bf16* numbers) { return reinterpret_cast<std::uint16_t*>(numbers); }
INLINED std::uint16_t* bits_of(F16* numbers) { return reinterpret_cast<std::uint16_t*>(numbers); }

template <int bytes>
using Floats = typename Vec<float, bytes>::type;
template <int bytes>
using Words = typename Vec<std::uint32_t, bytes>::type;
template <int bytes>  // of the floats that they stand for
using Halves = typename Vec<std::uint16_t, bytes / 2>::type;

// Numbers of 16 bits as words, and such words as numbers of 16 bits: by the instruction that does it, which the compiler
// does not find by itself.
template <int bytes>
INLINED Words<bytes> words_from(Halves<bytes> bits) {
#if VECTOR_BYTES == 64
    if constexpr (bytes == 64) return reinterpret_cast<Words<bytes>>(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(bits)));
#endif
#if VECTOR_BYTES >= 32
    if constexpr (bytes == 32) return reinterpret_cast<Words<bytes>>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(bits)));
#endif
    return __builtin_convertvector(bits, Words<bytes>);
}
template <int bytes>
INLINED Halves<bytes> halves_from(Words<bytes> words) {
#if VECTOR_BYTES == 64
    if constexpr (bytes == 64) return reinterpret_cast<Halves<bytes>>(_mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(words)));
#elif VECTOR_BYTES == 32
    if constexpr (bytes == 32) {
        const auto all = reinterpret_cast<__m256i>(words);
        return reinterpret_cast<Halves<bytes>>(_mm_packus_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
    }
#endif
    return __builtin_convertvector(words, Halves<bytes>);
}

// The first `count` of a vector of them, zeros behind; and the numbers low..high of a vector, to memory.
INLINED Halves<VECTOR_BYTES> load_some_bits(const std::uint16_t* from, Index count) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    const auto some = static_cast<__mmask16>(lanes_from_to(0, count));
    return reinterpret_cast<Halves<VECTOR_BYTES>>(_mm256_maskz_loadu_epi16(some, from));
#else
    std::uint16_t some[VECTOR_BYTES / 4] = {};
    copy_some<VECTOR_BYTES / 4>(some, from, count);
    return load<std::uint16_t, VECTOR_BYTES / 2>(some);
#endif
}
INLINED void store_some_bits(std::uint16_t* to, Halves<VECTOR_BYTES> bits, Index low, Index high) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    _mm256_mask_storeu_epi16(to, static_cast<__mmask16>(lanes_from_to(low, high)), reinterpret_cast<__m256i>(bits));
#else
    std::uint16_t all[VECTOR_BYTES / 4];
    store<std::uint16_t, VECTOR_BYTES / 2>(all, bits);
    copy_some<VECTOR_BYTES / 4>(to + low, all + low, high - low);
#endif
}

template <class S, int bytes>
INLINED Floats<bytes> widen(Halves<bytes> bits) {
    if constexpr (std::is_same_v<S, Bf16>) {
        return reinterpret_cast<Floats<bytes>>(words_from<bytes>(bits) << 16);
#if VECTOR_BYTES == 64
    } else if constexpr (bytes == 64) {
        return _mm512_cvtph_ps(reinterpret_cast<__m256i>(bits));
#elif VECTOR_BYTES == 32
    } else if constexpr (bytes == 32) {
        return _mm256_cvtph_ps(reinterpret_cast<__m128i>(bits));
#endif
    } else {  // see numbers.hpp
        constexpr std::uint32_t infinite = 0x7c00u << 13, rebias = (127u - 15u) << 23, least = 1u << 23;
        const Words<bytes> words = words_from<bytes>(bits), magnitude = (words & 0x7fffu) << 13;
        const Words<bytes> normal = magnitude + rebias, least_normal = Words<bytes>{} + (rebias + least);
        const Words<bytes> subnormal = reinterpret_cast<Words<bytes>>(reinterpret_cast<Floats<bytes>>(normal + least) -
                                                                      reinterpret_cast<Floats<bytes>>(least_normal));
        const Words<bytes> found = magnitude >= infinite ? normal + rebias : magnitude < least ? subnormal : normal;
        return reinterpret_cast<Floats<bytes>>(found | (words & 0x8000u) << 16);
    }
}

// Rounded to bfloat16, as words.
template <int bytes>
INLINED Words<bytes> rounded_words(Floats<bytes> numbers) {
    const Words<bytes> bits = reinterpret_cast<Words<bytes>>(numbers);
    const Words<bytes> near = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, nan = bits >> 16 | 0x40u;
    return numbers == numbers ? near : nan;
}

template <class S, int bytes>
INLINED Halves<bytes> narrow(Floats<bytes> numbers) {
#if defined(__AVX512BF16__)
    if constexpr (std::is_same_v<S, Bf16> && bytes == 64) return reinterpret_cast<Halves<bytes>>(_mm512_cvtneps_pbh(numbers));
#endif
    if constexpr (std::is_same_v<S, Bf16>) {
        return halves_from<bytes>(rounded_words<bytes>(numbers));
#if VECTOR_BYTES == 64
    } else if constexpr (bytes == 64) {
        return reinterpret_cast<Halves<bytes>>(_mm512_cvtps_ph(numbers, _MM_FROUND_TO_NEAREST_INT));
#elif VECTOR_BYTES == 32
    } else if constexpr (bytes == 32) {
        return reinterpret_cast<Halves<bytes>>(_mm256_cvtps_ph(numbers, _MM_FROUND_TO_NEAREST_INT));
#endif
    } else {  // see numbers.hpp
        const Words<bytes> bits = reinterpret_cast<Words<bytes>>(numbers);
        constexpr std::uint32_t too_large = (127u + 16u) << 23, least_normal = (127u - 14u) << 23, half = 126u << 23;
        const Words<bytes> magnitude = bits & 0x7fffffffu;
        const Words<bytes> normal = (magnitude - ((127u - 15u) << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
        const Words<bytes> subnormal =
            reinterpret_cast<Words<bytes>>(reinterpret_cast<Floats<bytes>>(magnitude) + 0.5f) - half;
        const Words<bytes> beyond = numbers == numbers ? Words<bytes>{} + 0x7c00u : Words<bytes>{} + 0x7e00u;
        const Words<bytes> found = magnitude >= too_large ? beyond : magnitude < least_normal ? subnormal : normal;
        return halves_from<bytes>(found | (bits >> 16 & 0x8000u));
    }
}

// Lanes of sums, from numbers in memory.
template <class T, int bytes = VECTOR_BYTES>
INLINED typename Vec<T, bytes>::type load_as(const T* from) {
    return load<T, bytes>(from);
}
template <class T, int bytes = VECTOR_BYTES>
INLINED Floats<bytes> load_as(const Bf16* from) {
    return widen<Bf16, bytes>(load<std::uint16_t, bytes / 2>(bits_of(from)));
}
template <class T, int bytes = VECTOR_BYTES>
INLINED Floats<bytes> load_as(const F16* from) {
    return widen<F16, bytes>(load<std::uint16_t, bytes / 2>(bits_of(from)));
}

template <class T, class S>
INLINED V<T> load_some_as(const S* from, Index count) {
    if constexpr (std::is_same_v<T, S>) {
        return load_some(from, count);
    } else {
        return widen<S, VECTOR_BYTES>(load_some_bits(bits_of(from), count));
    }
}

// As many of them as are left, or a vector.
template <class S>
INLINED V<Sum<S>> load_up_to(const S* from, Index left) {
    return left >= Vec<Sum<S>>::lanes ? load_as<Sum<S>>(from) : load_some_as<Sum<S>>(from, left);
}

INLINED void store_as(float* to, V<float> value) { store(to, value); }
INLINED void store_as(double* to, V<double> value) { store(to, value); }
template <class S>
INLINED void store_as(S* to, V<float> value) {
    store<std::uint16_t, VECTOR_BYTES / 2>(bits_of(to), narrow<S, VECTOR_BYTES>(value));
}

INLINED void store_some_as(float* to, V<float> value, Index low, Index high) { store_some(to, value, low, high); }
INLINED void store_some_as(double* to, V<double> value, Index low, Index high) { store_some(to, value, low, high); }
template <class S>
INLINED void store_some_as(S* to, V<float> value, Index low, Index high) {
    store_some_bits(bits_of(to), narrow<S, VECTOR_BYTES>(value), low, high);
}

// Vectors of any length, as they are or rounded.
template <class T, int bytes, class O>
INLINED void store_lanes(O* to, typename Vec<T, bytes>::type value) {
    if constexpr (std::is_same_v<T, O>)
        store<T, bytes>(to, value);
    else
        store<std::uint16_t, bytes / 2>(bits_of(to), narrow<O, bytes>(value));
}

// Two sums of each lane as a word of two numbers, the first one in front.
template <class S, int... l>
INLINED Words<VECTOR_BYTES> words_of(V<float> first, V<float> second, std::integer_sequence<int, l...>) {
#if defined(__AVX512BF16__) && !defined(__AMX_BF16__)  // processors with AMX take longer for both at once
    if constexpr (std::is_same_v<S, Bf16>) {
        const auto both = reinterpret_cast<Vec<std::uint16_t>::type>(_mm512_cvtne2ps_pbh(second, first));
        constexpr int lanes = Vec<float>::lanes;
        return reinterpret_cast<Words<VECTOR_BYTES>>(__builtin_shufflevector(both, both, (l / 2 + l % 2 * lanes)...));
    }
#endif
    const auto word = [](V<float> sums) {
        if constexpr (std::is_same_v<S, Bf16>) return rounded_words<VECTOR_BYTES>(sums);
        return words_from<VECTOR_BYTES>(narrow<S, VECTOR_BYTES>(sums));
    };
    return word(first) | word(second) << 16;
}
template <class S>
INLINED Words<VECTOR_BYTES> words_of(V<float> first, V<float> second) {
    return words_of<S>(first, second, std::make_integer_sequence<int, 2 * Vec<float>::lanes>());
}

// The numbers low..high of those in a vector of words.
template <class S>
INLINED void store_words(S* to, Words<VECTOR_BYTES> words, Index low, Index high) {
    constexpr Index halves = VECTOR_BYTES / 2;
    if (low <= 0 && high >= halves) {
        std::memcpy(to, &words, sizeof words);
    } else if (high > 0 && low < halves) {
        low = low > 0 ? low : 0, high = high < halves ? high : halves;
#if defined(__AVX512BW__)
        const auto below = [](Index end) { return end == halves ? ~0u : (1u << end) - 1; };
        _mm512_mask_storeu_epi16(to, below(high) & ~below(low), reinterpret_cast<__m512i>(words));
        return;
#endif
        std::uint16_t all[halves];
        std::memcpy(all, &words, sizeof words);
        for (; high - low >= 8; low += 8) std::memcpy(bits_of(to) + low, all + low, 16);
        copy_some<8>(bits_of(to) + low, all + low, high - low);
    }
}

// One number.
INLINED float as_sum(float number) { return number; }
INLINED double as_sum(double number) { return number; }
template <class S>
INLINED float as_sum(S number) {
    return load_as<float, 4>(&number)[0];
}

INLINED float from_sum(const float*, float number) { return number; }
INLINED double from_sum(const double*, double number) { return number; }
template <class S>
INLINED S from_sum(const S*, float number) {
    return {narrow<S, 4>(Floats<4>{number})[0]};
}

template <class S>
void put(S* y, const Sum<S>* x, Index count) {
    constexpr Index lanes = Vec<Sum<S>>::lanes;
    Index j = 0;
    for (; j + lanes <= count; j += lanes) store_as(y + j, load(x + j));
    if (j < count) store_some_as(y + j, load_some(x + j, count - j), 0, count - j);
}

// Some rows of as many sums each.
template <class S>
void put_rows(S* y, Index y_step, const Sum<S>* x, Index x_step, Index rows, Index count) {
    for (Index row = 0; row < rows; ++row) put(y + row * y_step, x + row * x_step, count);
}

// --- elements of panels and packed weights ---

template <class E>
struct ElementLanes {
    using type = V<E>;
};
template <>
struct ElementLanes<Bf16Pair> {
    using type = Words<VECTOR_BYTES>;
};
template <class E>
using Elements = typename ElementLanes<E>::type;

INLINED V<float> load_elements(const float* from) { return load(from); }
INLINED V<double> load_elements(const double* from) { return load(from); }
INLINED Elements<Bf16Pair> load_elements(const Bf16Pair* from) {
    Elements<Bf16Pair> elements;
    std::memcpy(&elements, from, sizeof elements);
    return elements;
}

// As many of them as are left, or a vector; zeros behind.
#if defined(__AVX512BF16__)
INLINED Elements<Bf16Pair> load_up_to(const Bf16Pair* from, Index left) {
    if (left >= Vec<float>::lanes) return load_elements(from);
    return reinterpret_cast<Elements<Bf16Pair>>(_mm512_maskz_loadu_epi32(static_cast<__mmask16>(lanes_from_to(0, left)), from));
}
#endif

INLINED void store_elements(float* to, V<float> elements) { store(to, elements); }
INLINED void store_elements(double* to, V<double> elements) { store(to, elements); }
INLINED void store_elements(Bf16Pair* to, Elements<Bf16Pair> elements) { std::memcpy(to, &elements, sizeof elements); }

// The elements of neighbouring pixels, `step` numbers apart are their channels, of which `channels` are left; and of one.
template <class E, class S>
INLINED Elements<E> elements_at(const S* x, [[maybe_unused]] Index step, [[maybe_unused]] Index channels) {
    if constexpr (tconv::channels_of<E> == 1) {
        return load_as<E>(x);
    } else {
        const auto words = [](const S* from) {
            return words_from<VECTOR_BYTES>(load<std::uint16_t, VECTOR_BYTES / 2>(bits_of(from)));
        };
        return channels > 1 ? words(x) | words(x + step) << 16 : words(x);
    }
}

template <class E, class S>
INLINED Elements<E> some_elements_at(const S* x, [[maybe_unused]] Index step, [[maybe_unused]] Index channels, Index count) {
    if constexpr (tconv::channels_of<E> == 1) {
        return load_some_as<E>(x, count);
    } else {
        const auto words = [&](const S* from) {
            return words_from<VECTOR_BYTES>(load_some_bits(bits_of(from), count));
        };
        return channels > 1 ? words(x) | words(x + step) << 16 : words(x);
    }
}

template <class E, class S>
INLINED E element_at(const S* x, [[maybe_unused]] Index step, [[maybe_unused]] Index channels) {
    if constexpr (tconv::channels_of<E> == 1)
        return as_sum(*x);
    else
        return {*x, channels > 1 ? x[step] : S{}};
}

// Whether registers that hold the sums of a tile have no room for a vector of each column, but for a broadcast number of each
// row, and one vector.
template <class E, int rows, int vectors>
constexpr bool is_wide = rows * vectors + vectors >= REGISTERS && tconv::channels_of<E> == 1;

INLINED void add_product(V<float>& sum, V<float> a, float b) { sum += a * b; }
INLINED void add_product(V<double>& sum, V<double> a, double b) { sum += a * b; }
#if defined(__AVX512BF16__)
// Both channels of a pair; the instruction takes subnormal numbers as zeros, and adds up in float.
INLINED void add_product(V<float>& sum, Elements<Bf16Pair> a, Bf16Pair b) {
    std::uint32_t bits;
    std::memcpy(&bits, &b, sizeof bits);
    const Elements<Bf16Pair> all = bits - Elements<Bf16Pair>{};
    sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(all));
}
#endif

}  // namespace
