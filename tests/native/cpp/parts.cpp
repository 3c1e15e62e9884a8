// Phases, panels, places and chunks, each by itself, on drawn layers: what a tile finds at a place is what the relation says.
#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "dispatch.hpp"
#include "panels.hpp"
#include "phases.hpp"
#include "places.hpp"
#include "ways/brought.hpp"
#include "ways/cell_chunks.hpp"
#include "ways/cell_tiles.hpp"

using namespace tconv;

namespace {

using Size = std::vector<Index>;

int wrong = 0;

void expect(bool holds, const char* what, unsigned seed) {
    if (holds) return;
    ++wrong;
    std::printf("%s, layer %u\n", what, seed);
}

struct Drawn {
    std::vector<Axis> axes;
    Size in, out, x_shape, x_strides, y_shape, y_strides;
};

Size dense(const Size& shape) {
    Size strides(shape.size());
    Index step = 1;
    for (std::size_t a = shape.size(); a-- > 0; step *= shape[a]) strides[a] = step;
    return strides;
}

Drawn drawn(unsigned seed, Index images) {
    std::minstd_rand random(seed + 1);
    const auto number = [&](Index low, Index high) { return low + static_cast<Index>(random() % static_cast<unsigned>(high - low + 1)); };
    Drawn layer;
    const Index dims = number(1, 3);
    for (Index a = 0; a < dims; ++a) {
        const Axis axis{number(1, 5), number(1, 4), number(1, 3), number(-2, 3)};
        const Index in = number(1, dims == 1 ? 60 : 7), full = axis.stride * (in - 1) + axis.dilation * (axis.kernel - 1) + 1;
        layer.axes.push_back(axis);
        layer.in.push_back(in);
        layer.out.push_back(std::max<Index>(1, full - axis.crop_lo - number(-2, 2)));
    }
    layer.x_shape = {images, 1}, layer.y_shape = {images, 1};
    layer.x_shape.insert(layer.x_shape.end(), layer.in.begin(), layer.in.end());
    layer.y_shape.insert(layer.y_shape.end(), layer.out.begin(), layer.out.end());
    layer.x_strides = dense(layer.x_shape), layer.y_strides = dense(layer.y_shape);
    return layer;
}

// The index on each axis, of an element of a dense array of these sizes.
Size unflattened(Index flat, const Size& size) {
    Size index(size.size());
    for (std::size_t a = size.size(); a-- > 0; flat /= size[a]) index[a] = flat % size[a];
    return index;
}

// Each tap is in one phase, whose offset and residue it has; phases that are computed together read alike.
void try_phases(unsigned seed) {
    const Drawn layer = drawn(seed, 1);
    Index taps = 1;
    for (const Axis& axis : layer.axes) taps *= axis.kernel;
    for (const Grouping grouping : {Grouping::all, Grouping::single, Grouping::alike})
        for (const Origin origin : {Origin::canvas, Origin::output}) {
            std::multiset<Index> met;
            for (const PhaseGroup& group : group_phases(layer.axes, grouping, origin))
                for (Index phase = 0; phase < group.phases(); ++phase) {
                    const auto& own = group.taps[static_cast<std::size_t>(phase)];
                    if (grouping != Grouping::all) expect(own.size() == group.taps.front().size(), "phases read alike", seed);
                    for (const Tap& tap : own) {
                        met.insert(tap.weight);
                        Index rest = tap.weight;
                        for (std::size_t a = layer.axes.size(); a-- > 0; rest /= layer.axes[a].kernel) {
                            const Axis& axis = layer.axes[a];
                            const Index last = a + 1 == layer.axes.size() ? phase : 0;
                            const Index reached = axis.stride * tap.offset[a] + group.residue[a] + last;
                            const Index crop = origin == Origin::output ? axis.crop_lo : 0;
                            expect(reached == axis.dilation * (rest % axis.kernel) - crop, "a tap's offset", seed);
                        }
                    }
                }
            expect(static_cast<Index>(met.size()) == taps, "every tap", seed);
            expect(static_cast<Index>(std::set<Index>(met.begin(), met.end()).size()) == taps, "each tap once", seed);
        }
}

// A panel holds, at the distance of a shift from a cell, the input there; and strips meet every output once.
void try_panels(unsigned seed) {
    const Drawn layer = drawn(seed, 1);
    const Origin origin = seed % 2 ? Origin::canvas : Origin::output;
    const std::size_t last = layer.axes.size() - 1;
    const Index rooms[] = {1, 40, 1000};
    const Index vectors = 1 + seed / 9 % 2;
    const Index reach = (layer.axes[last].kernel - 1) * layer.axes[last].dilation / layer.axes[last].stride;
    const bool joined = seed / 18 % 2 && reach < 4;
    PanelNeeds needs{counted_from(origin, layer.axes), {}, {}, layer.axes[last].stride, 1, 1, 4, vectors, seed / 36 % 2 * 0.5, joined};
    const PanelRoom room{rooms[seed % 3], rooms[seed / 3 % 3]};
    for (const PhaseGroup& group : group_phases(layer.axes, Grouping::all, origin)) {
        needs.residues.push_back({group.residue.begin(), group.residue.end() - 1});
        for (const auto& taps : group.taps)
            for (const Tap& tap : taps) {
                needs.shifts.emplace_back();
                for (const Index offset : tap.offset) needs.shifts.back().push_back(-offset);
            }
    }
    const Panels panels(needs, room, layer.x_shape, layer.x_strides, layer.y_shape, layer.y_strides);
    std::map<Index, int> outputs;  // by place, how often
    Unit unit;
    for (Index number = 0; number < panels.units(); ++number) {
        panels.locate(unit, number);
        Size panel(static_cast<std::size_t>(panels.size() + needs.lanes), -2);  // inputs are told by their places
        for (const Piece& piece : unit.pieces)
            for (Index j = 0; j < piece.count; ++j)
                panel[static_cast<std::size_t>(piece.lane + j)] = piece.source == Piece::nothing ? -1 : piece.source + j;
        for (std::size_t t = 0; t < unit.tiles.size(); ++t)
            for (std::size_t group = 0; group < needs.residues.size(); ++group)
                for (const Strip& strip : unit.tiles[t].strips[group])
                    for (Index j = strip.low; j < strip.high; ++j) {
                        ++outputs[strip.y + j];
                        const Size o = unflattened(strip.y + j, layer.out);
                        const Index lane = unit.tiles[t].lane + strip.lane + j / needs.phases;
                        for (const auto& shift : needs.shifts) {
                            Index expected = 0;
                            for (std::size_t a = 0; a <= last; ++a) {
                                const Axis& axis = needs.axes[a];
                                const Index residue = a == last ? j % needs.phases : needs.residues[group][a];
                                const Index i = (o[a] + axis.crop_lo - residue) / axis.stride + shift[a];
                                expected = expected < 0 || i < 0 || i >= layer.in[a] ? -1 : expected * layer.in[a] + i;
                            }
                            const Index found = panel[static_cast<std::size_t>(lane + panels.distance(shift))];
                            expect(found == expected, "a panel's input", seed);
                        }
                    }
    }
    Index reached = 1;  // outputs on axes before the last whose residue has a tap
    for (std::size_t a = 0; a <= last; ++a) {
        std::set<Index> residues;
        for (Index k = 0; k < layer.axes[a].kernel; ++k) residues.insert(layer.axes[a].dilation * k % layer.axes[a].stride);
        Index count = 0;
        for (Index o = 0; o < layer.out[a]; ++o) {
            const Index from = o + layer.axes[a].crop_lo, stride = layer.axes[a].stride;
            count += a == last || residues.count(((from % stride) + stride) % stride) > 0;
        }
        reached *= count;
    }
    expect(static_cast<Index>(outputs.size()) == reached, "every output of a panel", seed);
    for (const auto& [place, times] : outputs) expect(times == 1, "each output once", seed);
}

// Where the outputs of a cell lie, and whether all its phases lie in the window.
struct Place {
    Index y, o;
    bool whole;
};

Place place_of(const Places& places, Index cell) {
    for (const OutputRun& run : places.outputs)
        if (cell < run.end) return {run.y_of(cell), run.o_of(cell), run.low <= cell && cell < run.high};
    return {};
}

// Cells read where the relation says, leave out only taps without an input, and write each output of their group once.
void try_places(unsigned seed) {
    const Index images = seed % 3 == 0 ? tuning::cells::many_images + 1 : 2;
    const bool brings = seed % 2 == 1, in_spans = seed % 4 < 2;
    const Drawn layer = drawn(seed, images);
    const View<const float> x{nullptr, layer.x_shape, layer.x_strides};
    const View<float> y{nullptr, layer.y_shape, layer.y_strides};
    const Walk walk(x, y, brings);
    const std::size_t last = layer.axes.size() - 1;
    constexpr Index tile_rows = 3;
    Index image_outputs = 1;
    for (const Index n : layer.out) image_outputs *= n;
    for (const PhaseGroup& group : group_phases(layer.axes, seed % 5 ? Grouping::alike : Grouping::single)) {
        const Cells cells = cells_of(layer.axes, group, layer.out);
        std::set<std::pair<Index, Index>> met;
        for (Index begin = 0; begin < cells.total * images; begin += 7) {
            const Index end = std::min(begin + 7, cells.total * images);
            Places places;
            places.locate(walk, layer.axes, group, cells, begin, end, tile_rows, in_spans);
            std::size_t tap_at = 0, input_at = 0;
            for (Index cell = begin, tile = 0; cell < end; cell += tile_rows, ++tile) {
                const Index rows = std::min(tile_rows, end - cell);
                for (Index used = 0; used < places.used[static_cast<std::size_t>(tile)]; ++used, ++tap_at) {
                    const Tap& tap = group.taps.front()[static_cast<std::size_t>(places.number[tap_at])];
                    const Span span = in_spans ? places.spans[tap_at] : Span{0, 0};
                    Size wanted;
                    for (Index r = 0; r < rows; ++r) {
                        const Place at = place_of(places, cell + r - begin);
                        const Index image = at.y / image_outputs;
                        Size o = unflattened(at.y - image * image_outputs, layer.out);
                        o[last] = at.o;
                        Index expected = image;
                        for (std::size_t a = 0; a <= last; ++a) {
                            const Index residue = group.residue[a];
                            const Index i = floor_div(o[a] + layer.axes[a].crop_lo - residue, layer.axes[a].stride) - tap.offset[a];
                            expected = expected < 0 || i < 0 || i >= layer.in[a] ? -1 : expected * layer.in[a] + i;
                        }
                        wanted.push_back(expected < 0 ? Places::nothing : expected);
                        Index found = places.inputs[input_at + (span.high == 0 ? static_cast<std::size_t>(r) : 0)];
                        if (span.high > 0) found = span.low <= r && r < span.high ? found + r * places.step : Places::nothing;
                        expect(found == wanted.back(), "a cell's input", seed);
                    }
                    bool spaced = in_spans;
                    for (std::size_t r = 0; r < wanted.size(); ++r)
                        spaced = spaced && wanted[r] != Places::nothing && wanted[r] == wanted[0] + static_cast<Index>(r) * places.step;
                    expect(!spaced || span.high > 0, "what is evenly spaced is a span", seed);
                    expect(wanted != Size(wanted.size(), Places::nothing), "no tap without an input", seed);
                    input_at += span.high == 0 ? static_cast<std::size_t>(rows) : 1;
                }
                for (Index r = 0; r < rows; ++r) {
                    const Place at = place_of(places, cell + r - begin);
                    expect(met.insert({at.y, at.o}).second, "each cell once", seed);
                    expect(at.whole == (at.o >= 0 && at.o + group.phases() <= layer.out[last]), "whether a cell lies inside", seed);
                }
            }
            expect(places.inputs.size() == input_at && places.number.size() == tap_at, "no place too many", seed);
        }
        expect(static_cast<Index>(met.size()) == cells.total * images, "every cell", seed);
    }
}

// With zeros around the images, the cells of a row find their inputs next to one another: those of the relation, or zeros.
void try_padded(unsigned seed) {
    constexpr Index images = 2, tile_rows = 4, row = 3;
    const Drawn layer = drawn(seed, images);
    Index pixels = images;
    for (const Index n : layer.in) pixels *= n;
    std::vector<float> numbers(static_cast<std::size_t>(pixels));
    std::iota(numbers.begin(), numbers.end(), 1.0f);
    const View<const float> x{numbers.data(), layer.x_shape, layer.x_strides};
    const View<float> y{nullptr, layer.y_shape, layer.y_strides};
    const std::vector<PhaseGroup> groups = group_phases(layer.axes, Grouping::single);
    std::vector<Cells> all;
    for (const PhaseGroup& group : groups) all.push_back(cells_of(layer.axes, group, layer.out));
    Walk walk(x, y, true);
    walk.images_first = false;
    walk.pixel = row;
    const double wanted = pad(walk, groups, all);
    expect(wanted == static_cast<double>(pixels_of(walk.grid)), "as many pixels as it says", seed);
    const std::size_t last = layer.axes.size() - 1;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        Cells cells = all[g];
        if (cells.total == 0) continue;
        cells.total = cells.total / cells.count[last] * walk.grid[last];
        cells.count[last] = walk.grid[last];
        Places places;
        places.locate(walk, layer.axes, groups[g], cells, 0, cells.total * images, tile_rows, false);
        const float* together = brought(walk, kernels_of<float>(portable_backend), x.data, 1, row, places.lowest, places.highest);
        const auto taps = static_cast<Index>(groups[g].taps.front().size());
        for (Index number = 0; number < cells.total * images; ++number) {
            const Index first = number / tile_rows * tile_rows, rows = std::min(tile_rows, cells.total * images - first);
            const Size cell = unflattened(number % cells.total, cells.count);
            const Place at_output = place_of(places, number);
            const bool inside = at_output.o >= 0 && at_output.o < layer.out[last];
            expect(at_output.whole == inside, "where an output is wanted", seed);
            for (Index t = 0; t < taps && inside; ++t) {
                const auto at = static_cast<std::size_t>(taps * first + t * rows + number - first);
                Index expected = number / cells.total;
                for (std::size_t a = 0; a <= last; ++a) {
                    const Index i = cells.first[a] + cell[a] - groups[g].taps.front()[static_cast<std::size_t>(t)].offset[a];
                    expected = expected < 0 || i < 0 || i >= layer.in[a] ? -1 : expected * layer.in[a] + i;
                }
                const float* found = together + places.inputs[at] - places.lowest;
                expect(found[0] == static_cast<float>(expected + 1), "a cell's input or zero", seed);
                expect(found[1] == 0 && found[2] == 0, "zeros behind the channels", seed);
                if (number > first && cell[last] > 0)
                    expect(places.inputs[at] == places.inputs[at - 1] + row, "neighbours' inputs are neighbours", seed);
            }
        }
    }
}

// Chunks of one size hold no more cells than there is room for, but for part of a tile; few are shared evenly by the threads.
void try_chunks(unsigned seed) {
    std::mt19937 rng(seed);
    const auto some = [&](Index most) { return std::uniform_int_distribution<Index>(1, most)(rng); };
    const Index cells = some(40000), rows = some(32), threads = some(8);
    ChunkNeeds needs{4 * some(2048), 4 * some(4096), 4096 * some(8192), 0, some(27), some(3), some(4) == 1};
    for (const Index cache : {Index{0}, Index{1} << 20, Index{2} << 20}) {
        needs.cache = cache;
        const Index room = cells_of_chunk(needs), chunks = count_chunks(needs, cells, rows, threads);
        const Index tiles = ceil_div(ceil_div(cells, rows), chunks);
        expect(room >= 1 && chunks >= 1, "there are chunks", seed);
        expect(tiles == 1 || tiles * rows <= room, "a chunk has room", seed);
        const bool few = chunks > 1 && chunks < tuning::cells::few_chunks * threads;
        if (needs.in_tiles && needs.weights <= cache / 2 && tiles > tuning::cells::few_tiles)
            expect(chunks >= std::min(threads, ceil_div(cells, rows) / tuning::cells::few_tiles), "products in tiles are shared", seed);
        const bool even = chunks % threads == 0 || needs.in_tiles || cells < ceil_div(chunks, threads) * threads * tuning::cells::few_cells;
        expect(!few || even, "threads share chunks evenly", seed);
        if (!needs.in_tiles && needs.input + needs.outputs < 1024 && needs.weights < cache / 2 && cells >= threads * tuning::cells::few_cells)
            expect(chunks >= threads, "weights that stay in the cache are read by every thread", seed);
    }
    needs.groups = 1;
    needs.cache = 0;
    const Index before = cells_of_chunk(needs);
    needs.cache = 4 << 20;
    expect(needs.in_tiles ? cells_of_chunk(needs) == before : cells_of_chunk(needs) >= before, "a large cache holds more", seed);
}

// Passes of tiles hold all taps and channels, in sums that are not too long; cells that no input reaches have no taps.
void try_passes(unsigned seed) {
    const Index taps = seed % 40, elements = 1 + seed * 7 % 600;
    for (const Index deep : {Index{1}, Index{16}}) {
        const TilePasses passes = passes_of<Bf16Pair>(taps, elements, deep);
        expect(passes.tiles >= 1 && passes.slices >= 1 && passes.elements >= deep, "there are passes", seed);
        expect(passes.elements % deep == 0, "whole rows of a tile", seed);
        const Index products = ceil_div(taps, passes.slices) * passes.elements * channels_of<Bf16Pair>;
        expect(products <= longest_sum || passes.elements == deep, "no sum is too long", seed);
    }
}

}  // namespace

int main() {
    constexpr unsigned layers = 300;
    for (unsigned seed = 0; seed < layers; ++seed) {
        try_phases(seed);
        try_panels(seed);
        try_places(seed);
        try_padded(seed);
        try_chunks(seed);
        try_passes(seed);
    }
    std::printf("parts: %s\n", wrong ? "WRONG" : "as the relation says");
    return wrong != 0;
}
