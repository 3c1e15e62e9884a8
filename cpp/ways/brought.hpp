// Inputs of the way of the cells that are copied before: the channels of a pixel, one pixel after the other, as elements.
#pragma once
#include <algorithm>

#include "../buffer.hpp"
#include "../phases.hpp"
#include "../places.hpp"

namespace tconv {

// Zeros around each image, so that every cell of the groups finds all its inputs. What lies behind a row lies before the next
// one, and so on all axes. How many pixels an image then has.
inline double pad(Walk& walk, const std::vector<PhaseGroup>& groups, const std::vector<Cells>& cells) {
    double pixels = 1;
    for (std::size_t a = 0; a < walk.grid.size(); ++a) {
        Index lowest = 0, highest = walk.in_size[a] - 1, most_cells = 0;
        for (std::size_t g = 0; g < groups.size(); ++g)
            for (const Tap& tap : groups[g].taps.front()) {
                if (cells[g].count[a] == 0) continue;
                lowest = std::min(lowest, cells[g].first[a] - tap.offset[a]);
                highest = std::max(highest, cells[g].first[a] + cells[g].count[a] - 1 - tap.offset[a]);
                most_cells = std::max(most_cells, cells[g].count[a]);
            }
        walk.before[a] = -lowest;
        walk.grid[a] = std::max(walk.in_size[a] + std::max(-lowest, highest + 1 - walk.in_size[a]), most_cells);
        pixels *= static_cast<double>(walk.grid[a]);
    }
    walk.padded = true;
    return pixels;
}

// The pixels that begin at lowest..highest, of a thread, `row` elements each; null if there are none.
template <class S, class E>
const E* brought(const Walk& walk, const Kernels<S, E>& kernels, const S* images, Index channels, Index row, Index lowest,
                 Index highest) {
    thread_local Buffer<E> together;
    if (lowest > highest) return nullptr;
    const Index first_pixel = lowest / walk.pixel, last_pixel = highest / walk.pixel;
    together.grow((last_pixel - first_pixel + 1) * row);
    const std::size_t last = walk.grid.size() - 1;
    const Index columns = walk.grid[last], held = walk.in_size[last], step = walk.x_strides[last + 2];
    for (Index pixel = first_pixel; pixel <= last_pixel;) {
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
        const Index run = std::min(end - column, last_pixel - pixel + 1);
        E* const to = together.data() + (pixel - first_pixel) * row;
        if (inside)
            kernels.bring(to, row, images + from, walk.x_strides[1], step, channels, run);
        else
            std::fill_n(to, run * row, E{});
        pixel += run;
    }
    return together.data();
}

}  // namespace tconv
