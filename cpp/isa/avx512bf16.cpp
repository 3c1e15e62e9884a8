#include "../backend.hpp"
#define VECTOR_BYTES 64
#define REGISTERS 32
#define ROWS 8
#include "kernels.inl"

const tconv::Kernels<Bf16, Bf16Pair> tconv::avx512bf16_pairs = kernels<Bf16, Bf16Pair>();
