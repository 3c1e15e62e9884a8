// A backend is one instruction set's instance of the micro-kernel in tap.inl, as a value that can be named and chosen.
#pragma once
#include <cstdint>

namespace tconv {

// acc[block][width] += sum over `channels` of w[channel][block] (outer) x[channel*x_stride + 0..width)
template <class T>
using TapKernel = void (*)(T* acc, const T* x, std::int64_t x_stride, const T* w, std::int64_t channels);

// Output channels are taken in blocks of 8, 4, 2 and 1; one kernel for each.
constexpr int block_count = 4;
constexpr int block_sizes[block_count] = {8, 4, 2, 1};

template <class T>
struct Kernels {
    std::int64_t width;  // cells per strip
    TapKernel<T> tap[block_count];
};

struct Backend {
    const char* name;
    const char* description;
    Kernels<float> f32;
    Kernels<double> f64;
};

constexpr int widest_strip = 32;  // the largest `width` of all backends

extern const Backend portable_backend;
#if defined(__x86_64__)
extern const Backend avx2_backend;
extern const Backend avx512_backend;
#endif

}  // namespace tconv
