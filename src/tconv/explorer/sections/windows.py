"""Windows: the rows of C as what the convolution looks through, the rows of C^T as the flipped kernel slid over x."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import EMPTY, NOTHING, Cell, Flow, Grid, colour
from tconv.explorer.marks import Section, left_out, rows
from tconv.explorer.scenes.windows import back_says, covers, there_and_back
from tconv.explorer.trace import Trace
from tconv.explorer.words import number
from tconv.geometry import Sizes


def windows(trace: Trace, most: int | None) -> Section:
    """Of the first connected channels. Every row takes a whole grid, so that where not all are shown few are."""
    out = next(e for e in range(len(trace.y)) if trace.connects(0, e))
    few = None if most is None else max(4, most // 10)
    body: list[RenderableType] = [
        Flow([_window(trace, out, n, i) for n, i in enumerate(np.ndindex(trace.in_size))][:few]),
        Text("Row o of C^T in the shape of x with its zeros: the flipped kernel, slid to o. Over x it gives y[o]."),
        Flow(
            [Grid(_rows(_padded(trace), trace.steps.padded.shape[-1]), "x with zeros"), *list(_slid(trace, out))[:few]]
        ),
    ]
    image, small, again = there_and_back(trace, out)
    arrays = (("I = y", image), ("O = I C", small), ("P = O C^T", again))
    body += [Flow([Grid(rows(array), title) for title, array in arrays]), Text(back_says(image, again))]
    return Section(
        "windows: the matrix, row by row",
        "Row i of C in the shape of y is the window through which the convolution looks for its result i; it is "
        "column i of C^T as well, the stamp of x[i].",
        body,
        left_out(trace.x[0].size, few) + left_out(trace.y[0].size, few),
    )


def _window(trace: Trace, out: int, column: int, i: Sizes) -> Grid:
    """A column of C^T in the shape of y."""
    first = out * trace.y[0].size
    part = slice(first, first + trace.y[0].size)
    entries = zip(trace.matrix[part, column], trace.connected[part, column], strict=True)
    cells = [Cell(number(v), colour(column)) if tap else EMPTY for v, tap in entries]
    return Grid(_rows(cells, trace.out_size[-1]), Text(f"row {words.name('x', i)} of C", colour(column)))


def _slid(trace: Trace, out: int) -> Iterator[Grid]:
    """A row of C^T each, and the sum that it gives."""
    padded, flipped, given = trace.steps.padded[0], trace.steps.flipped[0, out], trace.steps.given
    for o in np.ndindex(trace.out_size):
        under = covers(trace, o)

        def cell(at: Sizes, under: dict[Sizes, Sizes] = under) -> Cell:
            return Cell(number(flipped[under[at]]), "bold" if given[at] else "dim") if at in under else EMPTY

        total = number(sum(flipped[k] * padded[at] for at, k in under.items()))
        cells = [cell(at) for at in np.ndindex(padded.shape)]
        yield Grid(_rows(cells, padded.shape[-1]), f"{words.name('y', o)} = {total}")


def _padded(trace: Trace) -> list[Cell]:
    """x with zeros between and around."""
    steps = trace.steps
    values = zip(steps.padded[0].flat, steps.given.flat, strict=True)
    return [Cell(number(value), "bold") if real else Cell(NOTHING, "dim") for value, real in values]


def _rows(cells: list[Cell], across: int) -> list[list[Cell]]:
    return [cells[n : n + across] for n in range(0, len(cells), across)]
