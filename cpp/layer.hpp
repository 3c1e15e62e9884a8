// A prepared layer: keeps the weights, packs them in the way that its first inputs call for, and runs on any input size.
#pragma once
#include <memory>
#include <mutex>

#include "backend.hpp"
#include "problem.hpp"

namespace tconv {

template <class T>
class Pixels;
template <class T>
class CellLanes;
template <class T>
class Depthwise;

template <class T>
class Layer {
   public:
    // `weight` (in, out/groups, *kernel) and `bias` (out, or null) are contiguous and copied. `backend` is null for the
    // reference.
    Layer(const T* weight, const T* bias, Index in_channels, Index out_channels, Index groups, std::vector<Axis> axes,
          Activation activation, T slope, const Backend* backend);
    ~Layer();

    void run(const View<const T>& x, const View<T>& y) const;

    const std::vector<Axis>& axes() const { return constants_.axes; }
    Index in_channels() const { return constants_.in_channels * constants_.groups; }
    Index out_channels() const { return constants_.out_channels * constants_.groups; }

   private:
    enum class Way { pixels, channels, channels_alike, phases, depthwise };

    Way choose(const View<const T>& x, const View<T>& y) const;
    void run_reference(const View<const T>& x, const View<T>& y, double multiplications) const;
    void run_cells(Way way, const View<const T>& x, const View<T>& y, double multiplications) const;
    void fill(const View<T>& y) const;

    std::vector<T> weight_, bias_;
    Constants<T> constants_;
    const Kernels<T>* kernels_;  // null: the reference
    bool holes_, finite_;

    mutable std::mutex packing_;
    mutable std::unique_ptr<Pixels<T>> pixels_;
    mutable std::unique_ptr<CellLanes<T>> cells_[4];  // by Way
    mutable std::unique_ptr<Depthwise<T>> depthwise_;
};

extern template class Layer<float>;
extern template class Layer<double>;

}  // namespace tconv
