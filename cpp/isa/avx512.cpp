#include "../backend.hpp"
#define VECTOR_BYTES 64
#define REGISTERS 32
#define ROWS 8
#include "kernels.inl"

const tconv::Backend tconv::avx512_backend{"avx512", "512-bit vectors, AVX-512F", kernels<float>(), kernels<double>(),
                                   kernels<Bf16>(), kernels<F16>()};
