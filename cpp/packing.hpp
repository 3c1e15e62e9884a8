// Weights and bias in the order in which a way of computing reads them.
#pragma once
#include <algorithm>
#include <vector>

#include "buffer.hpp"
#include "problem.hpp"
#include "threads.hpp"

namespace tconv {

// What one tile reads of an input channel: to[ci*step + k] = weight[ci][from[k]], and zeros up to `width`.
struct Column {
    Index to, step, width;
    std::vector<Index> from;   // out channel within the group * taps + tap
};

// The weights of one channel group, and the biases in the order of the lanes or rows that get them.
struct PackOrder {
    std::vector<Column> columns;
    std::vector<Index> biases;  // out channel within the group; none: zero
    Index weights = 0;

    static constexpr Index none = -1;
};

template <class T>
struct Packed {
    Buffer<T> weight, bias;  // one channel group after the other
};

// `weights` are (groups*in_channels, out_channels, *kernel), contiguous.
template <class T>
Packed<T> pack(const PackOrder& order, const Constants<T>& layer, const T* weights) {
    const auto biases = static_cast<Index>(order.biases.size());
    Packed<T> packed{Buffer<T>(order.weights * layer.groups), Buffer<T>(biases * layer.groups)};
    for (Index g = 0; g < layer.groups; ++g)
        for (Index k = 0; k < biases; ++k) {
            const Index channel = order.biases[static_cast<std::size_t>(k)];
            packed.bias.data()[g * biases + k] = channel == PackOrder::none ? T(0) : layer.bias_of(g * layer.out_channels + channel);
        }
    // A few input channels at a time: what all columns read of them stays in the cache.
    constexpr Index several = 8;
    const Index blocks = ceil_div(layer.in_channels, several), row = layer.out_channels * layer.taps();
    parallel(blocks * layer.groups, static_cast<double>(order.weights * layer.groups), [&](Index task) {
        const Index g = task / blocks, begin = task % blocks * several, end = std::min(begin + several, layer.in_channels);
        for (const Column& column : order.columns)
            for (Index ci = begin; ci < end; ++ci) {
                const T* weight = weights + (g * layer.in_channels + ci) * row;
                T* to = packed.weight.data() + g * order.weights + column.to + ci * column.step;
                const auto count = static_cast<Index>(column.from.size());
                for (Index k = 0; k < count; ++k) to[k] = weight[column.from[static_cast<std::size_t>(k)]];
                for (Index k = count; k < column.width; ++k) to[k] = T(0);
            }
    });
    return packed;
}

}  // namespace tconv
