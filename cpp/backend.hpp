// A backend is one instruction set's instance of the micro-kernels in isa/kernels.inl, as a value that can be named.
#pragma once
#include <cstdint>

#include "numbers.hpp"

namespace tconv {

using Index = std::int64_t;

enum class Activation { none, relu, leaky_relu, tanh, sigmoid, gelu, silu };

constexpr int max_rows = 32;    // of a tile, over all backends
constexpr int max_vectors = 8;  // of a tile, over all backends

// Inputs and products of a tile of Winograd's way, on either axis, small and large: see ways/winograd.hpp.
constexpr int small_tile = 4, large_tile = 6;

// How its transformed weights lie in memory where a layer has no room for them as they are. There are four times as many as
// weights of 3x3 taps, which layers of bfloat16 have room for in 16 bits; in float16 they cost results about as much as the
// rounding at the end.
template <class S>
using PointWeight = std::conditional_t<std::is_same_v<S, Bf16>, F16, Sum<S>>;

// How weights lie that are multiplied tap by tap: as the sums, or where two taps are multiplied at a time, as they came.
template <class S, class E>
using TapWeight = std::conditional_t<channels_of<E> == 1, Sum<S>, S>;

constexpr Index nowhere = INT64_MIN;  // instead of a place in an array
constexpr Index past_caches = 0;      // instead of how many lanes of the last vector are wanted

constexpr Index longest_sum = 1024;  // products added up one by one: rounding errors grow with it

// How many of `elements` of each of so many taps are therefore added up at a time, where `deep` of them lie together: in
// equal parts, as each part of a sum goes through memory.
template <class E>
constexpr Index at_once(Index taps, Index deep, Index elements) {
    const Index most = longest_sum / ((taps > 1 ? taps : 1) * channels_of<E> * deep);
    const Index all = (elements + deep - 1) / deep, parts = most > 1 ? (all + most - 1) / most : all;
    return parts > 1 ? (all + parts - 1) / parts * deep : all * deep;
}

// Neighbouring lanes of a panel and the inputs that belong there.
struct Piece {
    static constexpr Index nothing = nowhere;  // instead of a source: zeros

    Index lane, count;
    Index source;  // elements from the first channel's origin to the first lane's input
};

// The rows low..high of a tile, for which a tap has inputs that are evenly spaced; both are 0 where they are not.
struct Span {
    std::uint8_t low, high;
};

// Neighbouring outputs of a row, woven from the phases of neighbouring cells: output j is of cell j / phases.
struct Strip {
    Index lane;       // of the first cell
    Index y;          // elements from the channel's origin to output 0
    Index low, high;  // the outputs that lie in the window
};

// The `stencil` kernel computes neighbouring phases of the last axis together. An input feeds some of them, the phases
// low..high-1, and those have one number:
constexpr Index max_phases = 4;
constexpr Index range_number(Index low, Index high) { return high * (high - 1) / 2 + low; }
constexpr Index ranges = range_number(0, max_phases + 1);

// Where an output meets one of its inputs.
struct Source {
    Index input;   // elements from the output's own place among the inputs
    Index weight;  // elements from the start of the weights; in a stencil, for phase 0
};

// Outputs of one phase of the rows and a few neighbouring phases of the last axis.
struct Patch {
    Index phases;
    Index rows, outputs;    // how many rows, and outputs of each; the last cell may lack some
    Index output;           // elements from the start of a channel to the first output
    const Source* sources;  // ordered by the phases that they feed
    Index end[ranges];      // of the sources with each range of phases
};

// A part of the input, on all axes but the last two where it is one index, that the outputs of a block need.
struct Slice {
    Index input, panel;  // elements from the start of a channel and of the panel
};

// Some outputs of a channel and the inputs that they need; the same for every channel. The inputs are copied into a
// panel with a border of zeros, so that outputs near the border need no care.
template <class T>
struct Block {
    T* panel;
    Index pitch;  // from a row of the panel to the next
    const Slice* slices;
    Index slice_count, rows, columns;  // of each slice
    Index x_row, x_step;
    const Patch* patches;
    Index patch_count, patch_rows;  // the most rows that a patch has
    Index band;                     // rows of each patch that are computed in turn
    Index ahead;                    // from an output to one that is fetched into the cache, or 0
    Index y_row, y_cell, y_step;  // from a patch's row, cell and phase to the next
};

// Kernels as rows of taps, each filled up with zeros to whole vectors, and where on a canvas the rows of an atom lie.
template <class T>
struct Rows {
    const T* taps;        // kernel*size + row*width + tap
    const Index* offset;  // elements from an atom's first tap to the row
    Index count, width;
    Index size;   // of a kernel: count * width
    Index first;  // the kernel with which `taps` begins
};

// Atoms, each a kernel at a place of a canvas, and how much of it there is.
template <class T>
struct Atoms {
    Index count;
    const Index* place;            // elements from the start of the canvas to the first tap
    const std::int32_t* kernel;
    const std::uint8_t* weighted;  // whether some cell under it counts other than once
    const T* curvature;            // the sum of the kernel's squares, as the cells count
    T* value;
};

// The mean of some numbers, and the sum of the squares of their deviations from it.
struct Moments {
    double mean, squares;
};

// Winograd's tiles of so many inputs on either axis.
template <class S>
struct TileKernels {
    using T = Sum<S>;

    // The inputs: to[point*point_step + channel] from a tile's pixels x, row by row; whole vectors of channels.
    void (*spread)(T* to, Index point_step, const S* const* x, Index channels);
    // The outputs, for 3 or 2 taps along columns and rows: y[row*y_row + column*y_column + channel] = bias + scale*sum of
    // the products m[point*point_step + channel], if bit row*columns + column is wanted. False if one is not finite.
    bool (*collect[2][2])(T* y, Index y_row, Index y_column, unsigned wanted, const T* m, Index point_step, T scale,
                          const T* bias, Index channels);
};

// A tile is rows x (vectors * lanes) sums, kept in registers while the kernel walks over taps and channels. Arrays lie in
// memory as S; panels and packed weights have elements E, of one channel or of some: what is called a channel of them is an
// element's. All else is of the type of the sums.
template <class S, class E = Sum<S>>
struct Kernels {
    using T = Sum<S>;

    Index lanes;               // elements per vector, and sums
    Index rows;                // of the largest tile
    Index vectors[max_rows];   // that a tile of pixels with so many rows may have, whose sums then fill the registers
    Index wide_rows;           // of a tile of cells with one vector more than the largest, and as many sums; 0: there is none

    // Pixels in lanes. For every vector v and row r of the tile
    //     sum = sum over channel and s of w[channel][s][r] * x[v][channel*x_step + taps[s] + lane]
    // (w[channel/deep][s][r][channel%deep], in fact, and both arrays have zeros behind, up to a multiple of `deep`),
    //     c[row[r]*width + v*lanes + lane] = bias[r] + sum, or += sum if bias is null.
    void (*pixels[max_rows][max_vectors])(T* c, const Index* row, Index width, const E* const* x, Index x_step,
                                          const Index* taps, Index count, Index channels, const E* w, const T* bias);
    // Outputs of one cell in lanes. For every row r of the tile and the channels first..end
    //     sum = sum over tap and channel of x[tap*rows + r][channel] * w[number[tap]][channel][lane],
    // (w[number[tap]][lane/lanes][channel][lane%lanes] for tile_cells),
    //     out[r][lane] = bias[lane] + sum, or += sum if bias is null; `last` lanes of the last vector, or, if that is
    // `past_caches`, all of them, written past the caches. Behind `end` there are further weights, up to a multiple of `deep`,
    // or zeros behind all of them.
    void (*cells[max_rows][max_vectors])(T* const* out, Index last, const E* const* x, const Index* number, Index taps,
                                         Index channels, Index first, Index end, const E* w, const T* bias);
    // The same where `deep` elements lie together, for out[r*width + lane], all lanes, where there is room for all rows of a
    // tile. x has one place for a tap whose inputs are evenly spaced: that of row 0, the others are `step` bytes apart. Rows
    // outside of its span read `zeros`. Null where `deep` is 1, and `cells` is where it is not.
    void (*tile_cells[max_vectors])(T* out, Index width, Index rows, const E* const* x, const Span* spans, Index step,
                                    const E* zeros, const Index* number, Index taps, Index channels, Index first, Index end,
                                    const E* w, const T* bias);
    // y[j] = sum over rows of x[row][j], in whole vectors.
    void (*join)(T* y, const T* const* x, Index rows, Index count);
    // panel[channel*panel_step + lane] from the pieces, in the order of their lanes; writes up to a vector beyond. `channels`
    // and `channel_step` are the array's.
    void (*gather)(E* panel, Index panel_step, const S* x, Index channel_step, Index step, Index channels,
                   const Piece* pieces, Index count);
    // to[k] = x + (at[k] - first), where elements begin; `zeros` where at[k] is `nowhere`.
    void (*address)(const E** to, const Index* at, Index count, const S* x, Index first, const E* zeros);
    // to[pixel*elements + element] from x[pixel*step + channel*channel_step]: the channels of neighbouring pixels, and zeros
    // behind them.
    void (*bring)(E* to, Index elements, const S* x, Index channel_step, Index step, Index channels, Index pixels);
    // y[j] = x[j], rounded.
    void (*put)(S* y, const T* x, Index count);
    // y[row*y_step + j] = x[row*x_step + j], rounded.
    void (*put_rows)(S* y, Index y_step, const T* x, Index x_step, Index rows, Index count);
    // As `put`, past the caches where whole vectors are aligned; see `fence`.
    void (*put_nontemporal)(S* y, const T* x, Index count);
    // y[channel*channel_step + strip.y + j*step] = c[(channel*phases + j % phases)*width + strip.lane + j / phases];
    // reads up to a vector beyond. Neighbours may be written past the caches.
    void (*weave)(S* y, Index channel_step, Index step, const T* c, Index width, Index phases, Index channels,
                  const Strip* strips, Index count, bool nontemporal);
    // After what was written past the caches: only then may another thread be told of it.
    void (*fence)();
    // All outputs of a block, for one channel: bias + sum over its sources of w * x; as sums, and as they are stored: rounded,
    // or, where sums are not, past the caches.
    void (*stencil)(const Block<T>& block, T* y, const S* x, const T* w, T bias);
    void (*stencil_stored)(const Block<T>& block, S* y, const S* x, const T* w, T bias);
    // y[pixel*y_step + j] = bias[j] + sum over s of w[s.weight + j] * x[s.input + pixel*x_step + j], no bias if null; as
    // sums, and as they are stored: rounded, or, where sums are not, past the caches.
    void (*blend)(T* y, Index y_step, const S* x, Index x_step, const TapWeight<S, E>* w, const T* bias, const Source* sources,
                  Index count, Index pixels, Index channels);
    void (*blend_stored)(S* y, Index y_step, const S* x, Index x_step, const TapWeight<S, E>* w, const T* bias,
                         const Source* sources, Index count, Index pixels, Index channels);
    // Gradients of weights of depthwise layers, from inputs x and what they meet: for each source
    //     sums[s.weight] += sum over rows and columns of x[row*x_row + column] * panel[s.input + row*pitch + column],
    //     sums[s.weight + j] += sum over pixels of x[pixel*x_step + j] * y[s.input + pixel*y_step + j].
    void (*meet_rows)(T* sums, const T* x, Index x_row, const T* panel, Index pitch, Index rows, Index columns,
                      const Source* sources, Index count);
    void (*meet_pixels)(T* sums, const T* x, Index x_step, const T* y, Index y_step, const Source* sources, Index count,
                        Index pixels, Index channels);
    // Winograd's; small tiles are for arrays of the type of the sums alone.
    TileKernels<S> small_tiles, large_tiles;
    // Weights of a large tile: to[point*point_step + lane] from 3x3 taps[tap*lanes + lane].
    void (*transform_taps)(T* to, Index point_step, const T* taps);
    // The products of a point: as `cells`, with sums as elements.
    void (*points[max_rows][max_vectors])(T* const* out, Index last, const T* const* x, const Index* number, Index taps,
                                          Index channels, Index first, Index end, const PointWeight<S>* w, const T* bias);
    // Winograd's on one axis: seven points of a tile's inputs, to[point*point_step + lane], in whole vectors of lanes; and
    // its four outputs from the products m[point*point_step + lane], false if one is not finite. Tiles are neighbours in a
    // row, row[4*lane + j], of which a vector more is read; or they lie in planes, x[0..7][lane] and
    // planes[j*plane_step + lane], which are written in whole vectors.
    void (*spread_row)(T* to, Index point_step, const T* row, Index count);
    bool (*collect_row)(T* row, const T* m, Index point_step, T bias, Index count);
    void (*spread_runs)(T* to, Index point_step, const T* const* x, Index count);
    bool (*collect_runs)(T* planes, Index plane_step, const T* m, Index point_step, T bias, Index count);
    // planes[j*plane_step + b*run + r] = row[(4*b + j)*run + r] for `count` runs of each plane; and back. Both read and
    // write up to 64 bytes behind.
    void (*split_runs)(T* planes, Index plane_step, const T* row, Index run, Index count);
    void (*join_runs)(T* row, const T* planes, Index plane_step, Index run, Index count);
    // y[j] = activation of y[j]; the same bits wherever y[j] lies.
    void (*activate)(Activation kind, T slope, T* y, Index count);
    // The moments of x[0..count).
    Moments (*moments)(const S* x, Index count);
    // Those of each column of x[row*width + column].
    void (*column_moments)(double* mean, double* squares, const S* x, Index rows, Index width);
    // y[j] = activation of (x[j] - centre)*scale + shift, rounded; the same bits wherever y[j] lies. Perhaps past the caches.
    void (*scale_run)(Activation kind, T slope, S* y, const S* x, Index count, T centre, T scale, T shift, bool nontemporal);
    // The same with constants of the columns.
    void (*scale_rows)(Activation kind, T slope, S* y, const S* x, Index rows, Index width, const T* centre, const T* scale,
                       const T* shift, bool nontemporal);
    // One atom after the other, or those that are chosen, is given the value that is best while all others stay:
    // minimises sum over the canvas of rest^2/2 + alpha*|value|. The canvas holds the rest, as its cells count. How much
    // less the sum became.
    double (*descend)(const Atoms<T>& atoms, const Rows<T>& rows, T* canvas, const T* weights, T alpha, bool positive,
                      const std::int32_t* chosen, Index count);
    // canvas += by * value * kernel, as the cells count (weights) or as they are (null).
    void (*stamp)(const Atoms<T>& atoms, const Rows<T>& rows, T* canvas, const T* weights, T by);
    // sums[kernel] += value * what lies under the atom; in whole vectors, so that lanes beyond a kernel hold anything.
    void (*correlate)(T* sums, const Atoms<T>& atoms, const Rows<T>& rows, const T* canvas);
    // The places of x[0..count) with |x|, or x, above the threshold, in order; room for one more than count. Their number;
    // `peak` becomes the largest of all and itself.
    Index (*pick)(std::int32_t* places, const T* x, Index count, T threshold, bool positive, T* peak);
    // older = soft(y + pace*g, threshold) where y = z + momentum*(z - older); adds the sums of |older| and (older - z)^2.
    void (*proximal)(T* older, const T* z, const T* g, Index count, T pace, T threshold, T momentum, bool positive,
                     double* sums);

    // Where products are computed in registers that must be set up: so many elements make a row of the left operand (see
    // `pixels`), and a thread calls `begin` before its products and `end` after them.
    Index deep = 1;
    void (*begin)() = nullptr;
    void (*end)() = nullptr;

    // So many elements with the zeros behind them.
    Index whole(Index elements) const { return (elements + deep - 1) / deep * deep; }
};

// The time of a thread's products. Afterwards nothing remains for others to find, or for the system to save and restore.
template <class S, class E>
class Multiplying {
   public:
    explicit Multiplying(const Kernels<S, E>& kernels) : kernels_(kernels) {
        if (kernels_.begin) kernels_.begin();
    }
    Multiplying(const Multiplying&) = delete;
    ~Multiplying() {
        if (kernels_.end) kernels_.end();
    }

   private:
    const Kernels<S, E>& kernels_;
};

struct Backend {
    const char* name;
    const char* description;
    Kernels<float> f32;
    Kernels<double> f64;
    Kernels<Bf16> bf16;
    Kernels<F16> f16;
    const Kernels<Bf16, Bf16Pair>* pairs = nullptr;  // null: bfloat16 is multiplied as float
};

// The kernels for arrays of S, of a backend.
template <class S>
const Kernels<S>& kernels_of(const Backend& backend) {
    if constexpr (std::is_same_v<S, float>)
        return backend.f32;
    else if constexpr (std::is_same_v<S, double>)
        return backend.f64;
    else if constexpr (std::is_same_v<S, Bf16>)
        return backend.bf16;
    else
        return backend.f16;
}

extern const Backend portable_backend;
#if defined(__x86_64__)
extern const Backend avx2_backend;
extern const Backend avx512_backend;
extern const Kernels<Bf16, Bf16Pair> avx512bf16_pairs;
extern const Kernels<Bf16, Bf16Pair> amxbf16_pairs;
#endif

}  // namespace tconv
