// The definition as plain loops: every output gathers its sources, in double precision. Slow, and the oracle.
#pragma once
#include <cmath>

#include "problem.hpp"
#include "rows.hpp"

namespace tconv {

// Definitions are those of torch.nn.functional.
template <class T>
T activated(Activation kind, T slope, T v) {
    switch (kind) {
        case Activation::relu: return v < T(0) ? T(0) : v;  // NaN passes
        case Activation::leaky_relu: return v < T(0) ? slope * v : v;
        case Activation::tanh: return std::tanh(v);
        case Activation::sigmoid: return T(1) / (T(1) + std::exp(-v));
        case Activation::gelu: return v * T(0.5) * std::erfc(-v * T(0.70710678118654752440));
        case Activation::silu: return v / (T(1) + std::exp(-v));
        case Activation::none: break;
    }
    return v;
}

// The activation of an exact sum, as it lies in memory: half precision is rounded once, after it.
template <class S>
S activated_as(Activation kind, Sum<S> slope, double sum) {
    if constexpr (is_own_sum<S>)
        return activated(kind, slope, static_cast<S>(sum));
    else
        return rounded<S>(activated(kind, static_cast<double>(slope), sum));
}

// The outputs begin..end of row `row` of image `n`, output channel `channel`; `weight` as in packing.hpp.
template <class S>
void reference_row(const Constants<Sum<S>>& layer, const S* weight, const View<const S>& x, const View<S>& y, Index n,
                   Index channel, Index row, Index begin, Index end) {
    const Axis& last = layer.axes.back();
    const Index g = channel / layer.out_channels, c = channel % layer.out_channels, taps = layer.taps();
    const Index x_step = x.strides.back(), y_step = y.strides.back();
    Index y_offset = 0;
    const auto rows = row_sources(layer.axes, x, y, row, y_offset);
    S* out_row = y.at(n, channel) + y_offset;
    for (Index o = begin; o < end; ++o) {
        double sum = static_cast<double>(layer.bias_of(channel));
        meetings(last, o + last.crop_lo, x.shape.back(), [&](Index k, Index i) {
            for (const RowPair& pair : rows)
                for (Index ci = g * layer.in_channels; ci < (g + 1) * layer.in_channels; ++ci)
                    sum += static_cast<double>(widened(x.at(n, ci)[pair.x_offset + i * x_step])) *
                           static_cast<double>(widened(weight[(ci * layer.out_channels + c) * taps + pair.tap * last.kernel + k]));
        });
        out_row[o * y_step] = activated_as<S>(layer.activation, layer.slope, sum);
    }
}

}  // namespace tconv
