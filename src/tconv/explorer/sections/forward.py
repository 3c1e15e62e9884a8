"""Forward: the convolution that the layer is the transpose of, result by result."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.grids import EMPTY, Cell, Columns, Flow, Grid, Rows
from tconv.explorer.marks import Section, left_out, rows
from tconv.explorer.trace import Trace
from tconv.explorer.words import factor, number
from tconv.forms import adjoint
from tconv.forms.contract import window
from tconv.geometry import Sizes


def forward(trace: Trace, most: int | None) -> Section:
    """Of the first channels, as the picture has it."""
    z, w, geometry = trace.linear[0], trace.weight[0, 0], trace.geometry
    result = adjoint.forward(geometry, z[None, None, None], w[None, None, None], trace.in_size)[0, 0, 0]
    crop = tuple((-lo, -hi) for lo, hi in geometry.crop)
    padded, real = (window(each[None, None, None], crop)[0, 0, 0] for each in (z, np.ones_like(z)))
    sums = [Text(_sum(trace, padded, i, result[i])) for i in np.ndindex(trace.in_size)]
    return Section(
        "forward: the convolution that it transposes",
        "It reads what the layer writes: the same kernel, not flipped, moved on by the stride over y, with zeros (·) "
        "where padding puts them. The size of x comes back, its numbers do not.",
        [
            Flow([Grid(_given(padded, real != 0), "y with padding"), Grid(rows(w), "w"), Grid(rows(result), "C y")]),
            Columns(sums[:most]),
        ],
        left_out(len(sums), most),
    )


def _given(padded: Array, real: Array) -> Rows:
    cells = [Cell(number(value)) if here else EMPTY for value, here in zip(padded.flat, real.flat, strict=True)]
    across = padded.shape[-1]
    return [cells[n : n + across] for n in range(0, len(cells), across)]


def _sum(trace: Trace, padded: Array, i: Sizes, value: float) -> str:
    products = []
    for k in np.ndindex(trace.geometry.kernel):
        read = tuple(a.stride * n + a.dilation * tap for a, n, tap in zip(trace.geometry.axes, i, k, strict=True))
        products.append(f"{factor(padded[read])}*{factor(trace.weight[(0, 0, *k)])}")
    return f"{words.name('C y', i)} = {' + '.join(products)} = {number(value)}"
