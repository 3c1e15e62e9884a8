// The phase kernel: an output row is `stride` interleaved sub-rows, each a dense convolution with its own few taps.
// No zero is inserted, no column buffer exists, and only pairs that truly meet are multiplied (NaN stays in place).
#pragma once
#include <algorithm>

#include "activation.hpp"
#include "backend.hpp"
#include "problem.hpp"
#include "rows.hpp"

namespace tconv {

// Weights of a block of output channels, ready for TapKernel: [outer tap][last tap][in channel][block].
template <class T>
struct PackedBlock {
    Index group, first, size;  // output channels group*out + first .. + size
    TapKernel<T> kernel;
    const T* weight;
};

template <class T>
struct PhaseKernel {
    const std::vector<Axis>& axes;
    const View<const T>& x;  // last axis contiguous
    const View<T>& y;
    const T* bias;
    Index in_channels, out_channels;  // per group
    Index width;                      // cells per strip

    Activation activation;
    T slope;

    // The whole output row `row` of image `n`, for the channels of `block`.
    void row(const PackedBlock<T>& block, Index n, Index row) const {
        Index y_offset = 0;
        const auto sources = row_sources(axes, x, y, row, y_offset);
        const Axis& last = axes.back();
        const Index phases = std::min(last.stride, y.shape.back());
        for (Index first = 0; first < phases; ++first) {  // the phase that output cell `first` belongs to
            const Index cells = (y.shape.back() - 1 - first) / last.stride + 1;
            const Index q = floor_div(first + last.crop_lo, last.stride);
            for (Index done = 0; done < cells; done += width)
                strip(block, sources, n, y_offset, first, q, done, std::min(width, cells - done));
        }
    }

   private:
    // Cells q + done .. + count of one phase; output cell o = first + stride*done, and every stride-th after it.
    void strip(const PackedBlock<T>& block, const std::vector<RowPair>& sources, Index n, Index y_offset, Index first,
               Index q, Index done, Index count) const {
        alignas(64) T acc[block_sizes[0] * widest_strip] = {};
        const Axis& last = axes.back();
        const T* image = x.at(n, block.group * in_channels);
        const Index residue = first + last.crop_lo - last.stride * q;
        for (Index k = 0; k < last.kernel; ++k) {
            const Index ahead = last.dilation * k - residue;
            if (ahead % last.stride) continue;
            const Index i = q + done - ahead / last.stride;  // input of the strip's first cell
            const Index low = std::max<Index>(0, -i), high = std::min(count, x.shape.back() - i);
            if (low >= high) continue;
            for (const RowPair& source : sources) {
                const T* in = image + source.x_offset + i;
                const T* w = block.weight + (source.tap * last.kernel + k) * in_channels * block.size;
                if (high - low == width)
                    block.kernel(acc, in, x.strides[1], w, in_channels);
                else
                    part(acc, in, w, block.size, low, high);
            }
        }
        store(acc, block, n, y_offset + (first + last.stride * done) * y.strides.back(), count);
    }

    // The same sum where only the cells low..high of the strip have an input: the ends of a row.
    void part(T* acc, const T* in, const T* w, Index size, Index low, Index high) const {
        for (Index channel = 0; channel < in_channels; ++channel, in += x.strides[1], w += size)
            for (Index c = 0; c < size; ++c)
                for (Index cell = low; cell < high; ++cell) acc[c * width + cell] += in[cell] * w[c];
    }

    void store(const T* acc, const PackedBlock<T>& block, Index n, Index offset, Index count) const {
        const Index step = axes.back().stride * y.strides.back();
        for (Index c = 0; c < block.size; ++c) {
            const Index channel = block.group * out_channels + block.first + c;
            const T add = bias ? bias[channel] : T(0);
            T* out = y.at(n, channel) + offset;
            for (Index cell = 0; cell < count; ++cell)
                out[cell * step] = activated(activation, slope, acc[c * width + cell] + add);
        }
    }
};

}  // namespace tconv
