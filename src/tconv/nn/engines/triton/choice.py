"""How a task is cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass

WAYS = ("cells", "few", "depthwise", "pytorch")
STORES = ("columns", "rows", "pair")


@dataclass(frozen=True, slots=True)
class Choice:
    """How a task is computed.

    Attributes:
        way: "cells", "few" (cells in patches, read through the first-level cache), "depthwise" (no matrix product), or
            "pytorch": its own operator was measured to be faster.
        cells: cells of a tile; a power of two.
        columns: outputs of a cell in a tile, phases times channels; of "depthwise", channels. A power of two.
        depth: input channels that are multiplied at a time; a power of two.
        warps: of a block.
        stages: tiles in flight.
        group: tiles of cells that follow one another while the tile of columns stays.
        split: parts into which the sum over taps and channels is cut, added up in their order by a second kernel.
        together: all phases of a cell in the columns, on axes where the kernel is a multiple of the stride; otherwise
            and elsewhere each phase is computed by blocks of its own.
        padded: where `together`, also on axes where the kernel is no multiple of the stride: phases that lack a tap
            leave it out of their sums after it was multiplied.
        store: "columns" (channels are neighbours in memory), "rows" (cells are), or "pair" (cells are, and the two
            phases of the last axis, computed one after the other, are woven together).
        patch: cells of a tile along the last axis, so that a tile is a rectangle; 0: a stretch of all cells in order.
        repack: bring the channels of the input together first, in a pass of its own.
    """

    way: str = "cells"
    cells: int = 64
    columns: int = 64
    depth: int = 64
    warps: int = 4
    stages: int = 3
    group: int = 1
    split: int = 1
    together: bool = True
    padded: bool = False
    store: str = "columns"
    patch: int = 0
    repack: bool = False
