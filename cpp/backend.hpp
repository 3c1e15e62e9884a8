// A backend is one instruction set's instance of the micro-kernels in isa/kernels.inl, as a value that can be named.
#pragma once
#include <cstdint>

namespace tconv {

using Index = std::int64_t;

constexpr int max_rows = 8;     // of a tile, over all backends
constexpr int max_vectors = 8;  // of a tile, over all backends

// A run of neighbouring lanes of a panel that have an input; lanes in no piece are zero.
struct Piece {
    Index lane, count;
    Index source;  // elements from the first channel's origin to the first lane's input
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
struct Strip {
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
    const Strip* strips;
    Index strip_count, strip_rows;  // the most rows that a strip has
    Index band;                     // rows of each strip that are computed in turn
    Index ahead;                    // from an output to one that is fetched into the cache, or 0
    Index y_row, y_cell, y_step;  // from a strip's row, cell and phase to the next
};

// A tile is rows x (vectors * lanes) sums, kept in registers while the kernel walks over taps and channels.
template <class T>
struct Kernels {
    Index lanes;               // elements per vector
    Index rows;                // of the largest tile
    Index vectors[max_rows];   // that a tile of so many rows may have, whose sums then fill the registers

    // Pixels in lanes. c[row*c_step + lane] = sum over s and channel of
    //     w[s][channel][row] * panel[segments[s]][channel][lane]
    void (*pixels[max_rows][max_vectors])(T* c, Index c_step, const T* panel, const Index* segments, Index count,
                                          Index channels, const T* w);
    // Outputs of one cell in lanes. c[row*width + lane] = sum over tap and channel of
    //     x[tap*rows + row][channel] * w[number[tap]][channel][lane]
    void (*cells[max_rows][max_vectors])(T* c, const T* const* x, const Index* number, Index taps, Index channels,
                                         const T* w);
    // Fill a panel for one shift: panel[channel][lane], `width` lanes, from the pieces. With `ahead`, fetch what lies
    // behind them into the cache: the next panel's inputs.
    void (*gather)(T* panel, Index width, const T* x, Index channel_step, Index step, Index channels,
                   const Piece* pieces, Index count, bool gaps, bool ahead);
    // All outputs of a block, for one channel: bias + sum over its sources of w * x.
    void (*stencil)(const Block<T>& block, T* y, const T* x, const T* w, T bias);
    // y[pixel*y_step + j] = bias[j] + sum over s of w[s.weight + j] * x[s.input + pixel*x_step + j]; no bias if null
    void (*blend)(T* y, Index y_step, const T* x, Index x_step, const T* w, const T* bias, const Source* sources,
                  Index count, Index pixels, Index channels);
    // out[j*step] = c[j] + bias[j]
    void (*put)(T* out, Index step, const T* c, const T* bias, Index count);
    // Interleave `phases` rows of c into neighbouring outputs: out[(j*phases + phase)*step] = c[phase*c_step + j] + bias.
    void (*interleave)(T* out, Index step, const T* c, Index c_step, Index phases, Index count, T bias);
};

struct Backend {
    const char* name;
    const char* description;
    Kernels<float> f32;
    Kernels<double> f64;
};

extern const Backend portable_backend;
#if defined(__x86_64__)
extern const Backend avx2_backend;
extern const Backend avx512_backend;
#endif

}  // namespace tconv
