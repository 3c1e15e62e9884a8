#include "layer.hpp"

#include <utility>

#include "activation.hpp"
#include "reference.hpp"
#include "threads.hpp"

namespace tconv {
namespace {

template <class T>
const Kernels<T>& kernels_of(const Backend& backend) {
    if constexpr (sizeof(T) == sizeof(float))
        return backend.f32;
    else
        return backend.f64;
}

Index count_taps(const std::vector<Axis>& axes) {
    Index taps = 1;
    for (const Axis& axis : axes) taps *= axis.kernel;
    return taps;
}

template <class T>
Index row_count(const View<T>& y) {
    Index rows = 1;
    for (std::size_t a = 2; a + 1 < y.shape.size(); ++a) rows *= y.shape[a];
    return rows;
}

// A copy of `x` whose last axis is contiguous.
template <class T>
View<const T> contiguous(const View<const T>& x, std::vector<T>& storage) {
    storage.resize(static_cast<std::size_t>(x.size()));
    View<const T> copy{storage.data(), x.shape, x.strides};
    Index step = 1;
    for (std::size_t a = x.shape.size(); a-- > 0; step *= x.shape[a]) copy.strides[a] = step;
    const Index in = x.shape.back(), rows = x.size() / in;
    for (Index row = 0; row < rows; ++row) {
        const T* from = x.data;
        Index rest = row;
        for (std::size_t a = x.shape.size() - 1; a-- > 0; rest /= x.shape[a]) from += rest % x.shape[a] * x.strides[a];
        for (Index i = 0; i < in; ++i) storage[static_cast<std::size_t>(row * in + i)] = from[i * x.strides.back()];
    }
    return copy;
}

}  // namespace

template <class T>
Layer<T>::Layer(const T* weight, const T* bias, Index in_channels, Index out_channels, Index groups,
                std::vector<Axis> axes, Activation activation, T slope, const Backend* backend)
    : in_channels_(in_channels / groups),
      out_channels_(out_channels / groups),
      groups_(groups),
      axes_(std::move(axes)),
      activation_(activation),
      slope_(slope) {
    if (bias) bias_.assign(bias, bias + out_channels);
    if (backend)
        pack(weight, kernels_of<T>(*backend));
    else
        weight_.assign(weight, weight + in_channels * out_channels_ * count_taps(axes_));
}

template <class T>
void Layer<T>::pack(const T* weight, const Kernels<T>& kernels) {
    const Index taps = count_taps(axes_);
    width_ = kernels.width;
    weight_.resize(static_cast<std::size_t>(groups_ * in_channels_ * out_channels_ * taps));
    T* to = weight_.data();
    for (Index g = 0; g < groups_; ++g)
        for (Index first = 0, size; first < out_channels_; first += size) {
            int which = 0;
            while (block_sizes[which] > out_channels_ - first) ++which;
            size = block_sizes[which];
            blocks_.push_back({g, first, size, kernels.tap[which], to});
            for (Index tap = 0; tap < taps; ++tap)
                for (Index ci = 0; ci < in_channels_; ++ci)
                    for (Index c = 0; c < size; ++c)
                        *to++ = weight[((g * in_channels_ + ci) * out_channels_ + first + c) * taps + tap];
        }
}

template <class T>
void Layer<T>::run(const View<const T>& x, const View<T>& y) const {
    if (y.size() == 0 || x.size() == 0) return;
    const double multiplications = static_cast<double>(x.size()) * static_cast<double>(out_channels_ * count_taps(axes_));
    if (width_ == 0) return run_reference(x, y, multiplications);
    if (x.strides.back() == 1) return run_blocks(x, y, multiplications);
    std::vector<T> storage;
    run_blocks(contiguous(x, storage), y, multiplications);
}

template <class T>
void Layer<T>::run_blocks(const View<const T>& x, const View<T>& y, double multiplications) const {
    const PhaseKernel<T> kernel{axes_, x, y, bias_.empty() ? nullptr : bias_.data(), in_channels_, out_channels_, width_,
                                activation_, slope_};
    const Index rows = row_count(y), blocks = static_cast<Index>(blocks_.size());
    parallel(y.shape[0] * blocks * rows, multiplications, [&](Index begin, Index end) {
        for (Index item = begin; item < end; ++item) {  // rows innermost: a block's weights stay in the cache
            const Index n = item / rows / blocks, row = item % rows;
            const PackedBlock<T>& block = blocks_[static_cast<std::size_t>(item / rows % blocks)];
            kernel.row(block, n, row);
        }
    });
}

template <class T>
void Layer<T>::run_reference(const View<const T>& x, const View<T>& y, double multiplications) const {
    const T* bias = bias_.empty() ? nullptr : bias_.data();
    const Index rows = row_count(y);
    parallel(y.shape[0] * groups_ * out_channels_ * rows, multiplications, [&](Index begin, Index end) {
        for (Index item = begin; item < end; ++item) {
            const Index n = item / rows / y.shape[1], channel = item / rows % y.shape[1];
            reference_row(axes_, x, y, weight_.data(), bias, groups_, activation_, slope_, n,
                          channel / out_channels_, channel % out_channels_, item % rows);
        }
    });
}

template class Layer<float>;
template class Layer<double>;

}  // namespace tconv
