// A prepared layer: weights packed once for the chosen backend, then run on any input size.
#pragma once
#include <string>
#include <vector>

#include "backend.hpp"
#include "phases.hpp"
#include "problem.hpp"

namespace tconv {

template <class T>
class Layer {
   public:
    // `weight` (in, out/groups, *kernel) and `bias` (out) are contiguous and copied. `backend` is null for the reference.
    Layer(const T* weight, const T* bias, Index in_channels, Index out_channels, Index groups, std::vector<Axis> axes,
          Activation activation, T slope, const Backend* backend);

    void run(const View<const T>& x, const View<T>& y) const;

    const std::vector<Axis>& axes() const { return axes_; }
    Index in_channels() const { return in_channels_ * groups_; }
    Index out_channels() const { return out_channels_ * groups_; }

   private:
    void pack(const T* weight, const Kernels<T>& kernels);
    void run_blocks(const View<const T>& x, const View<T>& y, double multiplications) const;
    void run_reference(const View<const T>& x, const View<T>& y, double multiplications) const;

    Index in_channels_, out_channels_, groups_;  // channels per group
    std::vector<Axis> axes_;
    Activation activation_;
    T slope_;
    Index width_ = 0;         // 0: reference
    std::vector<T> weight_;   // packed; as given for the reference
    std::vector<T> bias_;
    std::vector<PackedBlock<T>> blocks_;
};

extern template class Layer<float>;
extern template class Layer<double>;

}  // namespace tconv
