// When the way of the cells is taken, and with which program.
#pragma once
#include <algorithm>

#include "cells.hpp"

namespace tconv {

// Which program of the cells, and whether any, is for the arrays of a call.
template <class S>
class CellChoice {
   public:
    // Channels-last arrays; inputs of few pixels, whose lanes the pixels would not fill; strides whose phases fill them; and
    // weights that take long to fetch.
    static bool fits(const Query<S>& query) {
        if (query.channels_last()) return in_place(query) || brings_little(query);
        return (few(query) || phases_fill_lanes(query) || is_heavy(query)) && brings_little(query);
    }

    static int variant(const Query<S>& query) {
        if (!query.channels_last()) {
            const bool by_phases = !few(query) && phases_fill_lanes(query);
            return by_phases ? number(Grouping::alike, lane_order(query)) : number(Grouping::single, LaneOrder::phase_then_channel);
        }
        const Axis& last = query.form.axes.back();
        const bool long_rows = last.kernel <= last.stride || query.y.shape.back() >= tuning::long_row * last.stride;
        const bool alike = query.form.out_channels < query.kernels.lanes || (query.form.groups == 1 && long_rows);
        return number(alike ? Grouping::alike : Grouping::single, LaneOrder::phase_then_channel);
    }

    static std::shared_ptr<const Program<S>> program(const Query<S>& query, int variant) {
        const Grouping grouping = variant / 2 ? Grouping::alike : Grouping::single;
        return shared_program_of_elements<CellLanes>(query, grouping, static_cast<LaneOrder>(variant % 2));
    }

   private:
    static int number(Grouping grouping, LaneOrder order) { return 2 * (grouping == Grouping::alike) + static_cast<int>(order); }

    // Whether inputs are read where they lie.
    static bool in_place(const Query<S>& query) {
        if (takes_pairs(query)) return lies_as_elements<Bf16Pair>(query.form, query.x);
        return lies_as_elements<Sum<S>>(query.form, query.x);
    }

    static bool brings_little(const Query<S>& query) {
        return reach(query.form, query.x) * query.form.in_channels < tuning::most_brought;
    }

    static bool few(const Query<S>& query) {
        if (query.form.out_channels < query.kernels.lanes) return false;
        const Index pixels = query.pixels();
        const bool streams_few = pixels < tuning::cells::few_for_streams && query.form.axes.back().stride < tuning::many_phases;
        const bool wide = is_own_sum<S> && query.form.out_channels >= 4 * query.kernels.lanes;
        const double most_border = wide ? tuning::most_border_of_wide : tuning::most_border;
        return pixels < tuning::few_pixels || border_share(query) > most_border || (streams_few && streams(query));
    }

    // Whether each block of pixels, which short vectors make small, would fetch so many weights that multiplying them waits.
    // Cells write their outputs apart, which takes little where sums have many products, or pixels are few.
    static bool is_heavy(const Query<S>& query) {
        namespace cells = tuning::cells;
        const Form& form = query.form;
        if (!has_short_vectors(query.kernels) || form.out_channels < query.kernels.lanes) return false;
        if (weights(form) * static_cast<Index>(sizeof(Sum<S>)) <= tuning::pixels::heavy_bytes) return false;
        auto products = static_cast<double>(form.in_channels * form.taps());
        for (const Axis& axis : form.axes) products /= static_cast<double>(axis.stride);
        return query.pixels() < cells::few_for_heavy || products >= cells::long_sum;
    }

    // Whether all outputs of a cell are rows of phases that fill two vectors. Eight phases can be woven as well, which is faster
    // where sums are short: the channels of pixels are brought together for them all the same.
    static bool phases_fill_lanes(const Query<S>& query) {
        const Form& form = query.form;
        const Axis& last = form.axes.back();
        if (last.stride < tuning::many_phases || last.dilation > 1) return false;
        if (form.out_channels * last.stride < 2 * query.kernels.lanes) return false;
        Index taps = 1;
        for (const Axis& axis : form.axes) taps *= ceil_div(axis.kernel, axis.stride);
        const Index pixels = query.pixels(), sum = form.in_channels * taps * static_cast<Index>(sizeof(S));
        return last.stride > tuning::many_phases || sum > tuning::cells::short_sum || pixels < tuning::cells::few_to_weave;
    }

    // Whether weights are more than a cache holds: each chunk of the cells, and each block of pixels, fetches them all.
    static bool streams(const Query<S>& query) {
        return weights(query.form) * static_cast<Index>(sizeof(S)) > tuning::cells::cached_bytes;
    }

    static Index weights(const Form& form) { return form.groups * form.in_channels * form.out_channels * form.taps(); }

    // Pixels from the first input of one cell to its last.
    static Index reach(const Form& layer, const View<const S>& x) {
        Index pixels = 1, step = 1;
        for (std::size_t a = layer.axes.size(); a-- > 0; step *= x.shape[a + 2]) {
            const Axis& axis = layer.axes[a];
            const Index furthest = floor_div(axis.dilation * (axis.kernel - 1) - axis.crop_lo, axis.stride);
            pixels += std::min(x.shape[a + 2] - 1, furthest - floor_div(-axis.crop_lo, axis.stride)) * step;
        }
        return pixels;
    }

    // How many times as many products a panel of pixels computes as there are pairs of an input and a tap.
    static double border_share(const Query<S>& query) {
        const auto& [layer, kernels, x, y, pairs] = query;
        double share = 1;
        for (std::size_t a = 0; a < layer.axes.size(); ++a) {
            const Axis& axis = layer.axes[a];
            if (x.shape[a + 2] * axis.stride >= 8 * axis.dilation * axis.kernel) continue;  // where the border is a small part
            Index met = 0;
            for (Index k = 0; k < axis.kernel; ++k) {
                const Index first = ceil_div(axis.crop_lo - axis.dilation * k, axis.stride);
                const Index last = floor_div(y.shape[a + 2] - 1 + axis.crop_lo - axis.dilation * k, axis.stride);
                met += std::max<Index>(0, std::min(last, x.shape[a + 2] - 1) - std::max<Index>(first, 0) + 1);
            }
            const Index computed = ceil_div(y.shape[a + 2], axis.stride) * axis.kernel;
            share *= static_cast<double>(computed) / static_cast<double>(std::max<Index>(1, met));
        }
        return share;
    }
};

template <class S>
constexpr Way<S> cells_way{"cells", false, false, CellChoice<S>::fits, CellChoice<S>::variant, CellChoice<S>::program};

}  // namespace tconv
