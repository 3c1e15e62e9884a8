// What 64-bit arithmetic can hold, decided once, when a layer and its arrays meet. Strides, dilations and crops may be as
// large as 2^62 while the output is small: the fast ways then run out of bits or of memory for their tables. The reference
// does not: it only computes  o + crop_lo - dilation*k  and the places of elements that exist.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "problem.hpp"

namespace tconv {

constexpr Index largest_size = Index{1} << 62;   // what Python calls LARGEST: the reference needs sizes to stay below it
constexpr Index longest_stride = Index{1} << 16;  // the fast ways have a table entry for each phase

// Whether the reference can run this axis: no number of it is too large for sums of three of them.
inline bool countable(const Axis& axis) {
    Index extent = 0;
    const bool counted = !__builtin_mul_overflow(axis.dilation, axis.kernel - 1, &extent) && extent < largest_size;
    return counted && axis.stride < largest_size && axis.crop_lo < largest_size && axis.crop_lo > -largest_size;
}

// Whether the fast ways can: every product and sum of sizes and steps that they form stays far below 2^63.
template <class T, class Y>
bool fits_fast_ways(const Form& layer, const View<const T>& x, const View<Y>& y) {
    constexpr double most = 0x1p58;
    const auto number = [](Index n) { return static_cast<double>(n); };
    double cells = number(layer.taps()), furthest = 0;
    for (std::size_t a = 0; a < layer.axes.size(); ++a) {
        const Axis& axis = layer.axes[a];
        if (axis.stride > longest_stride) return false;
        const double span = std::abs(number(axis.crop_lo)) + number(axis.stride) * number(x.shape[a + 2] + 1) +
                            number(axis.dilation) * number(axis.kernel) + number(y.shape[a + 2]);
        cells *= span;
        furthest += span * std::max(std::abs(number(x.strides[a + 2])), std::abs(number(y.strides[a + 2])));
    }
    return cells <= most && furthest <= most && x.about_size() <= most;
}

}  // namespace tconv
