#include "amx.hpp"

#include <array>

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

// The sums of a few cells and, behind them, of a few pixels, which are exact in any order.
template <std::size_t size>
std::array<float, size> products(const Kernels<Bf16, Bf16Pair>& kernels) {
    constexpr Index channels = 37, rows = 8, vectors = 3, width = 48;
    static_assert(size == 2 * rows * width);
    const auto number = [](Index n) { return narrowed<Bf16>(static_cast<float>(n % 17 - 8) / 16); };
    std::array<Bf16Pair, rows * channels> x;
    std::array<Bf16Pair, channels * width> weight;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = {number(7 * static_cast<Index>(i)), number(5 * static_cast<Index>(i) + 3)};
    for (std::size_t i = 0; i < weight.size(); ++i)
        weight[i] = {number(11 * static_cast<Index>(i) + 1), number(3 * static_cast<Index>(i))};
    const std::array<float, width> bias{};
    std::array<float, size> sums{};
    std::array<float*, rows> out;
    std::array<const Bf16Pair*, rows> in;
    for (std::size_t r = 0; r < rows; ++r) out[r] = sums.data() + r * width, in[r] = x.data() + r * channels;
    const Index first_tap = 0, row[rows] = {0, 1, 2, 3, 4, 5, 6, 7};
    const Bf16Pair* const panels[vectors] = {weight.data(), weight.data() + 16, weight.data() + 32};
    kernels.pixels[rows - 1][vectors - 1](sums.data() + rows * width, row, width, panels, width, &first_tap, 1, channels,
                                          x.data(), bias.data());
    kernels.cells[rows - 1][vectors - 1](out.data(), 16, in.data(), &first_tap, 1, channels, 0, channels, weight.data(),
                                         bias.data());
    return sums;
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
    static const bool agrees = has_amx_bf16() && permitted() && products<768>(amxbf16_pairs) == products<768>(avx512bf16_pairs);
    return agrees;
}
#else
bool has_amx_bf16() { return false; }
bool amx_agrees() { return false; }
#endif

}  // namespace tconv
