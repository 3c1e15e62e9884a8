#include "../backend.hpp"
#define VECTOR_BYTES 16
#define REGISTERS 16
#define ROWS 4
#include "kernels.inl"

const tconv::Backend tconv::portable_backend{"portable", "128-bit vectors, any CPU", kernels<float>(), kernels<double>(),
                                   kernels<Bf16>(), kernels<F16>()};
