// In what order cells are multiplied in registers of two dimensions.
#pragma once
#include <algorithm>

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

    // On to what is behind them, in a tile of so many rows.
    void pass(Index rows) {
        for (Index tap = 0; tap < taps; ++tap) x += spans[tap].high == 0 ? rows : 1;
        number += taps;
        spans += taps;
    }
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
    const Index slices = many ? ceil_div(taps, slice_taps) : 1, at_once = (many ? shared_inputs : longest) / ceil_div(taps, slices);
    const Index parts = ceil_div(all, std::max<Index>(1, at_once));
    return {many ? sharing_tiles : 1, slices, ceil_div(all, parts) * deep};
}

}  // namespace tconv
