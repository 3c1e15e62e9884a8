// The micro-kernel, written once: a strip of cells in vectors, a block of output channels, the sum over input channels
// in registers. Each file in isa/ defines VECTOR_BYTES, includes this and exports one Backend. Everything stays in an
// unnamed namespace: a weak symbol compiled for AVX-512 here could be the one that the linker keeps for everybody.
namespace {

template <class T>
struct Vec {
    typedef T type __attribute__((vector_size(VECTOR_BYTES)));
    typedef T unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));
    static constexpr int lanes = VECTOR_BYTES / sizeof(T);
};

constexpr int vectors = 2;  // per strip: two streams of multiply-adds per channel hide their latency

template <class T, int block>
void tap(T* acc, const T* x, std::int64_t x_stride, const T* w, std::int64_t channels) {
    using V = typename Vec<T>::type;
    using U = typename Vec<T>::unaligned;
    constexpr int lanes = Vec<T>::lanes;
    V sum[block][vectors];
    for (int c = 0; c < block; ++c)
        for (int v = 0; v < vectors; ++v) sum[c][v] = *reinterpret_cast<const U*>(acc + (c * vectors + v) * lanes);
    for (std::int64_t channel = 0; channel < channels; ++channel, x += x_stride, w += block) {
        V in[vectors];
        for (int v = 0; v < vectors; ++v) in[v] = *reinterpret_cast<const U*>(x + v * lanes);
        for (int c = 0; c < block; ++c)
            for (int v = 0; v < vectors; ++v) sum[c][v] += in[v] * w[c];
    }
    for (int c = 0; c < block; ++c)
        for (int v = 0; v < vectors; ++v) *reinterpret_cast<U*>(acc + (c * vectors + v) * lanes) = sum[c][v];
}

template <class T>
constexpr tconv::Kernels<T> kernels() {
    return {vectors * Vec<T>::lanes, {tap<T, 8>, tap<T, 4>, tap<T, 2>, tap<T, 1>}};
}

}  // namespace
