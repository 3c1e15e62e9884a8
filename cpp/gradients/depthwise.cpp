#include "depthwise.hpp"

#include "depthwise_planes.hpp"
#include "depthwise_rows.hpp"

namespace tconv {

namespace {
constexpr Index most_taps = 1 << 14;  // whose places are found anew for each task
}  // namespace

template <class T>
bool depthwise_gradients(const Form& layer, const Kernels<T>& kernels, const View<const T>& x, const T* weight,
                         const View<const T>& grad, const View<T>& of_input, T* of_weight) {
    const DepthwiseWork<T> work{layer, kernels, x, weight, grad, of_input, of_weight};
    if (layer.in_channels != 1 || layer.out_channels != 1 || layer.taps() > most_taps) return false;
    if (DepthwiseRows<T>::fits(work)) return DepthwiseRows<T>(work).run(), true;
    if (DepthwisePlanes<T>::fits(work)) return DepthwisePlanes<T>(work).run(), true;
    return false;
}

template bool depthwise_gradients(const Form&, const Kernels<float>&, const View<const float>&, const float*,
                                  const View<const float>&, const View<float>&, float*);
template bool depthwise_gradients(const Form&, const Kernels<double>&, const View<const double>&, const double*,
                                  const View<const double>&, const View<double>&, double*);

}  // namespace tconv
