#include "../backend.hpp"
#define VECTOR_BYTES 32
#define REGISTERS 16
#define ROWS 4
#include "kernels.inl"

const tconv::Backend tconv::avx2_backend{"avx2", "256-bit vectors, AVX2 and FMA", kernels<float>(), kernels<double>(),
                                   kernels<Bf16>(), kernels<F16>()};
