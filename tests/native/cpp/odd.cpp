// A backend whose tiles fit nothing: small vectors, three rows, and few registers, so that every edge is met often.
#include "backend.hpp"
#define VECTOR_BYTES 16
#define REGISTERS 9
#define ROWS 3
#include "isa/kernels.inl"

extern const tconv::Backend odd_backend;
const tconv::Backend odd_backend{"odd", "tiles that fit nothing", kernels<float>(), kernels<double>(),
                                kernels<Bf16>(), kernels<F16>()};
