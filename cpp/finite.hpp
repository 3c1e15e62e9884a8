// Whether numbers are finite. Inputs beyond the border count as zero, and zero times Inf is NaN where the definition has no
// product at all.
#pragma once
#include <algorithm>

#include "numbers.hpp"
#include "problem.hpp"

namespace tconv {

template <class T>
bool all_finite(const T* numbers, Index count) {
    constexpr Index several = 16;
    T sums[several] = {};  // of zeros, or NaN
    Index i = 0;
    for (; i + several <= count; i += several)
        for (Index k = 0; k < several; ++k) sums[k] += numbers[i + k] * T(0);
    for (; i < count; ++i) sums[0] += numbers[i] * T(0);
    return std::all_of(sums, sums + several, [](T sum) { return sum == T(0); });
}

// All bits of the exponent are set in Inf and NaN alone.
inline bool all_below(std::uint16_t exponent, const std::uint16_t* bits, Index count) {
    std::uint16_t any = 0;
    for (Index i = 0; i < count; ++i) any = static_cast<std::uint16_t>(any | ((bits[i] & exponent) == exponent ? 1 : 0));
    return any == 0;
}

inline bool all_finite(const Bf16* numbers, Index count) { return all_below(0x7f80, &numbers->bits, count); }
inline bool all_finite(const F16* numbers, Index count) { return all_below(0x7c00, &numbers->bits, count); }

}  // namespace tconv
