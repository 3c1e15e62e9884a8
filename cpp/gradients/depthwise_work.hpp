// What the two ways of depthwise.cpp share.
#pragma once
#include <utility>
#include <vector>

#include "../problem.hpp"

namespace tconv {

// A layer's gradients; what is null is not wanted.
template <class T>
struct DepthwiseWork {
    const Form& layer;
    const Kernels<T>& kernels;
    const View<const T>& x;
    const T* weight;
    const View<const T>& grad;
    const View<T>& of_input;
    T* of_weight;

    Index channels() const { return x.shape[1]; }
    double multiplications() const {
        return x.about_size() * static_cast<double>(layer.taps()) * ((of_input.data ? 1 : 0) + (of_weight ? 1 : 0));
    }
    // Inputs on the first axes, so many of them.
    Index inputs(std::size_t axes) const {
        Index all = 1;
        for (std::size_t a = 0; a < axes; ++a) all *= x.shape[a + 2];
        return all;
    }
};

// A row of outputs that an input of the first axes reaches, and through which of their taps.
struct Reached {
    Index offset;  // elements from the start of a channel
    Index tap;
};

// All that the input with the flat index `number` on the first axes reaches; at(a, i) is told where on each array axis it is.
template <class T, class At>
std::vector<Reached> reached(const DepthwiseWork<T>& work, std::size_t axes, Index number, At at) {
    std::vector<Reached> all{{0, 0}}, next;
    std::vector<Index> inputs(axes);
    for (std::size_t a = axes; a-- > 0; number /= work.x.shape[a + 2]) inputs[a] = number % work.x.shape[a + 2];
    for (std::size_t a = 0; a < axes; ++a) {
        const Axis& axis = work.layer.axes[a];
        at(a + 2, inputs[a]);
        next.clear();
        for (const Reached& one : all)
            for (Index k = 0; k < axis.kernel; ++k) {
                const Index o = axis.stride * inputs[a] + axis.dilation * k - axis.crop_lo;
                if (o >= 0 && o < work.grad.shape[a + 2])
                    next.push_back({one.offset + o * work.grad.strides[a + 2], one.tap * axis.kernel + k});
            }
        std::swap(all, next);
    }
    return all;
}

// The sums of all portions, one behind the other, are added to those of the first.
template <class T>
void add_up(std::vector<T>& sums, Index portions) {
    const std::size_t each = sums.size() / static_cast<std::size_t>(portions);
    for (std::size_t k = each; k < sums.size(); ++k) sums[k % each] += sums[k];
}

}  // namespace tconv
