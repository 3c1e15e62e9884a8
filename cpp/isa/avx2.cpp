#include "../backend.hpp"
#define VECTOR_BYTES 32
#include "tap.inl"

const tconv::Backend tconv::avx2_backend{"avx2", "256-bit vectors, AVX2 and FMA", kernels<float>(), kernels<double>()};
