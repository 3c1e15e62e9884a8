// How many cells are computed at a time.
#pragma once
#include <algorithm>

#include "../tuning.hpp"

namespace tconv {

// What a chunk of cells has to do with: bytes of a cell's input and outputs, of all weights; inputs that a cell has places for.
struct ChunkNeeds {
    Index input, outputs, weights, located;
    bool in_tiles;  // products are computed in tiles of two dimensions
};

// What a chunk reads and writes stays in the cache, unless that leaves so few cells that fetching the weights takes as long
// as multiplying. Weights that no cache holds are fetched for each chunk: it then has room for many inputs.
inline Index cells_of_chunk(const ChunkNeeds& needs) {
    using namespace tuning::cells;
    const Index least = needs.in_tiles ? tile_chunk_bytes : chunk_bytes, each = needs.input + needs.outputs;
    const Index cached = (least / each < few_cells ? 4 * least : least) / each;
    const Index streaming = needs.weights > cached_bytes ? streaming_bytes / needs.input : 0;
    return std::min({std::max(cached, streaming), most_places / needs.located, most_cells});
}

}  // namespace tconv
