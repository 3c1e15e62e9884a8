// In what order cells are multiplied in registers of two dimensions.
#pragma once
#include <algorithm>
#include <vector>

#include "../backend.hpp"
#include "../problem.hpp"
#include "../tuning.hpp"

namespace tconv {

// Some taps of a tile, as `Places` has them.
template <class E>
struct TileSlice {
    const Index* number;
    const Span* spans;
    const E* const* x;
    Index taps;
};

// The tiles of some cells, a few at a time, in slices of their taps.
template <class E>
class TileSlices {
   public:
    // `used` taps has each tile; for the others see `TileSlice`.
    TileSlices(const Index* used, const Index* number, const Span* spans, const E* const* x)
        : used_(used), next_{number, spans, x, 0} {}

    // The next `cells`, in tiles of so many rows, in so many slices each.
    void take(Index cells, Index tile_rows, Index count) {
        taken_.clear();
        for (Index cell = 0; cell < cells; cell += tile_rows, ++used_)
            for (Index slice = 0; slice < count; ++slice) {
                next_.taps = part(*used_, slice + 1, count) - part(*used_, slice, count);
                taken_.push_back(next_);
                for (Index tap = 0; tap < next_.taps; ++tap)
                    next_.x += next_.spans[tap].high == 0 ? std::min(tile_rows, cells - cell) : 1;
                next_.number += next_.taps;
                next_.spans += next_.taps;
            }
    }

    // That of the first tile that was taken; those of the others follow, each behind all slices of the one before.
    const TileSlice<E>* of_first_tile(Index slice) const { return taken_.data() + slice; }

   private:
    const Index* used_;
    TileSlice<E> next_;
    std::vector<TileSlice<E>> taken_;
};

// So many tiles at a time, their taps in slices, and so many elements of the channels at a time.
struct TilePasses {
    Index tiles, slices, elements;
};

// Where the weights of a swath are more than the first-level cache holds, a few tiles share those of some taps and channels
// while they are there, and their sums wait. Else a sum is divided only where it would be too long. `elements` hold the
// channels, and `deep` of them are multiplied at once.
template <class E>
TilePasses passes_of(Index taps, Index elements, Index deep) {
    using namespace tuning::cells;
    const Index all = ceil_div(elements, deep), longest = longest_sum / (channels_of<E> * deep);
    const bool many = taps * all > many_inputs || taps >= many_taps;
    const Index slices = many ? ceil_div(taps, slice_taps) : 1, own_taps = std::max<Index>(1, ceil_div(taps, slices));
    const Index at_once = (many ? shared_inputs : longest) / own_taps;  // cells that no input reaches have no taps
    const Index parts = ceil_div(all, std::max<Index>(1, at_once));
    return {many ? sharing_tiles : 1, slices, ceil_div(all, parts) * deep};
}

}  // namespace tconv
