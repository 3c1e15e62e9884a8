// The kernel of cells.hpp.
namespace {

// Weights as elements; those of type W are widened.
template <class E, class W>
INLINED Elements<E> weights_at(const W* from) {
    if constexpr (std::is_same_v<E, W>)
        return load_elements(from);
    else
        return load_as<E>(from);
}

template <class E, int rows, int vectors, class W = E>
void cells(Sum<E>* const* out, Index last, const E* const* x, const Index* number, Index taps, Index channels, Index first,
           Index end, const W* weight, const Sum<E>* bias) {
    using T = Sum<E>;
    constexpr int lanes = Vec<T>::lanes, width = vectors * lanes;
    typename Vec<T>::type sum[rows][vectors] = {};
    for (Index tap = 0; tap < taps; ++tap, x += rows) {
        const E* in[rows];
        for (int r = 0; r < rows; ++r) in[r] = x[r];
        const W* w = weight + (number[tap] * channels + first) * width;
        for (Index channel = first; channel < end; ++channel, w += width) {
            if constexpr (is_wide<E, rows, vectors>) {
                typename Vec<T>::type inputs[rows];
                for (int r = 0; r < rows; ++r) inputs[r] = in[r][channel] - typename Vec<T>::type{};
                for (int v = 0; v < vectors; ++v) {
                    const typename Vec<T>::type weights = weights_at<E>(w + v * lanes);
                    for (int r = 0; r < rows; ++r) sum[r][v] += weights * inputs[r];
                }
            } else {
                Elements<E> weights[vectors];
                for (int v = 0; v < vectors; ++v) weights[v] = weights_at<E>(w + v * lanes);
                for (int r = 0; r < rows; ++r)
                    for (int v = 0; v < vectors; ++v) add_product(sum[r][v], weights[v], in[r][channel]);
            }
        }
    }
    if (last == tconv::past_caches) {
#pragma GCC unroll 8  // else all sums go through memory once more
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
                store_nontemporal<T, VECTOR_BYTES>(out[r] + v * lanes, sum[r][v] + load(bias + v * lanes));
        return;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
        T* to = out[r];
#pragma GCC unroll 8
        for (int v = 0; v + 1 < vectors; ++v, to += lanes)
            store(to, sum[r][v] + (bias ? load(bias + v * lanes) : load(to)));
        const auto rest = bias ? load_some(bias + (vectors - 1) * lanes, last) : load_some(to, last);
        store_some(to, sum[r][vectors - 1] + rest, 0, last);
    }
}

}  // namespace
