// The kernels for AMX with tiles that are plain loops: all of them but the instructions, for processors that have none.
#include <array>

#include "backend.hpp"
#define VECTOR_BYTES 64
#define REGISTERS 32
#define ROWS 8
#include "isa/tiles.inl"

namespace {

class ByHand {
   public:
    static void begin() {
        for (Tile& tile : tiles().all) tile.fill(0x7fc07fc0);  // NaN, until it is written
        tiles().rows = tile_rows;
    }
    static void end() { tiles().rows = 0; }

    template <int tile>
    static void load(const void* from, Index step) {
        for (int row = 0; row < tiles().rows; ++row)
            std::memcpy(&tiles().all[tile][row * 16], static_cast<const char*>(from) + row * step, 64);
    }
    template <int tile>
    static void store(void* to, Index step) {
        for (int row = 0; row < tiles().rows; ++row)
            std::memcpy(static_cast<char*>(to) + row * step, &tiles().all[tile][row * 16], 64);
    }
    template <int sum, int left, int right>
    static void multiply() {
        for (int row = 0; row < tiles().rows; ++row)
            for (int column = 0; column < 16; ++column) {
                float total;
                std::memcpy(&total, &tiles().all[sum][row * 16 + column], sizeof total);
                for (int pair = 0; pair < deep; ++pair) {
                    const std::uint32_t a = tiles().all[left][row * 16 + pair], b = tiles().all[right][pair * 16 + column];
                    total += upper(a) * upper(b) + upper(a << 16) * upper(b << 16);
                }
                std::memcpy(&tiles().all[sum][row * 16 + column], &total, sizeof total);
            }
    }

   private:
    using Tile = std::array<std::uint32_t, 256>;
    struct Tiles {
        Tile all[8];
        int rows;
    };

    static Tiles& tiles() {
        thread_local Tiles own;
        return own;
    }
    static float upper(std::uint32_t bits) {
        bits &= 0xffff0000u;
        float number;
        std::memcpy(&number, &bits, sizeof number);
        return number;
    }
};

}  // namespace

extern const tconv::Kernels<Bf16, Bf16Pair> pairs_by_hand;
const tconv::Kernels<Bf16, Bf16Pair> pairs_by_hand = in_tiles<ByHand>();
