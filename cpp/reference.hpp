// The definition as plain loops: every output gathers its sources, in double precision. Slow, and the oracle.
#pragma once
#include "activation.hpp"
#include "problem.hpp"
#include "rows.hpp"

namespace tconv {

// Output row `row` of image `n`, group `g`, channel `c` of the group. `weight` is (in, out/groups, *kernel), contiguous.
template <class T>
void reference_row(const std::vector<Axis>& axes, const View<const T>& x, const View<T>& y, const T* weight,
                   const T* bias, Index groups, Activation activation, T slope, Index n, Index g, Index c, Index row) {
    const Axis& last = axes.back();
    const Index in_channels = x.shape[1] / groups, out_channels = y.shape[1] / groups;
    const Index in = x.shape.back(), out = y.shape.back(), x_step = x.strides.back(), y_step = y.strides.back();
    Index taps = 1, y_offset = 0;
    for (const Axis& axis : axes) taps *= axis.kernel;
    const auto rows = row_sources(axes, x, y, row, y_offset);
    const Index channel = g * out_channels + c;
    T* out_row = y.at(n, channel) + y_offset;
    for (Index o = 0; o < out; ++o) {
        double sum = bias ? static_cast<double>(bias[channel]) : 0.0;
        for (Index k = 0; k < last.kernel; ++k) {
            const Index reached = o + last.crop_lo - last.dilation * k;
            if (reached < 0) break;
            if (reached % last.stride || reached / last.stride >= in) continue;
            for (const RowPair& pair : rows)
                for (Index ci = g * in_channels; ci < (g + 1) * in_channels; ++ci)
                    sum += static_cast<double>(x.at(n, ci)[pair.x_offset + reached / last.stride * x_step]) *
                           static_cast<double>(weight[(ci * out_channels + c) * taps + pair.tap * last.kernel + k]);
        }
        out_row[o * y_step] = activated(activation, slope, static_cast<T>(sum));
    }
}

}  // namespace tconv
