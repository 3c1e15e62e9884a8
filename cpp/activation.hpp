// Activations, applied to outputs while they are in the cache. Definitions are those of torch.nn.functional.
#pragma once
#include <cmath>

#include "problem.hpp"

namespace tconv {

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

template <class T>
void activate(Activation kind, T slope, T* out, Index count, Index step) {
    if (kind == Activation::none) return;
    for (Index j = 0; j < count; ++j) out[j * step] = activated(kind, slope, out[j * step]);
}

}  // namespace tconv
