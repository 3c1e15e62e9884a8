// A backend is one instruction set's instance of the micro-kernels in isa/kernels.inl, as a value that can be named.
#pragma once
#include <cstdint>

namespace tconv {

using Index = std::int64_t;

constexpr int max_rows = 8;     // of a tile, over all backends
constexpr int max_vectors = 8;  // of a tile, over all backends

constexpr Index longest_sum = 1024;  // products added up one by one: rounding errors grow with it

// Neighbouring lanes of a panel and the inputs that belong there.
struct Piece {
    static constexpr Index nothing = INT64_MIN;  // instead of a source: zeros

    Index lane, count;
    Index source;  // elements from the first channel's origin to the first lane's input
};

// Neighbouring outputs of a row, woven from the phases of neighbouring cells: output j is of cell j / phases.
struct Strip {
    Index lane;       // of the first cell
    Index y;          // elements from the channel's origin to output 0
    Index low, high;  // the outputs that lie in the window
};

// A tile is rows x (vectors * lanes) sums, kept in registers while the kernel walks over taps and channels.
template <class T>
struct Kernels {
    Index lanes;               // elements per vector
    Index rows;                // of the largest tile
    Index vectors[max_rows];   // that a tile of so many rows may have, whose sums then fill the registers

    // Pixels in lanes. For every vector v and row r of the tile
    //     sum = sum over channel and s of w[channel][s][r] * x[v][channel*x_step + taps[s] + lane],
    //     c[row[r]*width + v*lanes + lane] = bias[r] + sum, or += sum if bias is null.
    void (*pixels[max_rows][max_vectors])(T* c, const Index* row, Index width, const T* const* x, Index x_step,
                                          const Index* taps, Index count, Index channels, const T* w, const T* bias);
    // Outputs of one cell in lanes. For every row r of the tile and the channels first..end
    //     sum = sum over tap and channel of x[tap*rows + r][channel] * w[number[tap]][channel][lane],
    //     out[r][lane] = bias[lane] + sum, or += sum if bias is null; `last` lanes of the last vector.
    void (*cells[max_rows][max_vectors])(T* const* out, Index last, const T* const* x, const Index* number, Index taps,
                                         Index channels, Index first, Index end, const T* w, const T* bias);
    // panel[channel*panel_step + lane] from the pieces, in the order of their lanes; writes up to a vector beyond.
    void (*gather)(T* panel, Index panel_step, const T* x, Index channel_step, Index step, Index channels,
                   const Piece* pieces, Index count);
    // y[channel*channel_step + strip.y + j*step] = c[(channel*phases + j % phases)*width + strip.lane + j / phases];
    // reads up to a vector beyond.
    void (*weave)(T* y, Index channel_step, Index step, const T* c, Index width, Index phases, Index channels,
                  const Strip* strips, Index count);
    // c[j] = sum over tap of w[tap] * x[tap][j], for begin <= j < end
    void (*stencil)(T* c, const T* const* x, const T* w, Index taps, Index begin, Index end);
    // out[j] = bias[j] + sum over tap of w[tap][j] * x[tap][j]; no bias if null
    void (*blend)(T* out, const T* const* x, const T* const* w, const T* bias, Index taps, Index count);
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
