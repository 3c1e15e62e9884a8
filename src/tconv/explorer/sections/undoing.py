"""Undoing: whether some B takes every y back to its x, and all B that do."""

from __future__ import annotations

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from tconv.arrays import Array
from tconv.explorer.grids import EMPTY, Cell, Flow, Grid
from tconv.explorer.marks import Section, grids, inputs
from tconv.explorer.scenes.undoing import exists_says
from tconv.explorer.trace import Trace
from tconv.explorer.words import number

READ = 400  # entries of a matrix that is printed where all is shown
GLANCED = 100  # and where only the beginning of everything is


def undoing(trace: Trace, most: int | None) -> Section:
    found, largest = trace.undoing, READ if most is None else GLANCED
    body: list[RenderableType] = [
        Flow(
            [
                *inputs(trace),
                *grids("y = A x", trace.linear),
                *grids("A^T y", trace.pairing.back),
                *grids("A^g y", found.recovered),
            ]
        ),
        Text.assemble("Is A^g A = I? ", ("yes. ", "green") if found.exists else ("no. ", "red"), exists_says(trace)),
    ]
    if found.test.size <= largest and not found.exists:
        body.append(Flow([_matrix("A^g A", found.test)]))
    if found.exists and found.inverse.size <= largest:
        ws = (0.0,) if len(trace.matrix) == trace.x.size else (0.0, 1.0)
        names = ["B = A^g", "B with all of W 1"]
        body.append(Flow([_matrix(name, found.b(w)) for name, w in zip(names, ws, strict=False)]))
        body.append(Flow([_matrix("B A, for either", np.round(found.b(ws[-1]) @ trace.matrix, 9))]))
    return Section(
        "undoing: all B that take y back to x",
        "A = C^T makes y of x. All B with B A = I are B = A^g + W (I - A A^g), for any W; there is one if and only if "
        "A^g A = I. A^g is the pseudo-inverse, A^T = C the convolution.",
        body,
    )


def _matrix(title: str, table: Array) -> Grid:
    return Grid([[Cell(number(value)) if value else EMPTY for value in row] for row in table], title)
