// The gradients of a layer's input and weight, from that of its result.
#pragma once
#include "../problem.hpp"

namespace tconv {

// `x` (batch, in, *in_size), `grad` (batch, out, *out_size) and, of x's shape, `of_input` lie as they come, of the last
// the pixels of an image without gaps; `weight` and `of_weight` (in, out/groups, *kernel) are contiguous or, with
// `taps_first`, channels-last. What is null is not wanted. No array is empty. False, and nothing is done, if zeros beyond the border would meet numbers that are not
// finite.
template <class T>
bool gradients(const Form& layer, const Kernels<T>& kernels, const View<const T>& x, const T* weight, bool taps_first,
               const View<const T>& grad, const View<T>& of_input, T* of_weight);

}  // namespace tconv
