// Weights and bias in the order in which a way of computing reads them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "buffer.hpp"
#include "problem.hpp"
#include "threads.hpp"

namespace tconv {

// What one tile reads of an input channel: to[ci*step + k] = weight[ci][from[k]], and zeros up to `width`. Where an element
// holds several channels, `ci` counts elements. Where elements of neighbouring channels lie together, `deep` of them, it is
// to[(ci/deep*step + k)*deep + ci%deep], with zeros up to a multiple of it.
struct Column {
    Index to, step, width;
    std::vector<Index> from;   // out channel within the group * taps + tap
};

// The weights of one channel group, and the biases in the order of the lanes or rows that get them.
struct PackOrder {
    std::vector<Column> columns;
    std::vector<Index> biases;  // out channel within the group; none: zero
    Index weights = 0;
    Index deep = 1;
    Index behind = 0;           // zeros behind all weights, which may be read

    static constexpr Index none = -1;
};

// A layer's numbers as one program reads them, one channel group after the other. Only that program knows their types.
class Packed {
   public:
    Packed(Index weight_bytes, Index bias_bytes) : weight_(weight_bytes), bias_(bias_bytes) {}

    template <class E, class T = Sum<E>>
    static Packed of(Index weights, Index biases) {
        return {weights * static_cast<Index>(sizeof(E)), biases * static_cast<Index>(sizeof(T))};
    }

    template <class T>
    T* weight() { return reinterpret_cast<T*>(weight_.data()); }
    template <class T>
    const T* weight() const { return reinterpret_cast<const T*>(weight_.data()); }
    template <class T>
    T* bias() { return reinterpret_cast<T*>(bias_.data()); }
    template <class T>
    const T* bias() const { return reinterpret_cast<const T*>(bias_.data()); }

   private:
    Buffer<std::byte> weight_, bias_;
};

// Elements of packed weights; channel `ci` of a group is the first of its element, or a further one.
template <class S>
void put_weight(Sum<S>& to, Index, S weight) {
    to = widened(weight);
}
inline void put_weight(Bf16Pair& to, Index ci, Bf16 weight) {
    if (ci % 2)
        to.second = weight;
    else
        to = {weight, {}};
}

// `weights` are (groups*in_channels, out_channels, *kernel), contiguous; packed, they are of type E.
template <class E, class S>
Packed pack(const PackOrder& order, const Constants<Sum<S>>& layer, const S* weights) {
    using T = Sum<S>;
    const auto biases = static_cast<Index>(order.biases.size());
    const Index all = order.weights * layer.groups;
    Packed packed = Packed::of<E>(all + order.behind, biases * layer.groups);
    std::fill_n(packed.weight<E>() + all, order.behind, E{});
    for (Index g = 0; g < layer.groups; ++g)
        for (Index k = 0; k < biases; ++k) {
            const Index channel = order.biases[static_cast<std::size_t>(k)];
            packed.bias<T>()[g * biases + k] = channel == PackOrder::none ? T(0) : layer.bias_of(g * layer.out_channels + channel);
        }
    // A few input channels at a time: what all columns read of them stays in the cache.
    const Index deep = order.deep, together = deep * channels_of<E>, several = std::max<Index>(8, together);
    const Index channels = ceil_div(layer.in_channels, together) * together;
    const Index blocks = ceil_div(channels, several), row = layer.out_channels * layer.taps();
    parallel(blocks * layer.groups, static_cast<double>(order.weights * layer.groups), [&](Index task) {
        const Index g = task / blocks, begin = task % blocks * several, end = std::min(begin + several, channels);
        for (const Column& column : order.columns)
            for (Index ci = begin; ci < end; ++ci) {
                const S* weight = weights + (g * layer.in_channels + ci) * row;
                const Index element = ci / channels_of<E>, first = element / deep * deep;
                E* to = packed.weight<E>() + g * order.weights + column.to + first * column.step + (element - first);
                const auto count = ci < layer.in_channels ? static_cast<Index>(column.from.size()) : 0;
                for (Index k = 0; k < count; ++k) put_weight(to[k * deep], ci, weight[column.from[static_cast<std::size_t>(k)]]);
                if (ci >= layer.in_channels && ci % channels_of<E>) continue;
                for (Index k = count; k < column.width; ++k) to[k * deep] = E{};
            }
    });
    return packed;
}

}  // namespace tconv
