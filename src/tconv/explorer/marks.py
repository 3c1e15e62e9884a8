"""Arrays as grids: which title, colour and mark every number gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import RenderableType

from tconv.arrays import Array
from tconv.explorer.grids import Cell, Grid, Rows, colour
from tconv.explorer.trace import Trace
from tconv.explorer.words import number

HOLE = "°"  # marks an output cell that no pair reaches


@dataclass(frozen=True)
class Section:
    """What one form looks like.

    Attributes:
        says: the sentence that says what is seen.
        left_out: how many entries were too many to show.
    """

    title: str
    says: str
    body: Sequence[RenderableType]
    left_out: int = 0


def left_out(count: int, most: int | None) -> int:
    """How many of `count` entries are not shown."""
    return 0 if most is None else max(0, count - most)


def rows(plane: Array, style: str = "") -> Rows:
    """A 1-D or 2-D array as cells."""
    return [[Cell(number(value), style) for value in row] for row in np.atleast_2d(plane)]


def grids(name: str, array: Array, style: str = "") -> list[Grid]:
    """One grid per channel of (channels, *cells)."""
    titles = [name] if len(array) == 1 else [f"{name}[{c}]" for c in range(len(array))]
    return [Grid(rows(plane, style), title) for title, plane in zip(titles, array, strict=True)]


def inputs(trace: Trace) -> list[Grid]:
    """x, every cell in the colour that it keeps in all sections."""
    titles = ["x"] if len(trace.x) == 1 else [f"x[{c}]" for c in range(len(trace.x))]
    width = trace.in_size[-1]
    return [
        Grid(
            [
                [Cell(number(v), colour(width * r + c)) for c, v in enumerate(row)]
                for r, row in enumerate(np.atleast_2d(x))
            ],
            title,
        )
        for title, x in zip(titles, trace.x, strict=True)
    ]


def kernels(name: str, trace: Trace, weight: Array) -> list[Grid]:
    """One grid per pair of connected channels of (in_channels, out_channels, *kernel)."""
    if weight.shape[:2] == (1, 1):
        return grids(name, weight[0])
    pairs = [pair for pair in np.ndindex(weight.shape[:2]) if trace.connects(*pair)]
    return [Grid(rows(weight[pair]), f"{name}[{pair[0]},{pair[1]}]") for pair in pairs]


def outputs(trace: Trace) -> list[Grid]:
    """y, with its holes marked."""
    holes = {(s.channel, *s.o) for s in trace.sums if not s.products}
    found = []
    for channel, title in enumerate(["y"] if len(trace.y) == 1 else [f"y[{c}]" for c in range(len(trace.y))]):
        cells = [
            Cell(f"{number(trace.y[(channel, *o)])}{HOLE}", "red")
            if (channel, *o) in holes
            else Cell(number(trace.y[(channel, *o)]) + " " * bool(holes), "bold")
            for o in np.ndindex(trace.out_size)
        ]
        across = trace.out_size[-1]
        found.append(Grid([cells[n : n + across] for n in range(0, len(cells), across)], title))
    return found
