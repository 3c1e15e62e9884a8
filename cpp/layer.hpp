// A prepared layer: keeps the weights, packs them in the way that its first inputs call for, and runs on any input size.
#pragma once
#include "backend.hpp"
#include "lazy.hpp"
#include "packing.hpp"
#include "problem.hpp"

namespace tconv {

template <class T>
class Pixels;
template <class T>
class CellLanes;
template <class T>
class Depthwise;
template <class T>
class Winograd;

template <class T>
class Layer {
   public:
    // `weight` (in, out/groups, *kernel) and `bias` (out, or null) are contiguous, and copied unless they are lent: then
    // they must stay as they are for as long as the layer lives. `backend` is null for the reference. With `winograd`,
    // rounding errors may be larger where large and small inputs are neighbours: see winograd.hpp.
    Layer(const T* weight, const T* bias, bool lent, Index in_channels, Index out_channels, Index groups,
          std::vector<Axis> axes, Activation activation, T slope, const Backend* backend, bool winograd);
    ~Layer();

    void run(const View<const T>& x, const View<T>& y) const;

    // How arrays of these shapes would be computed, and how many bytes each thread needs for it beside its output and the
    // weights. Nothing is read or written.
    struct Account {
        const char* way;
        Index workspace_bytes;
    };
    Account account(const View<const T>& x, const View<T>& y) const;

    const std::vector<Axis>& axes() const { return constants_.axes; }
    Index in_channels() const { return constants_.in_channels * constants_.groups; }
    Index out_channels() const { return constants_.out_channels * constants_.groups; }

   private:
    // A way of computing, and the weights as it reads them.
    template <class Program>
    struct Ready {
        std::shared_ptr<const Program> program;
        Packed<T> packed;
    };

    enum class Way { reference, depthwise, winograd, point, pixels, pixels_woven, channels, channels_alike, phases };

    Way choose(const View<const T>& x, const View<T>& y, bool winograd) const;
    void run(Way way, const View<const T>& x, const View<T>& y) const;
    const Depthwise<T>& ready_depthwise() const;
    const Ready<Winograd<T>>& ready_winograd() const;
    const Ready<Pixels<T>>& ready_pixels(bool woven_channels) const;
    const Ready<CellLanes<T>>& ready_cells(Way way, const View<T>& y) const;
    void run_reference(const View<const T>& x, const View<T>& y, double multiplications) const;
    void fill(const View<T>& y) const;

    Buffer<T> weight_, bias_;
    Constants<T> constants_, point_;  // the latter: the kernel as one axis, for inputs of a single pixel
    const Kernels<T>* kernels_;       // null: the reference
    bool finite_, may_winograd_;

    // Of each way, when it is first taken.
    Lazy<Ready<Pixels<T>>> pixels_[2];
    Lazy<Ready<CellLanes<T>>> cells_[5];
    Lazy<Depthwise<T>> depthwise_;
    Lazy<Ready<Winograd<T>>> winograd_;
};

extern template class Layer<float>;
extern template class Layer<double>;

}  // namespace tconv
