#include "../backend.hpp"
#define VECTOR_BYTES 64
#define ROWS 8
#define VECTORS 3
#include "kernels.inl"

const tconv::Backend tconv::avx512_backend{"avx512", "512-bit vectors, AVX-512F", kernels<float>(), kernels<double>()};
