// Inputs of a single pixel whose output is the whole kernel, as the first layer of a generator has them: every tap is the
// only one of its output, so the kernel's axes are walked as one, in the way of the cells.
#pragma once
#include "cells.hpp"

namespace tconv {

template <class S, class E>
class Point final : public Program<S> {
   public:
    Point(const Form& layer, const Kernels<S, E>& kernels, LaneOrder order)
        : taps_(layer.taps()), cells_(one_axis(layer), kernels, Grouping::alike, order) {}

    static bool fits(const Query<S>& query) {
        const auto& [form, kernels, x, y, pairs] = query;
        for (std::size_t a = 0; a < form.axes.size(); ++a) {
            const Axis& axis = form.axes[a];
            if (x.shape[a + 2] != 1 || axis.dilation != 1 || axis.crop_lo != 0 || y.shape[a + 2] != axis.kernel) return false;
            if (a > 0 && y.strides[a + 1] != y.strides[a + 2] * y.shape[a + 2]) return false;
        }
        return query.channels_last() ? form.out_channels >= kernels.lanes : x.strides[1] == 1 || x.shape[1] == 1;
    }

    Index packed_bytes() const override { return cells_.packed_bytes(); }
    Packed pack(const Constants<Sum<S>>& layer, const S* weights) const override { return cells_.pack(layer, weights); }

    Index workspace_bytes(const View<const S>& x, const View<S>& y) const override {
        return as_one_axis(x, y, [&](const auto& in, const auto& out) { return cells_.workspace_bytes(in, out); });
    }

    bool run(const Constants<Sum<S>>& layer, const Packed& packed, const View<const S>& x, const View<S>& y,
             double multiplications) const override {
        return as_one_axis(x, y, [&](const auto& in, const auto& out) {
            return cells_.run(layer, packed, in, out, multiplications);
        });
    }

   private:
    template <class Use>
    auto as_one_axis(const View<const S>& x, const View<S>& y, Use use) const {
        const Index x_shape[] = {x.shape[0], x.shape[1], 1}, x_strides[] = {x.strides[0], x.strides[1], 1};
        const Index y_shape[] = {y.shape[0], y.shape[1], taps_}, y_strides[] = {y.strides[0], y.strides[1], y.strides.back()};
        return use(View<const S>{x.data, x_shape, x_strides}, View<S>{y.data, y_shape, y_strides});
    }

    const Index taps_;
    const CellLanes<S, E> cells_;
};

template <class S>
constexpr Way<S> point_way{
    "cells", false, true, Point<S, Sum<S>>::fits,
    [](const Query<S>& query) { return static_cast<int>(lane_order(query)); },
    [](const Query<S>& query, int variant) {
        return shared_program_of_elements<Point>(query, static_cast<LaneOrder>(variant));
    }};

}  // namespace tconv
