// The axes before the last two, whose taps are added up as the definition says.
#pragma once
#include <utility>
#include <vector>

#include "../problem.hpp"

namespace tconv {

// Outputs with one index on each of those axes, in all images.
struct WinogradSheet {
    Index y;                          // elements from the start of an image
    std::vector<Index> taps, inputs;  // of those axes, that have an input; and elements from the start of an image to it
};

inline Index taps_of(const std::vector<Axis>& axes) {
    Index taps = 1;
    for (const Axis& axis : axes) taps *= axis.kernel;
    return taps;
}

template <class S>
std::vector<WinogradSheet> sheets_of(const std::vector<Axis>& axes, const View<const S>& x, const View<S>& y) {
    std::vector<WinogradSheet> sheets{{0, {0}, {0}}};
    for (std::size_t a = 0; a < axes.size(); ++a) {
        const Axis& axis = axes[a];
        std::vector<WinogradSheet> finer;
        for (const WinogradSheet& sheet : sheets)
            for (Index o = 0; o < y.shape[a + 2]; ++o) {
                finer.push_back({sheet.y + o * y.strides[a + 2], {}, {}});
                for (std::size_t t = 0; t < sheet.taps.size(); ++t)
                    for (Index k = 0; k < axis.kernel; ++k) {
                        const Index times = o + axis.crop_lo - axis.dilation * k, i = floor_div(times, axis.stride);
                        if (i * axis.stride != times || i < 0 || i >= x.shape[a + 2]) continue;
                        finer.back().taps.push_back(sheet.taps[t] * axis.kernel + k);
                        finer.back().inputs.push_back(sheet.inputs[t] + i * x.strides[a + 2]);
                    }
            }
        sheets = std::move(finer);
    }
    return sheets;
}

}  // namespace tconv
