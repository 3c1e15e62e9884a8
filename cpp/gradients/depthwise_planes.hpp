// Gradients of a depthwise layer, channel by channel: lanes are neighbouring inputs of a row.
#pragma once
#include <algorithm>

#include "../axis_taps.hpp"
#include "../buffer.hpp"
#include "../threads.hpp"
#include "../tuning.hpp"
#include "depthwise_work.hpp"

namespace tconv {

// The gradients that a block of inputs meets are copied into a panel: a plane for each phase of rows and columns that some
// tap reaches, with zeros around, so that what a row of inputs meets through a tap is a row, too.
template <class T>
class DepthwisePlanes {
   public:
    explicit DepthwisePlanes(const DepthwiseWork<T>& work)
        : work_(work), kernels_(work.kernels), outer_(outer_axes(work.layer)), rows_(row_axis(work.layer)),
          columns_(work.layer.axes.back()), row_phases_(phases_of(rows_)), column_phases_(phases_of(columns_)),
          down_(row_extent(work.x, work.grad)), across_(column_extent(work.x, work.grad)) {
        planes_ = static_cast<Index>(row_phases_.size() * column_phases_.size());
        const Index slices = work.layer.taps() / rows_.axis.kernel / columns_.axis.kernel, lanes = kernels_.lanes;
        const Index reach_down = rows_.high - rows_.low, reach = columns_.high - columns_.low;
        const Index least = std::min(down_.in, few_rows) + reach_down;
        const Index most = std::max(few_columns, largest_panel / (slices * planes_ * least) - reach - lanes);
        block_columns_ = std::min({across_.in, most, tuning::depthwise::most_columns});
        pitch_ = ceil_div(ceil_div(block_columns_, lanes) * lanes + reach, lanes) * lanes;
        const Index fitting = tuning::gradients::panel_bytes / static_cast<Index>(sizeof(T)) / (slices * planes_ * pitch_);
        block_rows_ = std::clamp<Index>(fitting - reach_down, std::min(down_.in, few_rows), down_.in);
        plane_ = (block_rows_ + reach_down) * pitch_;
        panel_ = slices * planes_ * plane_ + lanes;
    }

    // Whether panels stay small.
    static bool fits(const DepthwiseWork<T>& work) {
        const Axis rows = row_axis(work.layer), columns = work.layer.axes.back();
        const auto cells = [](const Axis& axis, Index inputs) {
            const double reach = static_cast<double>(axis.dilation) * static_cast<double>(axis.kernel - 1);
            return static_cast<double>(std::min(axis.kernel, axis.stride)) *
                   (static_cast<double>(inputs) + reach / static_cast<double>(axis.stride) + 1);
        };
        const auto slices = static_cast<double>(work.layer.taps() / rows.kernel / columns.kernel);
        return slices * cells(rows, few_rows) * cells(columns, few_columns) <= static_cast<double>(largest_panel);
    }

    void run() const {
        const Index down = ceil_div(down_.in, block_rows_), across = ceil_div(across_.in, block_columns_);
        const Index items = work_.inputs(outer_) * down * across * work_.x.shape[0], of_portion = work_.channels() * work_.layer.taps();
        const double multiplications = work_.multiplications();
        const Index sets = std::min<Index>(work_.channels(), 4 * threads_for(multiplications));
        const Index portions = std::min(ceil_div(tuning::gradients::tasks, work_.channels()), items);
        std::vector<T> sums(static_cast<std::size_t>(work_.of_weight ? portions * of_portion : 0));
        parallel(sets * portions, multiplications, [&](Index task) {
            const Index set = task / portions, portion = task % portions;
            const Index begin = part(work_.channels(), set, sets), end = part(work_.channels(), set + 1, sets);
            thread_local Located found;
            Index located = -1;
            for (Index item = part(items, portion, portions); item < part(items, portion + 1, portions); ++item) {
                const Index n = item % work_.x.shape[0], block = item / work_.x.shape[0];
                if (block != located) locate(found, located = block, down, across);
                for (Index channel = begin; channel < end; ++channel) {
                    bring(found, n, channel);
                    if (work_.of_input.data) write_of_input(found, n, channel);
                    if (work_.of_weight)
                        add_of_weight(found, n, channel, sums.data() + portion * of_portion + channel * work_.layer.taps());
                }
            }
        });
        if (!work_.of_weight) return;
        add_up(sums, portions);
        std::copy_n(sums.begin(), of_portion, work_.of_weight);
    }

   private:
    // A block has at least so many rows and columns of inputs, where there are as many: neighbours bring some gradients twice.
    static constexpr Index few_rows = 8, few_columns = 64;
    static constexpr Index largest_panel = 1 << 20;  // numbers; keeps scratch small

    // Gradients of one plane, and where in the panel they go.
    struct Copy {
        Index from, to, rows, row_step, step;
        Piece columns;
    };
    struct Located {
        Index x, of_input;  // the first input of the block
        Index rows, columns;
        std::vector<Copy> copies;
        std::vector<Source> sources;
        Buffer<T> panel, inputs;
    };

    static std::size_t outer_axes(const Form& layer) { return std::max<std::size_t>(layer.axes.size(), 2) - 2; }

    static std::vector<Index> phases_of(const AxisTaps& axis) {
        std::vector<Index> phases;
        for (const AxisTap& tap : axis.taps)
            if (phases.empty() || phases.back() != tap.phase) phases.push_back(tap.phase);
        return phases;
    }

    void locate(Located& found, Index number, Index down, Index across) const {
        const Index column = number % across * block_columns_, rest = number / across, row = rest % down * block_rows_;
        const View<T>& to = work_.of_input;
        const bool one_row = work_.layer.axes.size() == 1;
        found.rows = std::min(block_rows_, down_.in - row), found.columns = std::min(block_columns_, across_.in - column);
        found.x = row * down_.x_step + column * across_.x_step;
        found.of_input = to.data ? (one_row ? 0 : row * to.strides[outer_ + 2]) + column * to.strides.back() : 0;
        const auto slices = reached(work_, outer_, rest / down, [&](std::size_t a, Index i) {
            found.x += i * work_.x.strides[a];
            if (to.data) found.of_input += i * to.strides[a];
        });
        found.copies.clear(), found.sources.clear();
        std::fill_n(found.panel.grow(panel_), panel_, T(0));
        Index plane = 0;
        for (const Reached& slice : slices)
            for (const Index row_phase : row_phases_)
                for (const Index column_phase : column_phases_) {
                    add_copy(found, slice, plane, {row_phase, row}, {column_phase, column});
                    add_sources(found, slice, plane, row_phase, column_phase);
                    plane += plane_;
                }
    }

    struct Begin {
        Index phase, input;  // of a block, on one axis
    };

    // The cells of a phase that a block meets and that are outputs. `before` so many beyond the border come first.
    struct Cells {
        Index begin, end, before;
    };
    static Cells cells(const AxisTaps& axis, Index out, Begin block, Index count) {
        const Index first = block.input - axis.high, all = out > block.phase ? ceil_div(out - block.phase, axis.axis.stride) : 0;
        const Index begin = std::clamp<Index>(first, 0, all);
        return {begin, std::clamp<Index>(block.input + count - axis.low, begin, all), begin - first};
    }

    void add_copy(Located& found, const Reached& slice, Index plane, Begin row, Begin column) const {
        const Cells rows = cells(rows_, down_.out, row, found.rows), columns = cells(columns_, across_.out, column, found.columns);
        if (rows.begin == rows.end || columns.begin == columns.end) return;
        const Index down = rows_.axis.stride, across = columns_.axis.stride;
        const Index from_row = row.phase + down * rows.begin, from_column = column.phase + across * columns.begin;
        found.copies.push_back({slice.offset + from_row * down_.y_step + from_column * across_.y_step,
                                plane + rows.before * pitch_ + columns.before, rows.end - rows.begin, down * down_.y_step,
                                across * across_.y_step, {0, columns.end - columns.begin, 0}});
    }

    void add_sources(Located& found, const Reached& slice, Index plane, Index row_phase, Index column_phase) const {
        for (const AxisTap& row : rows_.taps)
            for (const AxisTap& column : columns_.taps)
                if (row.phase == row_phase && column.phase == column_phase)
                    found.sources.push_back({plane + (rows_.high - row.shift) * pitch_ + columns_.high - column.shift,
                                             (slice.tap * rows_.axis.kernel + row.k) * columns_.axis.kernel + column.k});
    }

    void bring(Located& found, Index n, Index channel) const {
        const T* const grad = work_.grad.at(n, channel);
        for (const Copy& copy : found.copies)
            kernels_.gather(found.panel.data() + copy.to, pitch_, grad + copy.from, copy.row_step, copy.step, copy.rows,
                            &copy.columns, 1);
    }

    void write_of_input(Located& found, Index n, Index channel) const {
        const View<T>& to = work_.of_input;
        Patch patch{1, found.rows, found.columns, 0, found.sources.data(), {}};
        std::fill_n(patch.end, ranges, static_cast<Index>(found.sources.size()));
        Block<T> block{};
        block.panel = found.panel.data(), block.pitch = pitch_;
        block.patches = &patch, block.patch_count = 1, block.patch_rows = block.band = found.rows;
        block.y_row = to.strides[to.strides.size() - 2], block.y_cell = block.y_step = to.strides.back();
        // No inputs are left to be copied into the panel.
        kernels_.stencil(block, to.at(n, channel) + found.of_input, nullptr, work_.weight + channel * work_.layer.taps(), T(0));
    }

    void add_of_weight(Located& found, Index n, Index channel, T* sums) const {
        const T* from = work_.x.at(n, channel) + found.x;
        Index pitch = down_.x_step;
        if (across_.x_step != 1) {
            const Piece piece{0, found.columns, 0};
            T* const inputs = found.inputs.grow(block_rows_ * pitch_ + kernels_.lanes);
            kernels_.gather(inputs, pitch_, from, down_.x_step, across_.x_step, found.rows, &piece, 1);
            from = inputs, pitch = pitch_;
        }
        kernels_.meet_rows(sums, from, pitch, found.panel.data(), pitch_, found.rows, found.columns, found.sources.data(),
                           static_cast<Index>(found.sources.size()));
    }

    const DepthwiseWork<T>& work_;
    const Kernels<T>& kernels_;
    const std::size_t outer_;  // axes but the last two
    const AxisTaps rows_, columns_;
    const std::vector<Index> row_phases_, column_phases_;  // that some tap reaches
    const Extent down_, across_;  // inputs as x lies, outputs as the gradient does
    Index block_rows_, block_columns_, pitch_, planes_, plane_, panel_;
};

}  // namespace tconv
