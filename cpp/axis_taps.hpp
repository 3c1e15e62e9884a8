// The relation on one axis as depthwise layers are computed: which inputs a phase reads, and through which taps.
#pragma once
#include <algorithm>
#include <vector>

#include "problem.hpp"

namespace tconv {

// How an axis lies in the arrays of one call.
struct Extent {
    Index in, out, x_step, y_step;
};

// The last axis of two arrays; and the last but one, where a sequence is an image of one row.
template <class A, class B>
Extent column_extent(const View<A>& x, const View<B>& y) {
    return {x.shape.back(), y.shape.back(), x.strides.back(), y.strides.back()};
}
template <class A, class B>
Extent row_extent(const View<A>& x, const View<B>& y) {
    const std::size_t axis = x.shape.size() - 2;
    if (axis < 2) return {1, 1, 0, 0};
    return {x.shape[axis], y.shape[axis], x.strides[axis], y.strides[axis]};
}
inline Axis row_axis(const Form& layer) {
    return layer.axes.size() > 1 ? layer.axes[layer.axes.size() - 2] : Axis{1, 1, 1, 0};
}

// The outputs phase + stride*cell of one axis read the inputs cell + shift, cell = 0, 1, ...
struct AxisTap {
    Index phase, shift, k;
};

class AxisTaps {
   public:
    explicit AxisTaps(const Axis& axis) : axis(axis) {
        for (Index k = 0; k < axis.kernel; ++k) {
            const Index ahead = axis.dilation * k - axis.crop_lo, shift = -floor_div(ahead, axis.stride);
            taps.push_back({ahead + axis.stride * shift, shift, k});
            low = k ? std::min(low, shift) : shift, high = k ? std::max(high, shift) : shift;
        }
        const auto before = [](const AxisTap& a, const AxisTap& b) { return a.phase < b.phase; };
        std::stable_sort(taps.begin(), taps.end(), before);
    }

    Index cells(Index out) const { return ceil_div(out, axis.stride); }

    Axis axis;
    std::vector<AxisTap> taps;  // by phase
    Index low = 0, high = 0;    // of all shifts
};

}  // namespace tconv
