// Activations, applied in the store. Definitions are those of torch.nn.functional.
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

}  // namespace tconv
