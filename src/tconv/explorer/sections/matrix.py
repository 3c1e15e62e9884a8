"""The matrix C^T times the flattened input."""

from __future__ import annotations

from itertools import product

from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import EMPTY, Cell, Flow, Grid, Line, colour
from tconv.explorer.marks import Section, left_out
from tconv.explorer.trace import Trace
from tconv.explorer.words import number
from tconv.geometry import Sizes


def matrix(trace: Trace, most: int | None) -> Section:
    shown = trace.matrix[:most]
    cells = [
        [Cell(number(v), colour(column)) if c else EMPTY for column, (v, c) in enumerate(zip(vs, cs, strict=True))]
        for vs, cs in zip(shown, trace.connected, strict=False)
    ]
    y = [[Cell(number(v), "bold")] for v in (shown @ trace.x.ravel())]
    x = [[Cell(number(v), colour(n))] for n, v in enumerate(trace.x.ravel()[:most])]
    outs, ins = _names("y", trace.y.shape), _names("x", trace.x.shape)
    rows, columns = trace.matrix.shape
    return Section(
        "matrix: C^T times the flattened input",
        "The matching forward convolution is a matrix C; this is its transpose, hence the name. Each column is "
        "one input's stamp, each row one output's sum.",
        [
            Flow([Grid(cells, f"C^T ({rows}x{columns})", outs[:most]), Grid(x, "x", ins[:most]), Grid(y, "C^T x")]),
            Text(f"{trace.connected.sum()} of {trace.matrix.size} entries hold a tap; the others (·) are always zero."),
        ],
        left_out(rows, most),
    )


def _names(array: str, shape: Sizes) -> list[Line]:
    """The name of each cell of (channels, *cells), flattened."""
    cells = product(*map(range, shape))
    return [words.name(array, at[1:], at[0] if shape[0] > 1 else None) for at in cells]
