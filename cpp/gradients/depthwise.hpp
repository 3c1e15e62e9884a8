// The gradients of layers whose groups have one input and one output channel: nothing is summed over channels, so that a
// number that is read is multiplied once for each tap. Lanes are neighbouring inputs of a row, or neighbouring channels.
#pragma once
#include "../problem.hpp"

namespace tconv {

// As `gradients`, for finite numbers or layers without a border; false, and nothing is done, for layers of other kinds.
template <class T>
bool depthwise_gradients(const Form& layer, const Kernels<T>& kernels, const View<const T>& x, const T* weight,
                         const View<const T>& grad, const View<T>& of_input, T* of_weight);

extern template bool depthwise_gradients(const Form&, const Kernels<float>&, const View<const float>&, const float*,
                                         const View<const float>&, const View<float>&, float*);
extern template bool depthwise_gradients(const Form&, const Kernels<double>&, const View<const double>&, const double*,
                                         const View<const double>&, const View<double>&, double*);

}  // namespace tconv
