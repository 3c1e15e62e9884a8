// Phases: the outputs whose indices leave the same remainder use the same few taps. Cell q has one output of each phase,
// which reads the inputs q - offset. So no zero is inserted and none is multiplied.
#pragma once
#include "problem.hpp"

namespace tconv {

struct Tap {
    std::vector<Index> offset;  // per axis
    Index weight;               // flat index in the kernel
};

// Phases that are computed together: one residue on every axis but the last, and neighbouring residues there.
struct PhaseGroup {
    std::vector<Index> residue;          // per axis; on the last, of the first phase
    std::vector<std::vector<Tap>> taps;  // of each phase

    Index phases() const { return static_cast<Index>(taps.size()); }
};

enum class Grouping {
    all,     // every residue of the last axis, those without taps included
    single,  // one phase a group
    alike,   // neighbours that read the same inputs
};

// Where cell 0 begins: at canvas index 0, so that most phases read the same inputs, or at output 0, so that a cell has no
// output before the window.
enum class Origin { canvas, output };

// The axes as `group_phases` counts their cells: o = stride*q + residue - crop_lo.
std::vector<Axis> counted_from(Origin origin, std::vector<Axis> axes);

std::vector<PhaseGroup> group_phases(const std::vector<Axis>& axes, Grouping grouping, Origin origin = Origin::canvas);

// Whether some residue has no tap, so that outputs exist which `single` and `alike` groups (or, on the axes before the
// last, any groups) do not compute: they hold the bias.
bool has_holes(const Axis& axis);

// The cells of a group that have an output inside the window: per axis the first cell and how many.
struct Cells {
    std::vector<Index> first, count;
    Index total = 1;
};

Cells cells_of(const std::vector<Axis>& axes, const PhaseGroup& group, const std::vector<Index>& out_size);

}  // namespace tconv
