// AMX: tiles that must be asked for, and are used only where they compute what they should.
#pragma once

namespace tconv {

// What CPUID says: that the processor multiplies bfloat16 in tiles, and that the system keeps their registers.
bool has_amx_bf16();

// Whether the system lets this process use them, and the kernels' products, of a few cells and pixels, are right; where
// AVX512_BF16 is there, which the kernels need beside. Asked once.
bool amx_agrees();

}  // namespace tconv
