// One of the two axes of Winograd's way: how its cells fall into tiles, and its taps as points.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "../problem.hpp"

namespace tconv {

// Cell q has an output of each phase, and the inputs q-taps+1 .. q. A tile has `points` inputs, and as many products.
template <Index points>
struct WinogradSide {
    explicit WinogradSide(const Axis& axis)
        : kernel(axis.kernel),
          stride(axis.stride),
          crop(axis.crop_lo),
          taps(ceil_div(kernel, stride)),
          cells(points + 1 - taps) {}

    Index first_cell() const { return floor_div(crop, stride); }
    Index tiles(Index out) const { return ceil_div(floor_div(crop + out - 1, stride) - first_cell() + 1, cells); }

    // Tap 0 meets the last of a cell's inputs: so the taps are flipped. Of six points: their sum at each, over the product
    // of its distances to the others.
    template <class Taps>
    std::array<double, points> transformed(Taps tap) const {
        const double g0 = tap(taps - 1), g1 = tap(taps - 2), g2 = taps == 3 ? tap(0) : 0, last = taps == 3 ? g2 : g1;
        if constexpr (points == 4) {
            return {g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, last};
        } else {
            const double near = g0 + g2 / 2, aside = g1 / std::numbers::sqrt2, far = g0 + 2 * g2, apart = 2 * aside;
            return {g0, -(near + aside) / 1.5, -(near - aside) / 1.5, (far + apart) / 6, (far - apart) / 6, last};
        }
    }

    Index kernel, stride, crop;
    Index taps, cells;  // of a phase; of a tile
};

// A power of two by which weights are divided so that none is larger than 32; no transform makes them three times as large.
template <class S>
double scale_of(const S* weights, Index count) {
    double most = 0;
    for (Index i = 0; i < count; ++i) most = std::max(most, std::abs(static_cast<double>(widened(weights[i]))));
    return most > 0 ? std::exp2(std::ilogb(most) - 4) : 1;
}

}  // namespace tconv
