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

    // `result` (in, out/groups, *kernel) is contiguous or, with `taps_first`, channels-last.
    void write(T* result, bool taps_first);

   private:
    struct Rows {  // the channels of an input, where a tile reads them: pixel by pixel
        const View<const T>& x;
        std::vector<Index> steps;
        Index even;     // so many neighbouring pixels are as far apart as those of a row
        bool in_place;  // runs of pixels are read where they lie; else they are brought
    };
    struct Task {  // columns begin..end of a group's panels, and some of its inputs
        Index group, portion, first_panel, last_panel, first_input, last_input;
    };

    const T* panels(const Met<T>& met, const Task& task, Index begin, Index end) const;
    void multiply(const Met<T>& met, const Rows& rows, const Task& task, Index begin, Index end, bool begins);
    void find(const T** in, const Met<T>& met, const Rows& rows, Index channel, Index tile, Index begin, Index end) const;

    const Form& layer_;
    const Kernels<T>& kernels_;
    const Index channels_, columns_;
    const std::vector<Lanes> panels_;  // of columns
    const Index sets_, portions_;      // of panels; of pixels, whose sums are added up in the end
    const std::vector<T> zeros_;
    Borrowed<T> sums_;                 // (portion, in, column)
    bool begun_ = false;
};

extern template class OfWeight<float>;
extern template class OfWeight<double>;

}  // namespace tconv
