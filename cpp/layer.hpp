// A prepared layer: packs the weights in the way that its inputs call for, and runs on any input size.
#pragma once
#include <functional>
#include <memory>

#include "backend.hpp"
#include "packing.hpp"
#include "packs.hpp"
#include "problem.hpp"
#include "ways/way.hpp"

namespace tconv {

// The weights of a layer that keeps none, (in, out/groups, *kernel) and contiguous, for as long as what is returned lives.
template <class S>
using Lender = std::function<std::shared_ptr<const S>()>;

// Of arrays of S.
template <class S>
class Layer {
    using T = Sum<S>;

   public:
    // `weight` (in, out/groups, *kernel) and `bias` (out, or null) are contiguous; the bias is copied. A layer that keeps
    // its weights copies them and has room for packs as large again; of another, each call lends the weights, and its
    // packs have twice the room: either way, weights take at most twice their memory beside the caller's own (but see
    // `Packs::admit`). Packs are of the type of the sums, or at most as large: of half precision, twice as large. `backend` is null for the reference. With `winograd`, rounding errors may be larger where large and
    // small inputs are neighbours: see winograd.hpp.
    Layer(const S* weight, const T* bias, bool keeps, Index in_channels, Index out_channels, Index groups,
          std::vector<Axis> axes, Activation activation, T slope, const Backend* backend, bool winograd);

    // `lender` lends the very numbers that the layer was made from. It is called, on this thread, where weights have to be
    // packed and for the reference; a layer that keeps its weights needs none.
    void run(const View<const S>& x, const View<S>& y, const Lender<S>* lender = nullptr) const;

    // How arrays of these shapes would be computed, and how many bytes each thread needs for it beside its output and the
    // weights. Nothing is read or written.
    struct Account {
        const char* way;
        Index workspace_bytes;
    };
    Account account(const View<const S>& x, const View<S>& y) const;

    const std::vector<Axis>& axes() const { return constants_.axes; }
    Index in_channels() const { return constants_.in_channels * constants_.groups; }
    Index out_channels() const { return constants_.out_channels * constants_.groups; }
    Index weights() const { return in_channels() * constants_.out_channels * constants_.taps(); }
    const S* kept_weight() const { return weight_.data(); }  // null: it keeps none
    const T* bias() const { return constants_.bias; }

   private:
    // A program, and the weights as it reads them.
    struct Ready {
        std::shared_ptr<const Program<S>> program;
        Packed packed;
    };

    // What takes turns until a way has computed a call: the ways that fit, best first. `use` returns whether it is done.
    template <class Use>
    void try_ways(const Query<S>& query, Use use) const;
    Query<S> query(const View<const S>& x, const View<S>& y) const;
    bool only_reference(const View<const S>& x, const View<S>& y) const;
    std::shared_ptr<const Ready> ready(const Way<S>& way, int key, int variant, const Query<S>& query, const Lender<S>* lender) const;
    std::shared_ptr<const S> weights_of(const Lender<S>* lender) const;
    void run_reference(const View<const S>& x, const View<S>& y, const Lender<S>* lender, double multiplications) const;
    void fill(const View<S>& y) const;

    Buffer<S> weight_;
    Buffer<T> bias_;
    Constants<T> constants_;
    const Backend* backend_;  // null: the reference
    bool finite_, may_winograd_;
    Packs packs_;
};

extern template class Layer<float>;
extern template class Layer<double>;
extern template class Layer<Bf16>;
extern template class Layer<F16>;

}  // namespace tconv
