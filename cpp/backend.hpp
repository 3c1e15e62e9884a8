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
    // c[j] = sum over tap of w[tap] * x[tap][j], for begin <= j < end
    void (*stencil)(T* c, const T* const* x, const T* w, Index taps, Index begin, Index end);
    // out[j] = bias[j] + sum over tap of w[tap][j] * x[tap][j]; no bias if null
    void (*blend)(T* out, const T* const* x, const T* const* w, const T* bias, Index taps, Index count);
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
