#include "panels.hpp"

#include <algorithm>

#include "tuning.hpp"

namespace tconv {
namespace {

Index floor_mod(Index a, Index b) { return a - floor_div(a, b) * b; }

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

Panels::Panels(const PanelNeeds& needs, Sizes x_shape, Sizes x_strides, Sizes y_shape, Sizes y_strides)
    : needs_(needs),
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
    plane_ = cells(flat, last_ + 1);
    outer_ = cells(0, flat);
    pitch_ = cells(flat + 1, last_ + 1);
    const Index vectors = ceil_div(plane_, needs.lanes), tiles = ceil_div(vectors, needs.vectors);
    tile_vectors_ = ceil_div(vectors, tiles);
    chunks_ = ceil_div(tiles, layout_.tiles);
    plane_size_ = std::min(layout_.tiles * tile_vectors_ * needs.lanes, plane_) + (layout_.halo ? reach(flat) * pitch_ : 0);
    // An odd number of cache lines, so that channels do not compete for the same sets of the cache.
    const Index line = 64 / 4;
    size_ = ceil_div(copies(layout_) * plane_size_ + needs.lanes, line) * line;
    if (size_ / line % 2 == 0) size_ += line;
}

Index Panels::reach(std::size_t axis) const { return shifts_[axis].back() - shifts_[axis].front(); }

Index Panels::cells(std::size_t from, std::size_t to) const {
    Index product = 1;
    for (std::size_t a = from; a < to; ++a) product *= count_[a];
    return product;
}

Index Panels::copies(const Layout& layout) const {
    Index product = 1;
    for (std::size_t a = 0; a <= last_; ++a)
        if (!layout.halo || a != layout.flat) product *= static_cast<Index>(shifts_[a].size());
    return product;
}

// In multiplications of a vector, by a rough model: an element copied costs a load and a store, and each row of them
// some more. Several tiles share what lies between the shifts, as long as there is room and enough is left to share out.
Panels::Layout Panels::measured(std::size_t flat, bool halo) const {
    Layout layout{flat, halo, 1, 0};
    const Index plane = cells(flat, last_ + 1), outer = cells(0, flat);
    const Index vectors = ceil_div(plane, needs_.lanes), tiles = ceil_div(vectors, needs_.vectors);
    // What is not chosen may be larger than 64 bits can count.
    const double between = halo ? static_cast<double>(reach(flat)) * static_cast<double>(cells(flat + 1, last_ + 1)) : 0;
    const Index lanes = ceil_div(vectors, tiles) * needs_.lanes;
    const double fitting = (static_cast<double>(needs_.room / copies(layout)) - between) / static_cast<double>(lanes);
    const Index enough = std::clamp<Index>(images_ * outer * tiles / tuning::pixels::least_units, 1, tiles);
    layout.tiles = fitting < static_cast<double>(enough) ? std::max<Index>(1, static_cast<Index>(std::max(fitting, 1.0))) : enough;
    const Index chunks = ceil_div(tiles, layout.tiles);
    const double copied = static_cast<double>(outer) * static_cast<double>(copies(layout)) *
                          (static_cast<double>(plane) + static_cast<double>(chunks) * between);
    const double row = static_cast<double>(flat == last_ ? std::min(plane, layout.tiles * lanes) : count_[last_]);
    layout.cost = static_cast<double>(outer * vectors) * needs_.work +
                  copied * (tuning::pixels::copied_element / static_cast<double>(needs_.lanes) + tuning::pixels::copied_row / row);
    return layout;
}

void Panels::choose() {
    layout_ = measured(last_, true);
    for (std::size_t flat = 0; flat <= last_; ++flat)
        for (const bool halo : {true, false})
            if (const Layout next = measured(flat, halo); next.cost < layout_.cost) layout_ = next;
}

Index Panels::distance(const std::vector<Index>& shift) const {
    Index copy = 0, along = 0;
    for (std::size_t a = 0; a <= last_; ++a) {
        if (layout_.halo && a == layout_.flat) {
            along = (shift[a] - shifts_[a].front()) * pitch_;
            continue;
        }
        const auto at = std::lower_bound(shifts_[a].begin(), shifts_[a].end(), shift[a]) - shifts_[a].begin();
        copy = copy * static_cast<Index>(shifts_[a].size()) + at;
    }
    return copy * plane_size_ + along;
}

// Call use(lane, count) for the runs along the last axis of the lanes begin..end, with `cell` set to the first of each;
// on the first flat axis it may lie outside.
template <class Use>
void Panels::rows(std::vector<Index>& cell, Index begin, Index end, Use use) const {
    if (layout_.flat == last_) {
        cell[last_] = begin;
        return use(Index{0}, end - begin);
    }
    for (Index lane = begin; lane < end;) {
        cell[last_] = floor_mod(lane, count_[last_]);
        Index rest = floor_div(lane, count_[last_]);
        for (std::size_t a = last_ - 1; a > layout_.flat; --a) {
            cell[a] = floor_mod(rest, count_[a]);
            rest = floor_div(rest, count_[a]);
        }
        cell[layout_.flat] = rest;
        const Index count = std::min(end - lane, count_[last_] - cell[last_]);
        use(lane - begin, count);
        lane += count;
    }
}

void Panels::locate(Unit& unit, Index number) const {
    const Index width = tile_vectors_ * needs_.lanes, begin = number % chunks_ * layout_.tiles * width;
    const Index end = std::min(begin + layout_.tiles * width, plane_);
    std::vector<Index> cell(last_ + 1);
    Index rest = number / chunks_;
    for (std::size_t a = layout_.flat; a-- > 0; rest /= count_[a]) cell[a] = rest % count_[a];
    locate_pieces(unit, cell, begin, end);
    unit.tiles.resize(static_cast<std::size_t>(ceil_div(end - begin, width)));
    for (std::size_t t = 0; t < unit.tiles.size(); ++t) {
        const Index from = begin + static_cast<Index>(t) * width, until = std::min(from + width, end);
        unit.tiles[t].vectors = ceil_div(until - from, needs_.lanes);
        locate_strips(unit.tiles[t], cell, from, until);
    }
}

void Panels::locate_pieces(Unit& unit, std::vector<Index>& cell, Index begin, Index end) const {
    unit.pieces.clear();
    const std::size_t flat = layout_.flat;
    const Index lowest = layout_.halo ? shifts_[flat].front() * pitch_ : 0;
    const Index highest = layout_.halo ? shifts_[flat].back() * pitch_ : 0;
    std::vector<Index> shift(last_ + 1);
    const Index count = copies(layout_);
    for (Index copy = 0; copy < count; ++copy) {
        Index rest = copy;
        for (std::size_t a = last_ + 1; a-- > 0;) {
            if (layout_.halo && a == flat) continue;
            const auto several = static_cast<Index>(shifts_[a].size());
            shift[a] = shifts_[a][static_cast<std::size_t>(rest % several)];
            rest /= several;
        }
        rows(cell, begin + lowest, end + highest, [&](Index lane, Index run) {
            const Index i = first_[last_] + cell[last_] + shift[last_];
            const Index low = std::clamp<Index>(-i, 0, run), high = std::clamp(in_[last_] - i, low, run);
            Index source = (i + low) * x_strides_[last_];
            bool inside = low < high;
            for (std::size_t a = 0; a < last_; ++a) {
                const Index from = first_[a] + cell[a] + shift[a];
                inside = inside && from >= 0 && from < in_[a];
                source += from * x_strides_[a];
            }
            const Index at = copy * plane_size_ + lane;
            if (!inside) return append(unit.pieces, {at, run, Piece::nothing}, 0);
            append(unit.pieces, {at, low, Piece::nothing}, 0);
            append(unit.pieces, {at + low, high - low, source}, x_strides_[last_]);
            append(unit.pieces, {at + high, run - high, Piece::nothing}, 0);
        });
    }
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
