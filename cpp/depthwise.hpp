// One input channel per group: no sum over channels to put into a tile, so outputs are summed tap by tap where they lie.
// Only pairs that truly meet are multiplied.
#pragma once
#include <algorithm>

#include "activation.hpp"
#include "problem.hpp"
#include "rows.hpp"
#include "threads.hpp"

namespace tconv {

constexpr Index neighbours = 32;  // rows

template <class T>
class Depthwise {
   public:
    Depthwise(const Constants<T>& layer, const Kernels<T>& kernels) : layer_(layer), kernels_(kernels) {
        const Index taps = layer.taps(), channels = layer.groups * layer.out_channels;
        by_tap_.resize(static_cast<std::size_t>(taps * channels));
        for (Index c = 0; c < channels; ++c)
            for (Index tap = 0; tap < taps; ++tap)
                by_tap_[static_cast<std::size_t>(tap * channels + c)] = layer.weight[c * taps + tap];
    }

    // Whether the arrays have rows of pixels, or pixels of channels, to walk along.
    static bool can_run(const Constants<T>& layer, const View<const T>& x, const View<T>& y) {
        return layer.in_channels == 1 && (along_rows(x) || along_channels(layer, x, y));
    }

    void run(const View<const T>& x, const View<T>& y, double multiplications) const {
        Index rows = 1;
        for (std::size_t a = 2; a + 1 < y.shape.size(); ++a) rows *= y.shape[a];
        if (along_channels(layer_, x, y))
            return parallel(y.shape[0] * rows, multiplications,
                            [&](Index task) { pixels(x, y, task / rows, task % rows); });
        // Where the sources of a few neighbouring rows lie is found once for all channels of a task.
        const Index planes = y.shape[0] * y.shape[1];
        const Index shares = std::min<Index>(planes, num_threads() > 1 ? 4 * num_threads() : 1);
        parallel(shares, multiplications, [&](Index task) {
            thread_local std::vector<Row> located(neighbours);
            for (Index first = 0; first < rows; first += neighbours) {
                const Index count = std::min(neighbours, rows - first);
                for (Index row = 0; row < count; ++row)
                    locate(located[static_cast<std::size_t>(row)], x, y, first + row);
                for (Index plane = planes * task / shares; plane < planes * (task + 1) / shares; ++plane)
                    for (Index row = 0; row < count; ++row)
                        compute(located[static_cast<std::size_t>(row)], x, y, plane / y.shape[1], plane % y.shape[1]);
            }
        });
    }

   private:
    static bool along_rows(const View<const T>& x) { return x.strides.back() == 1 || x.shape.back() == 1; }

    static bool along_channels(const Constants<T>& layer, const View<const T>& x, const View<T>& y) {
        return layer.out_channels == 1 && x.shape[1] > 1 && x.strides[1] == 1 && y.strides[1] == 1;
    }

    // Channels first: an output row, phase by phase; the same for every channel.
    struct Row {
        struct Phase {
            std::size_t begin, end;  // of its taps
            Index count;             // cells
            Index low, high;         // cells that all its taps have an input for
        };
        struct Source {
            Index x, tap;  // from the start of a channel to the first cell's input; flat index of the tap
            Index i;       // that input's index on the last axis
        };

        Index y;
        std::vector<Phase> phases;
        std::vector<Source> sources;
    };

    void locate(Row& row, const View<const T>& x, const View<T>& y, Index number) const {
        const Axis& last = layer_.axes.back();
        const Index in = x.shape.back(), out = y.shape.back(), phases = std::min(last.stride, out);
        const auto rows = row_sources(layer_.axes, x, y, number, row.y);
        row.phases.clear(), row.sources.clear();
        for (Index phase = 0; phase < phases; ++phase) {
            const Index q = floor_div(phase + last.crop_lo, last.stride), residue = phase + last.crop_lo - q * last.stride;
            typename Row::Phase found{row.sources.size(), 0, (out - 1 - phase) / last.stride + 1, 0, 0};
            found.high = found.count;
            for (Index k = 0; k < last.kernel; ++k) {
                const Index ahead = last.dilation * k - residue;
                if (ahead % last.stride) continue;
                const Index i = q - ahead / last.stride;
                if (i >= in || i + found.count <= 0) continue;
                found.low = std::max(found.low, -i), found.high = std::min(found.high, in - i);
                for (const RowPair& pair : rows)
                    row.sources.push_back({pair.x_offset + i, pair.tap * last.kernel + k, i});
            }
            found.low = std::min(found.low, found.count), found.high = std::max(found.high, found.low);
            found.end = row.sources.size();
            row.phases.push_back(found);
        }
    }

    void compute(const Row& row, const View<const T>& x, const View<T>& y, Index n, Index channel) const {
        thread_local std::vector<T> sums, w;
        thread_local std::vector<const T*> inputs;
        const Index out = y.shape.back(), step = y.strides.back(), phases = static_cast<Index>(row.phases.size());
        const Index cells = row.phases.front().count;
        const T* image = x.at(n, channel / layer_.out_channels);
        const T* weight = layer_.weight + channel * layer_.taps();
        sums.resize(static_cast<std::size_t>(phases * cells + kernels_.lanes));
        w.resize(row.sources.size()), inputs.resize(row.sources.size());
        for (std::size_t s = 0; s < row.sources.size(); ++s) {
            w[s] = weight[row.sources[s].tap];
            inputs[s] = image + row.sources[s].x;
        }
        T* to = sums.data();
        for (const typename Row::Phase& phase : row.phases) {
            edge(to, row, phase, x.shape.back(), inputs.data(), w.data(), 0, phase.low);
            kernels_.stencil(to, inputs.data() + phase.begin, w.data() + phase.begin,
                             static_cast<Index>(phase.end - phase.begin), phase.low, phase.high);
            edge(to, row, phase, x.shape.back(), inputs.data(), w.data(), phase.high, phase.count);
            to += cells;
        }
        to = y.at(n, channel) + row.y;
        const T bias = layer_.bias_of(channel);
        for (T& sum : sums) sum += bias;
        const Strip all{0, 0, 0, out};
        kernels_.weave(to, 0, step, sums.data(), cells, phases, 1, &all, 1);
        activate(layer_.activation, layer_.slope, to, out, step);
    }

    // Cells begin..end, where some taps have no input.
    static void edge(T* sums, const Row& row, const typename Row::Phase& phase, Index in, const T* const* inputs,
                     const T* w, Index begin, Index end) {
        for (Index cell = begin; cell < end; ++cell) {
            T sum = T(0);
            for (std::size_t s = phase.begin; s < phase.end; ++s)
                if (const Index i = row.sources[s].i + cell; i >= 0 && i < in) sum += w[s] * inputs[s][cell];
            sums[cell] = sum;
        }
    }

    // Channels last: an output row, pixel by pixel, all channels at once.
    void pixels(const View<const T>& x, const View<T>& y, Index n, Index number) const {
        thread_local std::vector<const T*> inputs, w;
        const Axis& last = layer_.axes.back();
        const Index in = x.shape.back(), channels = y.shape[1];
        Index y_offset = 0;
        const auto rows = row_sources(layer_.axes, x, y, number, y_offset);
        for (Index o = 0; o < y.shape.back(); ++o) {
            inputs.clear(), w.clear();
            for (Index k = 0; k < last.kernel; ++k) {
                const Index reached = o + last.crop_lo - last.dilation * k;
                if (reached < 0) break;
                if (reached % last.stride || reached / last.stride >= in) continue;
                for (const RowPair& pair : rows) {
                    inputs.push_back(x.at(n, 0) + pair.x_offset + reached / last.stride * x.strides.back());
                    w.push_back(by_tap_.data() + (pair.tap * last.kernel + k) * channels);
                }
            }
            T* to = y.at(n, 0) + y_offset + o * y.strides.back();
            kernels_.blend(to, inputs.data(), w.data(), layer_.bias, static_cast<Index>(w.size()), channels);
            activate(layer_.activation, layer_.slope, to, channels, 1);
        }
    }

    const Constants<T>& layer_;
    const Kernels<T>& kernels_;
    std::vector<T> by_tap_;  // [tap][channel]
};

}  // namespace tconv
