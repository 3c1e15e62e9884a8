// Numbers as they lie in memory, and what they are added up in. Half precision is a way to lie in memory: products are added
// up in float, bias and activation included, and the result is rounded once.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace tconv {

struct Bf16 {  // the upper half of a float
    std::uint16_t bits;
};

struct F16 {  // IEEE 754's binary16
    std::uint16_t bits;
};

// Neighbouring input channels of one pixel or weight, which an instruction multiplies and adds up; of an odd count, the last
// one has a zero beside it.
struct Bf16Pair {
    Bf16 first, second;
};

template <class S>
struct SumOf {
    using type = S;
};
template <>
struct SumOf<Bf16> {
    using type = float;
};
template <>
struct SumOf<F16> {
    using type = float;
};
template <>
struct SumOf<Bf16Pair> {
    using type = float;
};

// The type in which sums of such numbers are computed.
template <class S>
using Sum = typename SumOf<S>::type;

// Whether numbers in memory are of the type of their sums.
template <class S>
inline constexpr bool is_own_sum = std::is_same_v<S, Sum<S>>;

// How many input channels one element of a panel or of packed weights holds.
template <class E>
inline constexpr std::int64_t channels_of = 1;
template <>
inline constexpr std::int64_t channels_of<Bf16Pair> = 2;

inline float widened(float number) { return number; }
inline double widened(double number) { return number; }
inline float widened(Bf16 number) { return std::bit_cast<float>(std::uint32_t{number.bits} << 16); }

inline float widened(F16 number) {
    constexpr std::uint32_t infinite = 0x7c00u << 13, rebias = (127u - 15u) << 23;
    const std::uint32_t sign = (number.bits & 0x8000u) << 16, magnitude = (number.bits & 0x7fffu) << 13;
    std::uint32_t bits = magnitude + rebias;
    if (magnitude >= infinite) {
        bits += rebias;  // Inf and NaN stay so
    } else if (magnitude < 1u << 23) {  // a subnormal number, as the difference of two normal ones
        const float difference = std::bit_cast<float>(bits + (1u << 23)) - std::bit_cast<float>(rebias + (1u << 23));
        bits = std::bit_cast<std::uint32_t>(difference);
    }
    return std::bit_cast<float>(bits | sign);
}

// To the nearest number, of two to the even one; NaN stays NaN.
template <class S>
S narrowed(Sum<S> number) {
    return number;
}

template <>
inline Bf16 narrowed<Bf16>(float number) {
    const auto bits = std::bit_cast<std::uint32_t>(number);
    if (number != number) return {static_cast<std::uint16_t>(bits >> 16 | 0x40u)};
    return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

template <>
inline F16 narrowed<F16>(float number) {
    constexpr std::uint32_t too_large = (127u + 16u) << 23, least_normal = (127u - 14u) << 23, half = 126u << 23;
    const auto bits = std::bit_cast<std::uint32_t>(number);
    const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    std::uint32_t result;
    if (magnitude >= too_large)
        result = number != number ? 0x7e00u : 0x7c00u;
    else if (magnitude < least_normal)  // an addition rounds at the last place of a subnormal number
        result = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + std::bit_cast<float>(half)) - half;
    else
        result = (magnitude - ((127u - 15u) << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    return {static_cast<std::uint16_t>(result | sign)};
}

// From double precision, rounded once: on the way, a float that is not exact ends in an odd bit, which is no tie for what
// comes after it.
template <class S>
S rounded(double exact) {
    auto near = static_cast<Sum<S>>(exact);
    if constexpr (!is_own_sum<S>) {
        const auto bits = std::bit_cast<std::uint32_t>(near);
        if (static_cast<double>(near) != exact && std::isfinite(near) && !(bits & 1u))
            near = std::bit_cast<float>(std::abs(static_cast<double>(near)) < std::abs(exact) ? bits + 1 : bits - 1);
    }
    return narrowed<S>(near);
}

}  // namespace tconv
