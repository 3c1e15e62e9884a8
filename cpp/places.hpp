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
    Walk(const View<const S>& x, const View<S>& y, bool brings)
        : in_size(x.shape.begin() + 2, x.shape.end()),
          out_size(y.shape.begin() + 2, y.shape.end()),
          x_strides(x.strides.begin(), x.strides.end()),
          y_strides(y.strides.begin(), y.strides.end()),
          before(in_size.size()),
          grid(in_size),
          images(x.shape[0]),
          brings(brings) {
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
};

// Neighbouring cells, as their outputs lie.
struct OutputRun {
    Index begin, end;  // cells
    Index y, o;        // of the first one: where its output row begins, and the index there of its first phase;
    Index y_step, o_step;  // from one to the next
    Index low, high;   // cells of which all phases lie in the window

    Index y_of(Index cell) const { return y + (cell - begin) * y_step; }
    Index o_of(Index cell) const { return o + (cell - begin) * o_step; }
};

// use(run, from, to) for the runs that hold the cells begin..end; `run` is the first of them or one before, and is moved on.
template <class Use>
void each_run(const OutputRun*& run, Index begin, Index end, Use use) {
    while (run->end <= begin) ++run;
    for (const OutputRun* own = run; begin < end; begin = own++->end) use(*own, begin, std::min(end, own->end));
}

struct Places {
    static constexpr Index nothing = nowhere;  // no input there

    std::vector<Index> inputs;  // [tile][tap][row], of the taps that some row of the tile has an input for; elements from
                                // image 0, or, if they are brought, from pixel 0
    std::vector<Span> spans;    // [tile][tap], if they are asked for; then, of what is evenly spaced, only row 0 is in `inputs`,
    Index step;                 // and the others are so far apart
    std::vector<Index> number;  // [tile][tap]: which taps these are
    std::vector<Index> used;    // of each tile: how many
    Index lowest, highest;      // of the inputs
    std::vector<OutputRun> outputs;  // of all cells, in their order

    void locate(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells, Index begin,
                Index end, Index tile_rows, bool in_spans);

   private:
    void locate_outputs(const Walk& walk, const std::vector<Axis>& axes, const PhaseGroup& group, const Cells& cells, Index begin,
                        Index end);
    void locate_inputs(const Walk& walk, const std::vector<Tap>& taps, const Cells& cells, Index begin, Index end,
                       Index tile_rows, bool in_spans);
};

}  // namespace tconv
