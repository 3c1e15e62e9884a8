#include "amx.hpp"

#include <algorithm>
#include <vector>

#include "backend.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tconv {

#if defined(__x86_64__) && defined(__linux__)
namespace {

// Linux saves the 8 KB of a thread's tiles only for processes that have asked for them; one with a small stack for signals
// is refused.
bool permitted() {
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

// Whether the sums of a few cells and of a few pixels are what they should be. They are exact in any order.
bool multiplies(const Kernels<Bf16, Bf16Pair>& kernels) {
    constexpr Index channels = 37, padded = 48, rows = 20, width = 32;
    const auto number = [](Index n) { return narrowed<Bf16>(static_cast<float>(n % 17 - 8) / 16); };
    const auto both = [](Bf16Pair a, Bf16Pair b) {
        return widened(a.first) * widened(b.first) + widened(a.second) * widened(b.second);
    };
    // With zeros behind; of `deep`, a whole tile is read where some of its rows are.
    std::vector<Bf16Pair> x(rows * padded), deep((rows * padded / kernels.deep + kernels.rows) * kernels.deep);
    std::vector<Bf16Pair> weight(padded * width), split(padded * width);
    std::vector<float> bias(width), cells(max_rows * width), again(cells.size()), pixels(rows * width), wanted(rows * width);
    for (Index c = 0; c < channels; ++c) {
        for (Index r = 0; r < rows; ++r) {
            x[r * padded + c] = {number(7 * r + 3 * c), number(5 * r + c + 3)};
            deep[(c / kernels.deep * rows + r) * kernels.deep + c % kernels.deep] = x[r * padded + c];
        }
        for (Index l = 0; l < width; ++l) {
            weight[c * width + l] = {number(11 * c + l + 1), number(3 * c + 2 * l)};
            split[(l / 16 * channels + c) * 16 + l % 16] = weight[c * width + l];
        }
    }
    Index row[rows];
    const Bf16Pair* in[rows];
    for (Index r = 0; r < rows; ++r) {
        row[r] = r, in[r] = x.data() + r * padded;
        for (Index l = 0; l < width; ++l)
            for (Index c = 0; c < channels; ++c) wanted[r * width + l] += both(x[r * padded + c], weight[c * width + l]);
    }
    const Index tap = 0;
    const Bf16Pair* const panels[] = {weight.data(), weight.data() + 16};
    const Multiplying multiplying(kernels);
    const auto multiply = [&](std::vector<float>& sums, Span span) {
        const Index step = padded * static_cast<Index>(sizeof(Bf16Pair));
        kernels.tile_cells[1](sums.data(), width, rows, in, &span, step, nullptr, &tap, 1, channels, 0, channels, split.data(),
                              bias.data());
    };
    multiply(cells, {0, 0});
    multiply(again, {0, rows});
    kernels.pixels[rows - 1][1](pixels.data(), row, width, panels, width, &tap, 1, channels, deep.data(), bias.data());
    const auto agrees = [&](const std::vector<float>& sums) { return std::equal(wanted.begin(), wanted.end(), sums.begin()); };
    return agrees(cells) && agrees(again) && agrees(pixels);
}

}  // namespace

bool has_amx_bf16() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return false;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    constexpr unsigned tiles = 0x60000;  // bits of XCR0
    return (a & tiles) == tiles && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);
}

bool amx_agrees() {
    static const bool agrees = has_amx_bf16() && permitted() && multiplies(amxbf16_pairs);
    return agrees;
}
#else
bool has_amx_bf16() { return false; }
bool amx_agrees() { return false; }
#endif

}  // namespace tconv
