// Stores past the caches. A store fetches its line first, and puts another one out of the cache; for outputs that no cache
// holds, both are for nothing. Where a line is written as a whole, a non-temporal store does neither.
namespace {

// 64 or 32 bytes, or false where they are not aligned to their size, or the processor has no such store.
template <class Bits>
INLINED bool stream([[maybe_unused]] void* to, [[maybe_unused]] Bits bits) {
#if VECTOR_BYTES > 16
    if (reinterpret_cast<std::uintptr_t>(to) % sizeof bits != 0) return false;
    if constexpr (sizeof bits == 32) return _mm256_stream_si256(static_cast<__m256i*>(to), reinterpret_cast<__m256i>(bits)), true;
#endif
#if VECTOR_BYTES == 64
    if constexpr (sizeof bits == 64) return _mm512_stream_si512(static_cast<__m512i*>(to), reinterpret_cast<__m512i>(bits)), true;
#endif
    return false;
}

// A vector, as it is or rounded.
template <class T, int bytes, class O>
INLINED void store_nontemporal(O* to, typename Vec<T, bytes>::type value) {
    if constexpr (bytes == VECTOR_BYTES && std::is_same_v<T, O>) {
        if (stream(to, value)) return;
    } else if constexpr (bytes == VECTOR_BYTES) {
        if (stream(to, narrow<O, bytes>(value))) return;
    }
    store_lanes<T, bytes>(to, value);
}

template <class S>
void put_nontemporal(S* y, const Sum<S>* x, Index count) {
    constexpr Index lanes = Vec<Sum<S>>::lanes;
    Index j = 0;
    for (; j + lanes <= count; j += lanes) store_nontemporal<Sum<S>, VECTOR_BYTES>(y + j, load(x + j));
    put(y + j, x + j, count - j);
}

inline void fence() {
#if VECTOR_BYTES > 16
    _mm_sfence();
#endif
}

}  // namespace
