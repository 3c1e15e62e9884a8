// Every number that was chosen by measuring, in one place. They were measured on an AMD EPYC of the Zen 4 family with two
// cores (32 KB and 1 MB of cache each, 512-bit vectors at half rate), compiled by GCC 12, over the layers of
// benchmark/suite.py and drawn ones; those of gradients, of weights that no cache holds, and of the pixels' dense panels and
// sums apart, on one of the Zen 5 family (48 KB and 1 MB, at full rate); what says so, on others. Elsewhere they may be
// worth measuring again. What keeps memory or rounding errors within a promise is not here, but beside the promise.
#pragma once
#include "backend.hpp"

namespace tconv::tuning {

// From it on, the phases of one axis fill vectors by themselves.
constexpr Index many_phases = 8;
// Fewer pixels do not fill the lanes, and most of them lie at a border.
constexpr Index few_pixels = 33;
// How many times as many products the ways of pixels may compute as there are: beyond the border, inputs are zeros.
constexpr double most_border = 1.6;
constexpr double most_border_of_wide = 1.1;  // where outputs, which are no halves, fill four vectors of a cell
// Rows so long lose little when all phases of a cell are computed at the border too.
constexpr Index long_row = 32;
// Inputs whose channels are brought together at a time, so that they need little memory; a chunk's own come on top.
constexpr Index most_brought = 1024 * 1024;

// Bytes of a short vector, at most: what says so below was not measured with longer ones.
constexpr Index longest_vector = 32;

// Outputs of more are written past the caches: what reads them next would find few of them there.
constexpr Index nontemporal_bytes = 12 << 20;

namespace pixels {
constexpr Index bundle_channels = 8;          // output channels of a bundle
constexpr Index panels_bytes = 512 * 1024;    // of all panels of a task: stay in the second-level cache
constexpr Index shared_bytes = 192 * 1024;    // of one panel that several tiles share
constexpr Index dense_bytes = 448 * 1024;     // the same, where shifts of several axes need no copies
constexpr Index most_apart = 2;                // outputs of a cell in a row: each tap has sums of its own, to fill tiles
constexpr Index times_in_place = 2;           // that an input is read, for which copying it takes longer
constexpr Index sums_bytes = 1024 * 1024;     // waiting for further input channels
// These were measured with short vectors: `step` on Zen 4, the others on Zen 3, with 512 KB of second-level cache.
constexpr double step = 2;                    // products that take as long as what a tile does beside them for each input
constexpr Index heavy_bytes = 2 << 20;        // of weights: more are fetched from the third-level cache for each cluster,
constexpr Index few_lanes = 48;               // which takes long where it has few lanes, and there are several taps
constexpr Index part_products = 256;          // of a sum, which then waits for further channels
constexpr Index clusters_bytes = 192 * 1024;  // of the panels, for so many channels, of clusters that fetch weights once
constexpr Index most_located = 64;            // units of an image that are remembered
constexpr Index least_units = 16;             // of all images, so that threads can share them
constexpr double copied_element = 2;          // a load and a store, in products of a vector, for all its lanes
constexpr double copied_row = 4;              // what each row of them costs beside
}  // namespace pixels

namespace cells {
constexpr Index chunk_bytes = 128 * 1024;  // inputs and outputs of a chunk of cells, which stay in the cache
constexpr Index large_cache = 2 << 20;     // of the second level, where chunks are larger; measured on an Intel Xeon
constexpr Index large_chunk_bytes = 1 << 20;
constexpr Index tile_chunk_bytes = 512 * 1024;  // the same where products take a tenth of the time
constexpr Index cached_bytes = 12 << 20;       // of all weights; more are fetched from memory for each chunk
constexpr Index streaming_bytes = 1 << 20;     // of its inputs then
constexpr Index few_for_streams = 128;         // pixels, of which chunks of cells are larger than blocks of pixels
// Of layers whose weights are more than `pixels::heavy_bytes`; measured on Zen 4, with short vectors.
constexpr Index few_for_heavy = 256;           // pixels
constexpr double long_sum = 1000;              // products, on average
constexpr Index weights_bytes = 768 * 1024;    // of all that they are multiplied with before the next cells
constexpr Index fetched_depth = 128, fetched_taps = 2;  // so many channels, so few taps: inputs are fetched ahead
constexpr double worth_widening = 1.05;    // times fewer vectors, with those that swaths lack, in tiles of fewer cells
constexpr Index few_cells = 32;            // of a chunk: for fewer, fetching all weights takes as long as multiplying
constexpr Index few_chunks = 4;            // for each thread
constexpr Index most_cells = 4096;         // of a chunk
constexpr Index most_places = 32 * 1024;   // inputs of cells, of a task
constexpr Index most_remembered = 64 * 1024;  // of all tasks
constexpr Index small_image = 256;         // pixels: cells of a tile are then taken from many images
constexpr Index many_images = 8;
constexpr Index tiles_put_together = 8;    // of half precision
constexpr Index short_sum = 1024;          // bytes of inputs: cells do not gain what bringing them takes
constexpr Index few_to_weave = 256;        // pixels, so few that weaving their phases does not gain it either
// These are for products in tiles and were measured on an Intel Xeon with AMX, with 2 MB of second-level cache.
constexpr Index put_together = 2;          // swaths of a tile: outputs are written faster in longer runs
constexpr Index tasks = 4, few_tiles = 4;  // wanted for each thread; of a chunk, for which that is not worth while
constexpr Index many_inputs = 48, many_taps = 18;  // tiles of them, each of which is one of weights: of more, a few tiles of
constexpr Index shared_inputs = 18, sharing_tiles = 4, slice_taps = 9;  // cells share weights that the first cache has room for
constexpr double places_of_span = 16;      // cells, on average
constexpr double most_zeros = 1.6;         // times as many pixels, with zeros around images, unless they are few;
constexpr double few_zeros = 1.2;          // where there are many images
constexpr double small_grid = 512;         // pixels, with zeros
constexpr Index short_row = 64;            // cells, where products are computed in tiles of 32
}  // namespace cells

namespace col2im {
// Products that are saved for each one that is kept, written and read once more: against cells, and against pixels.
constexpr double saved_to_cells = 100, saved_to_pixels = 25;
constexpr Index most_bytes = 3 << 20;  // of those that are kept
constexpr Index most_outputs = 32 * 1024;  // of all channels together, whose places are remembered
constexpr Index channels = 64;         // added up at a time
}  // namespace col2im

namespace depthwise {
constexpr Index bordered_bytes = 16 << 10;  // of the inputs of a block: leaves room for outputs in the first-level cache
constexpr Index cache_bytes = 8 << 20;      // outputs of more are fetched before they are written,
constexpr Index nontemporal_bytes = 24 << 20;  // and of still more are written past the caches
constexpr Index most_columns = 1024;        // cells of a block
constexpr Index most_pixels = 8;            // cells whose inputs are in the cache for all phases of the last axis
}  // namespace depthwise

namespace winograd {
constexpr double worth_while = 1.4;         // times fewer products: inputs and outputs are transformed beside
constexpr double worth_while_pairs = 2.4;   // against pairs of bfloat16, two of which take as long as a product of floats
constexpr double few_tiles = 32;            // all weights are fetched for so many at least
constexpr double few_large_tiles = 16;      // of 6x6
constexpr double few_tiles_anew = 48;       // of 6x6, where every call transforms the weights
constexpr Index most_anew_bytes = 64 << 20; // of the weights that it then has
constexpr double worth_larger = 1.3;        // times fewer products than with tiles of 4x4
constexpr Index inputs_bytes = 512 * 1024;  // of transformed inputs
}  // namespace winograd

namespace winograd_line {
constexpr Index inputs_bytes = 640 * 1024;  // of transformed inputs: stay in the second-level cache
constexpr Index point_bytes = 320 * 1024;   // of those of one point, where all are more
constexpr Index all_bytes = 4000 * 1024;    // of all that a thread needs
constexpr Index some_vectors = 3, most_vectors = 12;  // of tiles in a block, if it may be so large
constexpr Index widest = 64;                // the most tiles over which the inputs of one are spread
constexpr Index few_positions = 40;         // of fewer, weights take longer to fetch than to multiply
constexpr double worth_while = 1.15;        // times faster
constexpr double transforms = 8, dealt = 16;  // products that take as long, for every 16 outputs; with dilation
}  // namespace winograd_line

namespace gradients {
constexpr double slab_bytes = 4 << 20;      // of the gradients that are brought at a time: stay in the third cache
constexpr Index depth = 512;                // products of a sum at a time
constexpr Index pixels = 256;               // of a chunk
constexpr Index most_panels = 5;            // of what they meet, which stay in the second-level cache
constexpr Index tasks = 32;                 // wanted, for threads to share
constexpr Index few_pixels = 512;           // of all images: packing weights takes longer than reading them where they lie
constexpr Index long_row = 48;              // pixels of an image, enough for a tile
constexpr Index long_run = 512;             // pixels, which are no fewer products of a sum than `pixels` by much
constexpr Index least_inputs = 128;         // channels for which it is worth while to fill panels once more
constexpr Index most_sums = 16 << 20;       // bytes of sums that wait for being added up
constexpr Index panel_bytes = 128 << 10;    // of a depthwise layer's gradients: stay in the second-level cache
constexpr Index row_part = 64;              // pixels of a row, for all of whose taps the gradients stay in the first cache
constexpr Index copied = 16384, packed = 64; // numbers and taps that are transposed at a time: stay in the first cache
}  // namespace gradients

namespace norm {
// Numbers whose moments are taken together: of neighbours so many that they stay in the first cache; of columns so many
// rows that sums stay short and what is done once per column costs little.
constexpr Index chunk_size = 4096, most_rows = 256, block_size = 65536;
// Groups that a task brings together, and chunks that it works on where a group has many.
constexpr Index groups_of_task = 64, chunks_of_task = 16;
// Multiplications that take as long as an element does, with its way through the memory.
constexpr double work_of_element = 32;
}  // namespace norm

namespace threads {
// Multiplications: waking a worker takes some ten microseconds, handing work to one that looks out about one; smaller work
// stays on the calling thread.
constexpr double worth_waking = 5e5, worth_handing_over = 2e5;
}  // namespace threads

}  // namespace tconv::tuning
