// Where neighbouring cells read and write, for arrays of one shape: found once for all channels and panels.
#pragma once
#include <functional>
#include <numeric>

#include "phases.hpp"
#include "problem.hpp"
#include "tuning.hpp"

namespace tconv {

inline Index pixels_of(const std::vector<Index>& size) {
    return std::accumulate(size.begin(), size.end(), Index{1}, std::multiplies<>());
}

// How cells walk through the arrays: image by image, or, where there are many small ones, through all images cell by cell;
// then the cells of a tile lie at the same border and leave out the same taps. Pixels that are brought together lie in that
// order.
struct Walk {
    template <class S>
    Walk(const View<const S>& x, const View<S>& y, bool brings, bool rounds = false)
        : in_size(x.shape.begin() + 2, x.shape.end()),
          out_size(y.shape.begin() + 2, y.shape.end()),
          x_strides(x.strides.begin(), x.strides.end()),
          y_strides(y.strides.begin(), y.strides.end()),
          before(in_size.size()),
          grid(in_size),
          images(x.shape[0]),
          brings(brings),
          rounds(rounds) {
        images_first = !brings && images >= tuning::cells::many_images && pixels_of(in_size) <= tuning::cells::small_image;
    }

    std::vector<Index> in_size, out_size;
    std::vector<Index> x_strides, y_strides;  // batch and channel included
    std::vector<Index> before, grid;          // zeros before an image that is brought, and its size with zeros: those behind
    bool padded = false;                      // a row are before the next. If there are any, every cell finds all its inputs
    Index images;
    bool images_first = false;
    bool brings;                              // the channels of a pixel are brought together, as elements, before;
    Index pixel = 1;                          // then they are so many numbers of the array's type
    bool rounds;                              // outputs are not of the type of sums, which wait until they are put in place
};

struct Places {
    static constexpr Index nothing = nowhere;  // no input there

    std::vector<Index> inputs;  // [tile][tap][row], of the taps that some row of the tile has an input for; elements from
                                // image 0, or, if they are brought, from pixel 0
    std::vector<Index> number;  // [tile][tap]: which taps these are
    std::vector<Index> used;    // of each tile: how many
    std::vector<Index> y, o;    // of each cell: where its output row begins; index there of the first phase
    Index lowest, highest;      // of the inputs
    std::vector<Index> first;   // of each cell of which all phases lie in the window: where the output of the first one is
    std::vector<Index> partial; // cells of which some phases do; of those in neither, nothing is wanted. Both if sums wait

    void locate(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells, Index begin,
                Index end, Index tile_rows);

   private:
    std::vector<char> met;   // [tile][tap]: whether some row of the tile has an input for it

    void locate_outputs(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells, Index begin,
                        Index end);
    void locate_inputs(const Walk& walk, const std::vector<Tap>& taps, const Cells& cells, Index begin, Index end, Index tile_rows);
    void leave_out_unused(Index taps, Index total, Index tile_rows);
};

}  // namespace tconv
