#include "../backend.hpp"
#define VECTOR_BYTES 16
#include "tap.inl"

const tconv::Backend tconv::portable_backend{"portable", "128-bit vectors, any CPU", kernels<float>(), kernels<double>()};
