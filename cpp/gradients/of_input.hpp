// The gradient of a layer's input: what its pixels meet, times the weight transposed.
#pragma once
#include <optional>

#include "met.hpp"

namespace tconv {

template <class T>
class OfInput {
   public:
    // `weight` (in, out/groups, *kernel) is contiguous or, with `taps_first`, channels-last. So many `pixels` have all inputs
    // together, which lie channels-last or not.
    OfInput(const Form& layer, const Kernels<T>& kernels, const T* weight, bool taps_first, Index pixels, bool last);

    // Of some inputs. Neighbouring pixels of an image are neighbours in `result`.
    void write(const Met<T>& met, const View<T>& result) const;

   private:
    void pack();
    Index turn(T* to, const Met<T>& met, Index group, const std::vector<Index>& from, Index begin,
               const std::vector<Lanes>& panels, Index column) const;
    void with_channels_in_lanes(const Met<T>& met, const View<T>& result) const;
    void with_pixels_in_lanes(const Met<T>& met, const View<T>& result) const;
    void find(std::vector<const T*>& sources, const Met<T>& met, Index group, Index begin, Index end) const;

    const Form& layer_;
    const Kernels<T>& kernels_;
    const T* weight_;
    const bool taps_first_;
    const Index columns_;
    const std::vector<Lanes> swaths_;   // of input channels
    std::optional<Borrowed<T>> packed_;  // swath by swath of each group, weight[column*width + lane]; none: pixels in lanes
};

extern template class OfInput<float>;
extern template class OfInput<double>;

}  // namespace tconv
