// Gradients of a depthwise layer in arrays that lie channels-last: lanes are neighbouring channels.
#pragma once
#include <algorithm>

#include "../threads.hpp"
#include "../tuning.hpp"
#include "depthwise_work.hpp"

namespace tconv {

// Some inputs of a row at a time, and of these neighbours with the same taps inside.
template <class T>
class DepthwiseRows {
   public:
    explicit DepthwiseRows(const DepthwiseWork<T>& work) : work_(work) {}

    static bool fits(const DepthwiseWork<T>& work) {
        return work.x.strides[1] == 1 && work.grad.strides[1] == 1 && work.channels() > 1 &&
               (!work.of_input.data || work.of_input.strides[1] == 1);
    }

    void run() const {
        const Index taps = work_.layer.taps(), channels = work_.channels(), all = taps * channels;
        const Index in = work_.x.shape.back(), parts = ceil_div(in, tuning::gradients::row_part);
        const Index rows = work_.inputs(work_.layer.axes.size() - 1), items = work_.x.shape[0] * rows * parts;
        const Index room = std::max<Index>(1, tuning::gradients::most_sums / all / static_cast<Index>(sizeof(T)));
        const Index portions = std::min({items, tuning::gradients::tasks, room});
        const std::vector<T> weights = transposed(work_.weight, channels, taps);
        std::vector<T> sums(static_cast<std::size_t>(work_.of_weight ? portions * all : 0));
        parallel(portions, work_.multiplications(), [&](Index portion) {
            T* const of_portion = sums.data() + portion * all;
            for (Index item = part(items, portion, portions); item < part(items, portion + 1, portions); ++item)
                row(item / parts / rows, item / parts % rows, part(in, item % parts, parts), part(in, item % parts + 1, parts),
                    weights.data(), of_portion);
        });
        if (!work_.of_weight) return;
        add_up(sums, portions);
        const std::vector<T> result = transposed(sums.data(), taps, channels);
        std::copy(result.begin(), result.end(), work_.of_weight);
    }

   private:
    static std::vector<T> transposed(const T* from, Index rows, Index columns) {
        std::vector<T> to(static_cast<std::size_t>(rows * columns));
        for (Index row = 0; row < rows; ++row)
            for (Index column = 0; column < columns; ++column)
                to[static_cast<std::size_t>(column * rows + row)] = from[row * columns + column];
        return to;
    }

    // The inputs begin..end of a row. Weights and sums are [tap][channel].
    void row(Index n, Index number, Index begin, Index end, const T* weights, T* sums) const {
        const View<T>& to = work_.of_input;
        const Axis& axis = work_.layer.axes.back();
        const Index out = work_.grad.shape.back(), channels = work_.channels();
        const Index x_step = work_.x.strides.back(), grad_step = work_.grad.strides.back(), cell = axis.stride * grad_step;
        const T *x = work_.x.at(n, 0), *const grad = work_.grad.at(n, 0);
        T* of_input = to.data ? to.at(n, 0) : nullptr;
        const auto rows = reached(work_, work_.layer.axes.size() - 1, number, [&](std::size_t a, Index i) {
            x += i * work_.x.strides[a];
            if (of_input) of_input += i * to.strides[a];
        });
        thread_local std::vector<Source> sources;
        for (Index i = begin, until = end; i < end; i = until, until = end) {
            sources.clear();
            for (Index k = 0; k < axis.kernel; ++k) {
                const Index o = axis.stride * i + axis.dilation * k - axis.crop_lo;
                const Index left = ceil_div(o < 0 ? -o : out - o, axis.stride);  // inputs for which it stays so
                if (left > 0) until = std::min(until, i + left);
                if (o < 0 || left <= 0) continue;
                for (const Reached& one : rows)
                    sources.push_back({one.offset + o * grad_step, (one.tap * axis.kernel + k) * channels});
            }
            const auto count = static_cast<Index>(sources.size());
            if (of_input)
                work_.kernels.blend(of_input + i * to.strides.back(), to.strides.back(), grad, cell, weights, nullptr, sources.data(),
                                    count, until - i, channels);
            if (work_.of_weight)
                work_.kernels.meet_pixels(sums, x + i * x_step, x_step, grad, cell, sources.data(), count, until - i, channels);
        }
    }

    const DepthwiseWork<T>& work_;
};

}  // namespace tconv
