// What one call is about, as plain numbers received from Python. Sizes are never recomputed here.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "backend.hpp"

namespace tconv {

// One spatial axis: o = stride*i + dilation*k - crop_lo, kept when 0 <= o < out (see geometry/axis.py).
struct Axis {
    Index kernel, stride, dilation, crop_lo;
};

// A strided array (batch, channels, *spatial); strides count elements and may be negative or zero.
template <class T>
struct View {
    T* data;
    std::span<const Index> shape, strides;

    T* at(Index n, Index channel) const { return data + n * strides[0] + channel * strides[1]; }
    Index size() const {
        Index product = 1;
        for (Index n : shape) product *= n;
        return product;
    }
    bool empty() const { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }
    // `size` where it may not fit into 64 bits: an array that repeats its elements can be as large as it likes.
    double about_size() const {
        double product = 1;
        for (const Index n : shape) product *= static_cast<double>(n);
        return product;
    }
};

// What tells arrays of one shape and layout from others.
template <class S>
std::vector<Index> shapes_of(const View<const S>& x, const View<S>& y) {
    std::vector<Index> key(x.shape.begin(), x.shape.end());
    for (const auto more : {x.strides, y.shape, y.strides}) key.insert(key.end(), more.begin(), more.end());
    return key;
}

// A layer without its numbers; channels are counted per group.
struct Form {
    std::vector<Axis> axes;
    Index groups, in_channels, out_channels;

    Index taps() const {
        Index product = 1;
        for (const Axis& axis : axes) product *= axis.kernel;
        return product;
    }
};

// The same layer for inputs of a single pixel, whose output is the whole kernel: every tap a phase of one axis.
inline Form one_axis(Form layer) {
    const Index taps = layer.taps();
    layer.axes = {{taps, taps, 1, 0}};
    return layer;
}

// What stays the same from call to call, but the weights: a layer may have to ask for those, and packs them. `bias` is null
// or has one value per output channel.
template <class T>
struct Constants : Form {
    const T* bias;
    Activation activation;
    T slope;

    T bias_of(Index channel) const { return bias ? bias[channel] : T(0); }
};

// The k-th of `shares` parts of a whole begins here and ends where the next begins.
inline Index part(Index whole, Index k, Index shares) { return whole * k / shares; }

inline Index floor_div(Index a, Index b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }
inline Index ceil_div(Index a, Index b) { return -floor_div(-a, b); }

}  // namespace tconv
