// A way of computing: how it is called, which arrays it is for, and the program that it makes for a form of layer. The list
// of all ways, best first, is in ways/list.cpp; a new way is one file beside this one and one entry there.
#pragma once
#include <memory>
#include <span>

#include "../backend.hpp"
#include "../lazy.hpp"
#include "../packing.hpp"
#include "../problem.hpp"
#include "../tuning.hpp"

namespace tconv {

// What a way is asked about: a form of layer, the kernels that there are, and arrays, of which no number is read.
template <class S>
struct Query {
    const Form& form;
    const Kernels<S>& kernels;
    const View<const S>& x;
    const View<S>& y;
    const Kernels<Bf16, Bf16Pair>* pairs;  // null: there are none, or the arrays are not of bfloat16

    // Whether the channels of a pixel are neighbours in memory, of the output and of both arrays.
    bool outputs_by_channels() const { return y.strides[1] == 1 && y.shape[1] > 1; }
    bool channels_last() const { return outputs_by_channels() && (x.strides[1] == 1 || x.shape[1] == 1); }

    Index pixels() const { return x.size() / x.shape[1]; }  // of all inputs
};

// Whether channels are multiplied in pairs.
template <class S>
bool takes_pairs(const Query<S>& query) {
    return query.pairs && query.form.in_channels > 1;
}

// Whether the channels of a pixel lie in memory as elements E.
template <class E, class S>
bool lies_as_elements(const Form& layer, const View<const S>& x) {
    if (channels_of<E> == 1 && !std::is_same_v<E, S>) return false;  // numbers are widened
    return (x.strides[1] == 1 || x.shape[1] == 1) && layer.in_channels % channels_of<E> == 0;
}

// Whether what was measured on short vectors alone holds.
template <class S, class E>
bool has_short_vectors(const Kernels<S, E>& kernels) {
    return kernels.lanes * static_cast<Index>(sizeof(Sum<S>)) <= tuning::longest_vector;
}

constexpr Index line_bytes = 64;  // of a cache

// Whether an array has more than so many bytes.
template <class S>
bool exceeds(const View<S>& array, Index bytes) {
    return array.about_size() * sizeof(S) > static_cast<double>(bytes);
}

// Room of this thread for sums that are not in place yet.
template <class T>
T* room_for_sums(Index count) {
    thread_local Buffer<T> sums;
    return sums.grow_cleared(count);
}

// How a way computes one form of layer: made once, and shared by all layers of that form. It keeps no number of any layer.
template <class S>
class Program {
   public:
    Program() = default;
    Program(const Program&) = delete;
    virtual ~Program() = default;

    // The layer's weights (groups*in_channels, out_channels, *kernel), contiguous, and its bias, in the order in which `run`
    // reads them; and how many bytes those weights take.
    virtual Packed pack(const Constants<Sum<S>>& layer, const S* weights) const = 0;
    virtual Index packed_bytes() const = 0;

    // How many bytes each thread needs beside input, output and weights, for arrays that the way fits.
    virtual Index workspace_bytes(const View<const S>& x, const View<S>& y) const = 0;

    // Write all outputs, or all that some input reaches. False if the way has to be given up for these numbers; then
    // another one computes all of them. `multiplications` is the work, for `parallel`.
    virtual bool run(const Constants<Sum<S>>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
                     double multiplications) const = 0;
};

template <class S>
struct Way {
    const char* name;          // what `Layer.plan` calls it
    bool by_consent;           // only for layers that allow Winograd's rounding errors
    bool leaves_none;          // it also writes the outputs that no input reaches; else they are filled beforehand
    bool (*fits)(const Query<S>& query);  // whether it is the one to take, if no way before it in the list is
    int (*variant)(const Query<S>& query);  // which of its programs, less than `variants`; each has a pack of its own
    std::shared_ptr<const Program<S>> (*program)(const Query<S>& query, int variant);
};

constexpr int variants = 4;  // that a way may have

// All ways, in the order in which they are asked; the last one fits everything.
template <class S>
std::span<const Way<S>> ways();

// The program of a form, as ways make it: programs of the same form are one, so that a layer made for a single call finds
// its own ready. `choices` are what its constructor takes beside.
template <class Kind, class S, class E, class... Choices>
std::shared_ptr<const Program<S>> shared_program(const Form& form, const Kernels<S, E>& kernels, Choices... choices) {
    static const Recent<Kind> programs;
    std::vector<Index> key{reinterpret_cast<Index>(&kernels), form.groups, form.in_channels, form.out_channels,
                           static_cast<Index>(choices)...};
    for (const Axis& axis : form.axes)
        for (const Index number : {axis.kernel, axis.stride, axis.dilation, axis.crop_lo}) key.push_back(number);
    return programs.get(key, [&] { return std::make_shared<const Kind>(form, kernels, choices...); });
}

// The same for programs that multiply elements of one type or another: of pairs, where the processor has an instruction for
// them and there are several channels to pair.
template <template <class, class> class Kind, class S, class... Choices>
std::shared_ptr<const Program<S>> shared_program_of_elements(const Query<S>& query, Choices... choices) {
    if constexpr (std::is_same_v<S, Bf16>)
        if (takes_pairs(query)) return shared_program<Kind<S, Bf16Pair>>(query.form, *query.pairs, choices...);
    return shared_program<Kind<S, Sum<S>>>(query.form, query.kernels, choices...);
}

}  // namespace tconv
