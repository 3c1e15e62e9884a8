// A prepared layer: packs the weights in the way that its inputs call for, and runs on any input size.
#pragma once
#include <functional>
#include <memory>

#include "backend.hpp"
#include "packing.hpp"
#include "packs.hpp"
#include "problem.hpp"

namespace tconv {

// The weights of a layer that keeps none, (in, out/groups, *kernel) and contiguous, for as long as what is returned lives.
template <class T>
using Lender = std::function<std::shared_ptr<const T>()>;

template <class T>
class Layer {
   public:
    // `weight` (in, out/groups, *kernel) and `bias` (out, or null) are contiguous; the bias is copied. A layer that keeps
    // its weights copies them and has room for packs as large again; of another, each call lends the weights, and its
    // packs have twice the room: either way, weights take at most twice their memory beside the caller's own (but see
    // `Packs::admit`). `backend` is null for the reference. With `winograd`, rounding errors may be larger where large and
    // small inputs are neighbours: see winograd.hpp.
    Layer(const T* weight, const T* bias, bool keeps, Index in_channels, Index out_channels, Index groups,
          std::vector<Axis> axes, Activation activation, T slope, const Backend* backend, bool winograd);

    // `lender` lends the very numbers that the layer was made from. It is called, on this thread, where weights have to be
    // packed and for the reference; a layer that keeps its weights needs none.
    void run(const View<const T>& x, const View<T>& y, const Lender<T>* lender = nullptr) const;

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
    Index weights() const { return in_channels() * constants_.out_channels * constants_.taps(); }
    const T* kept_weight() const { return weight_.data(); }  // null: it keeps none
    const T* bias() const { return constants_.bias; }

   private:
    enum class Way { reference, depthwise, winograd, winograd_line, point, pixels, pixels_woven, channels, channels_alike, phases };

    static bool by_winograd(Way way) { return way == Way::winograd || way == Way::winograd_line; }

    // A way of computing, and the weights as it reads them.
    template <class Program>
    struct Ready {
        std::shared_ptr<Program> program;
        Packed<T> packed;
    };

    struct Call {
        const View<const T>& x;
        const View<T>& y;
        const Lender<T>* lender;
        double multiplications;
    };

    Way choose(const View<const T>& x, const View<T>& y, bool winograd) const;
    Way instead_of(Way way, const View<const T>& x, const View<T>& y) const;
    bool run(Way way, const Call& call) const;
    template <class Use>
    auto by_program(Way way, const View<const T>& x, const View<T>& y, Use use) const;
    template <class Make>
    auto ready(int key, const Constants<T>& layer, const Call& call, Make program) const;
    std::shared_ptr<const T> weights_of(const Lender<T>* lender) const;
    void run_reference(const Call& call) const;
    void fill(const View<T>& y) const;

    Buffer<T> weight_, bias_;
    Constants<T> constants_, point_;  // the latter: the kernel as one axis, for inputs of a single pixel
    const Kernels<T>* kernels_;       // null: the reference
    bool finite_, may_winograd_;
    Packs packs_;
};

extern template class Layer<float>;
extern template class Layer<double>;

}  // namespace tconv
