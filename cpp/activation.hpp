// Activations, applied to outputs while they are in the cache.
#pragma once
#include <algorithm>

#include "problem.hpp"

namespace tconv {

template <class Functions, class T>
void activate(const Functions& kernels, const Constants<T>& layer, T* out, Index count, Index step) {
    if (layer.activation == Activation::none) return;
    if (step == 1) return kernels.activate(layer.activation, layer.slope, out, count);
    constexpr Index most = 256;
    T some[most];  // the same bits as if they were neighbours
    for (Index begin = 0; begin < count; begin += most, out += most * step) {
        const Index n = std::min(most, count - begin);
        for (Index j = 0; j < n; ++j) some[j] = out[j * step];
        kernels.activate(layer.activation, layer.slope, some, n);
        for (Index j = 0; j < n; ++j) out[j * step] = some[j];
    }
}

}  // namespace tconv
