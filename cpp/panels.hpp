// Where the inputs of a block of cells lie in a panel, for arrays of one shape. Lanes run along the last axes of the cells;
// a unit is neighbouring cells for a few tiles. Each unit has a panel of its own, in which the input of every cell for
// every shift lies at a distance that depends on the shift alone: on some axes shifts are distances between lanes, on the
// others each shift has a copy of the inputs.
#pragma once
#include "phases.hpp"
#include "problem.hpp"

namespace tconv {

// What the panels of a layer must serve, whatever the shape.
struct PanelNeeds {
    std::vector<Axis> axes;                    // as cells are counted
    std::vector<std::vector<Index>> shifts;    // input index - cell index, of all taps
    std::vector<std::vector<Index>> residues;  // of each group of phases; on all axes but the last
    Index phases;                              // of the last axis
    Index woven;                               // channels that are woven with the phases into an output row
    double work;                               // multiplications for each cell and input channel
    Index lanes, vectors;                      // of the tiles
    double beside;                             // vectors whose products take as long as what a tile does beside them
    bool joined;                               // lanes are added up with those that shifts along the last axis reach
};

struct PanelRoom {  // elements that a panel may have for one channel,
    Index shared;  // of which several tiles share what lies between the shifts,
    Index dense;   // and where that saves copies
};

struct Unit {
    struct Tile {
        Index lane;  // of the panel, where it begins
        Index vectors;
        std::vector<std::vector<Strip>> strips;  // of each group of phases
    };

    std::vector<Piece> pieces;
    std::vector<Tile> tiles;
    Index source;  // where the array itself is such a panel, so that none is needed; or Piece::nothing
};

class Panels {
   public:
    using Sizes = std::span<const Index>;

    Panels(const PanelNeeds& needs, PanelRoom room, Sizes x_shape, Sizes x_strides, Sizes y_shape, Sizes y_strides);

    Index units() const { return outer_ * chunks_; }  // of an image
    Index tiles() const { return layout_.rows * layout_.tiles; }  // of a unit; the last may have fewer
    Index tile_vectors() const { return tile_vectors_; }  // the last may have fewer
    Index size() const { return size_; }  // elements of a unit's panel for one channel
    Index distance(const std::vector<Index>& shift) const;

    void locate(Unit& unit, Index number) const;

   private:
    // On which axes shifts are distances: on none, on the first along which lanes run, or on all of these. There, the rows
    // of all but the first have lanes behind them for what the shifts reach, at which no outputs are.
    enum class Halo { none, first, all };

    struct Layout {
        std::size_t flat;  // lanes run along the axes from this one on
        Halo halo;
        bool band;     // a unit has several rows of lanes, neighbours on the axis before, where shifts are distances, too
        Index rows;    // of a unit,
        Index tiles;   // and of each of them
        double cost;
    };

    struct Tiling {  // of cells that lie one behind the other
        Index tiles, vectors, cells;  // vectors and cells of each
    };

    Tiling tiled(Index cells) const;
    Layout measured(std::size_t flat, Halo halo, bool band) const;
    void choose();
    bool is_distance(const Layout& layout, std::size_t axis) const;
    Index steps(std::size_t axis) const;
    Index reach(std::size_t axis) const;
    Index overlap() const;
    Index copies(const Layout& layout) const;
    bool lies_as_panel(const Unit& unit) const;
    void locate_pieces(Unit& unit, std::vector<Index>& cell, Index begin, Index end) const;
    void locate_row(Unit& unit, std::vector<Index>& cell, const std::vector<Index>& shift, Index lane, Index begin, Index end) const;
    void locate_strips(Unit::Tile& tile, std::vector<Index>& cell, Index begin, Index end) const;

    template <class Use>
    void rows(std::vector<Index>& cell, Index begin, Index end, Use use) const;

    const PanelNeeds& needs_;
    const PanelRoom room_;
    std::size_t last_;
    std::vector<Index> in_, x_strides_, out_, y_strides_;
    std::vector<Index> first_, count_;            // cells, per axis
    std::vector<std::vector<Index>> shifts_;      // distinct, per axis, ascending
    Layout layout_;
    std::vector<Index> width_, pitch_;            // per axis: lanes of a row; from a cell to the next
    Index images_, plane_, plane_size_, rows_;    // lanes of all cells of a row; of a unit's row in a panel, and such rows
    Index outer_, chunks_, tile_vectors_, tile_cells_, size_;
    Index between_;                               // lanes that the shifts reach behind those of a tile
};

}  // namespace tconv
