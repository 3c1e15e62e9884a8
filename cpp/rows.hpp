// The relation on all axes but the last, which the reference walks as rows.
#pragma once
#include <utility>

#include "problem.hpp"

namespace tconv {

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
            for (Index k = 0; k < axis.kernel; ++k) {
                const Index reached = o[a] + axis.crop_lo - axis.dilation * k;
                if (reached < 0) break;
                if (reached % axis.stride == 0 && reached / axis.stride < x.shape[a + 2])
                    next.push_back({pair.x_offset + reached / axis.stride * x.strides[a + 2], pair.tap * axis.kernel + k});
            }
        std::swap(pairs, next);
    }
    return pairs;
}

}  // namespace tconv
