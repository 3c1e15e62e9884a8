#include "panels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tuning.hpp"

namespace tconv {
namespace {

std::vector<std::vector<Index>> distinct(const std::vector<std::vector<Index>>& shifts, std::size_t dims) {
    std::vector<std::vector<Index>> found(dims);
    for (std::size_t a = 0; a < dims; ++a) {
        for (const auto& shift : shifts) found[a].push_back(shift[a]);
        std::sort(found[a].begin(), found[a].end());
        found[a].erase(std::unique(found[a].begin(), found[a].end()), found[a].end());
    }
    return found;
}

void append(std::vector<Piece>& pieces, Piece next, Index step) {
    if (next.count <= 0) return;
    if (!pieces.empty()) {
        Piece& last = pieces.back();
        const bool nothing = next.source == Piece::nothing && last.source == Piece::nothing;
        const bool follows = next.source != Piece::nothing && last.source != Piece::nothing &&
                             last.source + last.count * step == next.source;
        if ((nothing || follows) && last.lane + last.count == next.lane) {
            last.count += next.count;
            return;
        }
    }
    pieces.push_back(next);
}

}  // namespace

Panels::Panels(const PanelNeeds& needs, PanelRoom room, Sizes x_shape, Sizes x_strides, Sizes y_shape, Sizes y_strides)
    : needs_(needs),
      room_(room),
      last_(needs.axes.size() - 1),
      in_(x_shape.begin() + 2, x_shape.end()),
      x_strides_(x_strides.begin() + 2, x_strides.end()),
      out_(y_shape.begin() + 2, y_shape.end()),
      y_strides_(y_strides.begin() + 2, y_strides.end()),
      shifts_(distinct(needs.shifts, needs.axes.size())),
      images_(x_shape[0]) {
    for (std::size_t a = 0; a <= last_; ++a) {
        const Axis& axis = needs.axes[a];
        first_.push_back(floor_div(axis.crop_lo, axis.stride));
        count_.push_back(floor_div(out_[a] - 1 + axis.crop_lo, axis.stride) - first_.back() + 1);
    }
    choose();
    const std::size_t flat = layout_.flat;
    width_ = count_;
    pitch_.assign(last_ + 1, 1);
    for (std::size_t a = last_ + 1; a-- > flat;) {
        if (a < last_) pitch_[a] = width_[a + 1] * pitch_[a + 1];
        if (a > flat && layout_.halo == Halo::all) width_[a] += reach(a);
    }
    plane_ = 1;
    between_ = 0;
    outer_ = 1;
    for (std::size_t a = 0; a <= last_; ++a) {
        if (a < flat) {
            outer_ *= steps(a);
            continue;
        }
        plane_ += (count_[a] - 1) * pitch_[a];
        if (is_distance(layout_, a)) between_ += reach(a) * pitch_[a];
    }
    const Tiling all = tiled(plane_);
    tile_vectors_ = all.vectors;
    tile_cells_ = all.cells;
    chunks_ = ceil_div(all.tiles, layout_.tiles);
    plane_size_ = std::min(layout_.tiles * tile_cells_, plane_) + between_;
    rows_ = 1;
    if (layout_.band) {
        rows_ = layout_.rows + reach(flat - 1);
        pitch_[flat - 1] = plane_size_;
    }
    // An odd number of cache lines, so that channels do not compete for the same sets of the cache.
    const Index line = 64 / 4;
    size_ = ceil_div(copies(layout_) * rows_ * plane_size_ + needs.lanes, line) * line;
    if (size_ / line % 2 == 0) size_ += line;
}

// Units along an axis before those of the lanes.
Index Panels::steps(std::size_t axis) const {
    return axis + 1 == layout_.flat ? ceil_div(count_[axis], layout_.rows) : count_[axis];
}

Index Panels::reach(std::size_t axis) const { return shifts_[axis].back() - shifts_[axis].front(); }

// Lanes of a tile that only its other lanes are added up with.
Index Panels::overlap() const { return needs_.joined ? reach(last_) : 0; }

// As many tiles as needed, all alike.
Panels::Tiling Panels::tiled(Index cells) const {
    const Index tiles = ceil_div(cells, needs_.vectors * needs_.lanes - overlap());
    const Index vectors = ceil_div(ceil_div(cells, tiles) + overlap(), needs_.lanes);
    return {tiles, vectors, vectors * needs_.lanes - overlap()};
}

bool Panels::is_distance(const Layout& layout, std::size_t axis) const {
    if (axis < layout.flat) return layout.band && axis + 1 == layout.flat;
    return layout.halo == Halo::all || (layout.halo == Halo::first && axis == layout.flat);
}

Index Panels::copies(const Layout& layout) const {
    Index product = 1;
    for (std::size_t a = 0; a <= last_; ++a)
        if (!is_distance(layout, a)) product *= static_cast<Index>(shifts_[a].size());
    return product;
}

// In multiplications of a vector, by a rough model: an element copied costs a load and a store, and each row of them
// some more. Several tiles share what lies between the shifts, as long as there is room and enough is left to share out.
// What is not chosen may be larger than 64 bits can count.
Panels::Layout Panels::measured(std::size_t flat, Halo halo, bool band) const {
    Layout layout{flat, halo, band, 1, 1, std::numeric_limits<double>::infinity()};
    if (needs_.joined && !is_distance(layout, last_)) return layout;
    double plane = 1, between = 0, pitch = 1, outer = 1;
    for (std::size_t a = last_ + 1; a-- > 0;) {
        const auto count = static_cast<double>(count_[a]), reached = static_cast<double>(reach(a));
        if (a < flat) {
            outer *= count;
            continue;
        }
        plane += (count - 1) * pitch;
        if (is_distance(layout, a)) between += reached * pitch;
        pitch *= halo == Halo::all ? count + reached : count;
    }
    if (constexpr double countable = 1e15; plane > countable || between > countable) return layout;
    const auto [tiles, vectors, cells] = tiled(static_cast<Index>(plane));
    const auto lanes = static_cast<double>(cells);
    const auto room = static_cast<double>((band || halo == Halo::all ? room_.dense : room_.shared) / copies(layout));
    const double units = static_cast<double>(images_) * outer * static_cast<double>(tiles) / tuning::pixels::least_units;
    const auto as_many = [&](double fitting, Index all) {
        return static_cast<Index>(std::clamp(std::min(fitting, units), 1.0, static_cast<double>(all)));
    };
    double rows = outer;  // that are copied
    if (band) {
        // A tile is of one row: a short one has too few sums for what it loads.
        if (4 * vectors < 3 * needs_.vectors) return layout;
        const Index all = count_[flat - 1], reached = reach(flat - 1);
        layout.rows = as_many(room / (lanes + between) - static_cast<double>(reached), all);
        if (layout.rows == 1) return layout;
        const Index bands = ceil_div(all, layout.rows);
        layout.rows = ceil_div(all, bands);  // all alike
        rows *= static_cast<double>(bands) * static_cast<double>(layout.rows + reached) / static_cast<double>(all);
    } else {
        layout.tiles = as_many((room - between) / lanes, tiles);
    }
    const auto chunks = static_cast<double>(ceil_div(tiles, layout.tiles));
    const double copied = rows * static_cast<double>(copies(layout)) * (plane + chunks * between);
    const double row = flat == last_ ? std::min(plane, static_cast<double>(layout.tiles) * lanes) : static_cast<double>(count_[last_]);
    layout.cost = outer * static_cast<double>(tiles) * (static_cast<double>(vectors) + needs_.beside) * needs_.work +
                  copied * (tuning::pixels::copied_element / static_cast<double>(needs_.lanes) + tuning::pixels::copied_row / row);
    return layout;
}

void Panels::choose() {
    layout_ = measured(last_, Halo::first, false);
    for (std::size_t flat = 0; flat <= last_; ++flat)
        for (const Halo halo : {Halo::first, Halo::none, Halo::all})
            for (const bool band : {false, true}) {
                if ((band && flat == 0) || (halo == Halo::all && flat == last_)) continue;
                if (const Layout next = measured(flat, halo, band); next.cost < layout_.cost) layout_ = next;
            }
}

Index Panels::distance(const std::vector<Index>& shift) const {
    Index copy = 0, along = 0;
    for (std::size_t a = 0; a <= last_; ++a) {
        if (is_distance(layout_, a)) {
            along += (shift[a] - shifts_[a].front()) * pitch_[a];
            continue;
        }
        const auto at = std::lower_bound(shifts_[a].begin(), shifts_[a].end(), shift[a]) - shifts_[a].begin();
        copy = copy * static_cast<Index>(shifts_[a].size()) + at;
    }
    return copy * rows_ * plane_size_ + along;
}

// Call use(lane, count) for the runs along the last axis of the lanes begin..end, with `cell` set to the first of each; it
// may lie outside, behind a row or behind all of them.
template <class Use>
void Panels::rows(std::vector<Index>& cell, Index begin, Index end, Use use) const {
    if (layout_.flat == last_) {
        cell[last_] = begin;
        return use(Index{0}, end - begin);
    }
    for (Index lane = begin; lane < end;) {
        cell[last_] = lane % width_[last_];
        Index rest = lane / width_[last_];
        for (std::size_t a = last_ - 1; a > layout_.flat; --a) {
            cell[a] = rest % width_[a];
            rest /= width_[a];
        }
        cell[layout_.flat] = rest;
        const Index count = std::min(end - lane, width_[last_] - cell[last_]);
        use(lane - begin, count);
        lane += count;
    }
}

void Panels::locate(Unit& unit, Index number) const {
    const Index begin = number % chunks_ * layout_.tiles * tile_cells_;
    const Index end = std::min(begin + layout_.tiles * tile_cells_, plane_), tiles = ceil_div(end - begin, tile_cells_);
    std::vector<Index> cell(last_ + 1);
    Index rest = number / chunks_, rows = 1;
    for (std::size_t a = layout_.flat; a-- > 0; rest /= steps(a)) cell[a] = rest % steps(a);
    if (layout_.band) {
        Index& row = cell[layout_.flat - 1];
        row *= layout_.rows;
        rows = std::min(layout_.rows, count_[layout_.flat - 1] - row);
    }
    locate_pieces(unit, cell, begin, end);
    unit.source = lies_as_panel(unit) ? unit.pieces.front().source : Piece::nothing;
    unit.tiles.resize(static_cast<std::size_t>(rows * tiles));
    for (Index row = 0; row < rows; ++row) {
        for (Index t = 0; t < tiles; ++t) {
            Unit::Tile& tile = unit.tiles[static_cast<std::size_t>(row * tiles + t)];
            const Index from = begin + t * tile_cells_, until = std::min(from + tile_cells_, end);
            tile.lane = row * plane_size_ + t * tile_cells_;
            tile.vectors = ceil_div(until - from + overlap(), needs_.lanes);
            locate_strips(tile, cell, from, until);
        }
        if (layout_.band) ++cell[layout_.flat - 1];
    }
}

// Whole vectors are read, so that what lies behind the inputs must be the array's, too.
bool Panels::lies_as_panel(const Unit& unit) const {
    if (x_strides_[last_] != 1 || unit.pieces.size() != 1 || unit.pieces.front().source == Piece::nothing) return false;
    Index highest = 0;
    for (std::size_t a = 0; a <= last_; ++a) highest += std::max<Index>(0, (in_[a] - 1) * x_strides_[a]);
    return unit.pieces.front().source + unit.pieces.front().count + needs_.lanes <= highest + 1;
}

void Panels::locate_pieces(Unit& unit, std::vector<Index>& cell, Index begin, Index end) const {
    unit.pieces.clear();
    std::vector<Index> shift(last_ + 1);
    const Index count = copies(layout_);
    for (Index copy = 0; copy < count; ++copy) {
        Index rest = copy;
        for (std::size_t a = last_ + 1; a-- > 0;) {
            shift[a] = shifts_[a].front();
            if (is_distance(layout_, a)) continue;
            const auto several = static_cast<Index>(shifts_[a].size());
            shift[a] = shifts_[a][static_cast<std::size_t>(rest % several)];
            rest /= several;
        }
        const Index first_row = layout_.band ? cell[layout_.flat - 1] : 0;
        for (Index row = 0; row < rows_; ++row) {
            if (layout_.band) cell[layout_.flat - 1] = first_row + row;
            locate_row(unit, cell, shift, (copy * rows_ + row) * plane_size_, begin, end + between_);
        }
        if (layout_.band) cell[layout_.flat - 1] = first_row;
    }
}

// The inputs of the lanes begin..end of a row, for one shift, from `lane` of the panel on.
void Panels::locate_row(Unit& unit, std::vector<Index>& cell, const std::vector<Index>& shift, Index lane, Index begin, Index end) const {
    rows(cell, begin, end, [&](Index behind, Index run) {
        const Index i = first_[last_] + cell[last_] + shift[last_], at = lane + behind;
        const Index low = std::clamp<Index>(-i, 0, run), high = std::clamp(in_[last_] - i, low, run);
        Index source = (i + low) * x_strides_[last_];
        bool inside = low < high;
        for (std::size_t a = 0; a < last_; ++a) {
            const Index from = first_[a] + cell[a] + shift[a];
            inside = inside && from >= 0 && from < in_[a];
            source += from * x_strides_[a];
        }
        if (!inside) return append(unit.pieces, {at, run, Piece::nothing}, 0);
        append(unit.pieces, {at, low, Piece::nothing}, 0);
        append(unit.pieces, {at + low, high - low, source}, x_strides_[last_]);
        append(unit.pieces, {at + high, run - high, Piece::nothing}, 0);
    });
}

void Panels::locate_strips(Unit::Tile& tile, std::vector<Index>& cell, Index begin, Index end) const {
    const Axis& along = needs_.axes[last_];
    tile.strips.resize(needs_.residues.size());
    for (auto& strips : tile.strips) strips.clear();
    rows(cell, begin, end, [&](Index lane, Index run) {
        const Index o = along.stride * (first_[last_] + cell[last_]) - along.crop_lo;
        const Index low = std::clamp<Index>(-o, 0, run * needs_.phases);
        const Index high = std::clamp(out_[last_] - o, low, run * needs_.phases);
        for (std::size_t group = 0; group < needs_.residues.size() && low < high; ++group) {
            Index y = o * y_strides_[last_];
            bool shown = true;
            for (std::size_t a = 0; a < last_; ++a) {
                const Axis& axis = needs_.axes[a];
                const Index at = axis.stride * (first_[a] + cell[a]) + needs_.residues[group][a] - axis.crop_lo;
                shown = shown && at >= 0 && at < out_[a];
                y += at * y_strides_[a];
            }
            if (shown) tile.strips[group].push_back({lane, y, low * needs_.woven, high * needs_.woven});
        }
    });
}

}  // namespace tconv
