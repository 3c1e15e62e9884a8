// How many cells are computed at a time.
#pragma once
#include <algorithm>

#include "../problem.hpp"
#include "../tuning.hpp"

namespace tconv {

// What a chunk of cells has to do with: bytes of a cell's input and outputs, of all weights, of the second-level cache; inputs
// that a cell has places for; groups of channels, whose pixels lie in the same memory.
struct ChunkNeeds {
    Index input, outputs, weights, cache, located, groups;
    bool in_tiles;  // products are computed in tiles of two dimensions
};

// What a chunk reads and writes stays in the cache, unless that leaves so few cells that fetching the weights takes as long
// as multiplying. Weights that no cache holds are fetched for each chunk: it then has room for many inputs.
inline Index cells_of_chunk(const ChunkNeeds& needs) {
    using namespace tuning::cells;
    const Index each = needs.input + needs.outputs;
    Index bytes = needs.in_tiles ? tile_chunk_bytes : chunk_bytes;
    if (!needs.in_tiles && needs.cache >= large_cache) bytes = std::max(bytes, large_chunk_bytes / needs.groups);
    if (bytes / each < few_cells) bytes *= 4;
    const Index streaming = needs.weights > cached_bytes ? streaming_bytes / needs.input : 0;
    return std::min({std::max(bytes / each, streaming), most_places / needs.located, most_cells});
}

// Into how many chunks, of one size, so many cells are divided, in tiles of `rows`. Few are a multiple of the threads, unless
// fetching the weights for one more takes long: products in tiles take a tenth of the time.
inline Index count_chunks(const ChunkNeeds& needs, Index cells, Index rows, Index threads) {
    using namespace tuning::cells;
    const Index tiles = ceil_div(cells, rows), chunks = ceil_div(tiles, std::max<Index>(1, cells_of_chunk(needs) / rows));
    if (needs.in_tiles) {  // whose tasks are parts of the cells, as long as all weights stay in the cache
        if (threads == 1 || needs.weights > needs.cache / 2) return chunks;
        return std::max(chunks, std::min(ceil_div(tasks * threads, needs.groups), ceil_div(tiles, few_tiles)));
    }
    const Index even = ceil_div(chunks, threads) * threads;
    if (chunks >= few_chunks * threads || even * few_cells > cells) return chunks;
    return chunks > 1 || needs.weights <= std::min(needs.cache, large_cache) / 2 ? even : chunks;
}

}  // namespace tconv
