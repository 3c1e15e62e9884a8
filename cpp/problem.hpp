// What one call is about, as plain numbers received from Python. Sizes are never recomputed here.
#pragma once
#include <cstdint>
#include <vector>

namespace tconv {

using Index = std::int64_t;

// One spatial axis: o = stride*i + dilation*k - crop_lo, kept when 0 <= o < out (see geometry/axis.py).
struct Axis {
    Index kernel, stride, dilation, crop_lo;
};

enum class Activation { none, relu, leaky_relu, tanh, sigmoid, gelu, silu };

// A strided array (batch, channels, *spatial); strides count elements and may be negative or zero.
template <class T>
struct View {
    T* data;
    std::vector<Index> shape, strides;

    T* at(Index n, Index channel) const { return data + n * strides[0] + channel * strides[1]; }
    Index size() const {
        Index product = 1;
        for (Index n : shape) product *= n;
        return product;
    }
};

// Rows and their sources along the axes before the last: which input row meets which output row through which tap.
struct RowPair {
    Index x_offset;  // elements from the start of a channel to the input row
    Index tap;       // flat index of the tap on these axes
};

}  // namespace tconv
