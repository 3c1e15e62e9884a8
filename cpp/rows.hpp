// The relation on one axis, and on all axes but the last, which the reference walks as rows.
#pragma once
#include <numeric>
#include <utility>

#include "problem.hpp"

namespace tconv {

// Call use(k, i) for every tap k and input i of an axis that meet at the index `canvas` = o + crop_lo, in the order of k.
// Taps that reach beyond the inputs are left out at once, and of the others only one in `period` meets any input: so a huge
// stride or crop costs no more than what it computes.
template <class Use>
void meetings(const Axis& axis, Index canvas, Index in, Use use) {
    if (canvas < 0) return;
    Index furthest = 0;  // that an input reaches without the kernel
    if (__builtin_mul_overflow(axis.stride, in - 1, &furthest)) furthest = INT64_MAX;
    const Index last = std::min(axis.kernel - 1, canvas / axis.dilation);
    Index k = canvas > furthest ? ceil_div(canvas - furthest, axis.dilation) : 0, step = 1;
    for (; k <= last; k += step) {
        const Index reached = canvas - axis.dilation * k;
        if (reached % axis.stride != 0) continue;
        if (step == 1) step = axis.stride / std::gcd(axis.stride, axis.dilation);
        use(k, reached / axis.stride);
    }
}

// Which input row meets an output row through which tap.
struct RowPair {
    Index x_offset;  // elements from the start of a channel to the input row
    Index tap;       // flat index of the tap on these axes
};

// All (input row, tap) that meet at the output row with flat index `row`; `y_offset` receives where that row starts.
template <class T>
std::vector<RowPair> row_sources(const std::vector<Axis>& axes, const View<const T>& x, const View<T>& y, Index row,
                                 Index& y_offset) {
    std::vector<RowPair> pairs{{0, 0}}, next;
    const std::size_t outer = axes.size() - 1;
    std::vector<Index> o(outer);
    for (std::size_t a = outer; a-- > 0; row /= y.shape[a + 2]) o[a] = row % y.shape[a + 2];
    y_offset = 0;
    for (std::size_t a = 0; a < outer; ++a) {
        const Axis& axis = axes[a];
        y_offset += o[a] * y.strides[a + 2];
        next.clear();
        for (const RowPair& pair : pairs)
            meetings(axis, o[a] + axis.crop_lo, x.shape[a + 2], [&](Index k, Index i) {
                next.push_back({pair.x_offset + i * x.strides[a + 2], pair.tap * axis.kernel + k});
            });
        std::swap(pairs, next);
    }
    return pairs;
}

}  // namespace tconv
