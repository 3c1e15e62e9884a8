// Inputs of the way of the cells that are copied before: the channels of a pixel, one pixel after the other, as elements.
#pragma once
#include <algorithm>

#include "../buffer.hpp"
#include "../phases.hpp"
#include "../places.hpp"

namespace tconv {

// Zeros around each image, so that every cell of the groups finds all its inputs; false if they are too many.
inline bool pad(Walk& walk, const std::vector<PhaseGroup>& groups, const std::vector<Cells>& cells) {
    constexpr double most = 1.6;  // times as many pixels, but for small images
    constexpr Index few_pixels = 512;
    std::vector<Index> before(walk.in_size.size()), grid = walk.in_size;
    double pixels = 1, all = 1;
    for (std::size_t a = 0; a < grid.size(); ++a) {
        Index lowest = 0, highest = grid[a] - 1;
        for (std::size_t g = 0; g < groups.size(); ++g)
            for (const Tap& tap : groups[g].taps.front()) {
                if (cells[g].count[a] == 0) continue;
                lowest = std::min(lowest, cells[g].first[a] - tap.offset[a]);
                highest = std::max(highest, cells[g].first[a] + cells[g].count[a] - 1 - tap.offset[a]);
            }
        before[a] = -lowest;
        grid[a] = highest - lowest + 1;
        pixels *= static_cast<double>(walk.in_size[a]);
        all *= static_cast<double>(grid[a]);
    }
    if (all > most * pixels && all > few_pixels) return false;
    walk.before = before;
    walk.grid = grid;
    walk.padded = true;
    return true;
}

// The pixels lowest..highest, `row` elements each, of a thread; null if there are none.
template <class S, class E>
const E* brought(const Walk& walk, const Kernels<S, E>& kernels, const S* images, Index channels, Index row, Index lowest,
                 Index highest) {
    thread_local Buffer<E> together;
    if (lowest > highest) return nullptr;
    together.grow((highest - lowest + 1) * row);
    const std::size_t last = walk.grid.size() - 1;
    const Index columns = walk.grid[last], held = walk.in_size[last], step = walk.x_strides[last + 2];
    for (Index pixel = lowest; pixel <= highest;) {
        const Index column = pixel % columns - walk.before[last];
        Index rest = pixel / columns;
        Index from = column * step;
        bool inside = column >= 0 && column < held;
        for (std::size_t a = last; a-- > 0; rest /= walk.grid[a]) {
            const Index i = rest % walk.grid[a] - walk.before[a];
            inside = inside && i >= 0 && i < walk.in_size[a];
            from += i * walk.x_strides[a + 2];
        }
        inside = inside && rest < walk.images;
        from += rest * walk.x_strides[0];
        // To the end of the zeros before a row, of the row, or of the zeros behind it.
        const Index end = column < 0 ? 0 : column < held ? held : columns - walk.before[last];
        const Index run = std::min(end - column, highest - pixel + 1);
        E* const to = together.data() + (pixel - lowest) * row;
        if (inside)
            kernels.bring(to, row, images + from, walk.x_strides[1], step, channels, run);
        else
            std::fill_n(to, run * row, E{});
        pixel += run;
    }
    return together.data();
}

}  // namespace tconv
