// Tiles as the processor has them, AMX_BF16.
#include "../backend.hpp"
#define VECTOR_BYTES 64
#define REGISTERS 32
#define ROWS 8
#include "tiles.inl"

namespace {

struct alignas(64) Shapes {  // as the instruction reads them
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {};
    std::uint8_t rows[16] = {};
};

struct Amx {
    static void begin() {
        Shapes shapes;
        for (int tile = 0; tile < 8; ++tile) shapes.bytes[tile] = row_bytes, shapes.rows[tile] = tile_rows;
        __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
    }
    static void end() { __asm__ volatile("tilerelease" ::); }

    template <int tile>
    static void load(const void* from, Index step) {
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(step), "i"(tile) : "memory");
    }
    template <int tile>
    static void store(void* to, Index step) {
        __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(step), "i"(tile) : "memory");
    }
    template <int sum, int left, int right>
    static void multiply() {
        __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(left), "i"(right));
    }
};

}  // namespace

const tconv::Kernels<Bf16, Bf16Pair> tconv::amxbf16_pairs = in_tiles<Amx>();
