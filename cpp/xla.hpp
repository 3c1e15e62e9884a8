// The transposed convolution as a function that XLA calls: JAX registers its address.
#pragma once
#include "xla_abi.hpp"

namespace tconv::xla {

// Arguments: lhs and rhs, as dense arrays with the last axis fastest. Result: the transposed convolution. Attributes:
//
//     backend: text, as `choose` takes it
//     layer:   64-bit integers: groups; 1 if taps are counted from the last one; then, in each of lhs, rhs and result, the
//              numbers of the axes (batch, channels, *size) of lhs and result and (out, in/groups, *kernel) of rhs; then, for
//              each spatial axis, stride, dilation and crop_lo
//
// All are judged here as far as memory must be safe.
extern "C" Error* tconv_conv_transpose(Call* call);

// Let go of the packed weights that are kept for further calls.
void forget_layers();

}  // namespace tconv::xla
