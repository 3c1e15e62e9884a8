// The gradient of a layer's weight: the input transposed, times what its pixels meet.
#pragma once
#include "met.hpp"

namespace tconv {

template <class T>
class OfWeight {
   public:
    // Of inputs of which at least so many `pixels` are added at a time, but for the last ones.
    OfWeight(const Form& layer, const Kernels<T>& kernels, Index pixels);

    void add(const Met<T>& met, const View<const T>& x);

    // `result` (in, out/groups, *kernel) is contiguous.
    void write(T* result);

   private:
    const Form& layer_;
    const Kernels<T>& kernels_;
    const Index channels_, columns_;
    const std::vector<Lanes> panels_;  // of columns
    const Index bundles_, slices_;     // of panels; of chunks of pixels, whose sums are added up in the end
    Borrowed<T> sums_;                 // (slice, in, column)
    bool begun_ = false;
};

extern template class OfWeight<float>;
extern template class OfWeight<double>;

}  // namespace tconv
