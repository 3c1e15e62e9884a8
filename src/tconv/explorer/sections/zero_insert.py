"""Zero insertion: the four steps, and the sizes on the way."""

from __future__ import annotations

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.grids import EMPTY, Cell, Flow, Grid, Rows, colour
from tconv.explorer.marks import Section, grids, kernels
from tconv.explorer.trace import Trace
from tconv.explorer.words import number


def zero_insert(trace: Trace, most: int | None) -> Section:
    steps = trace.steps
    sizes = words.per_axis(trace.geometry, trace.in_size, words.steps)
    everywhere = np.zeros(steps.inserted.shape[1:], bool)
    everywhere[tuple(slice(None, None, stride) for stride in trace.geometry.stride)] = True
    inner = [(max(s.pad_lo, 0), min(s.pad_lo + s.inserted, s.padded)) for s in steps.sizes]
    rows, columns = [range(lo, max(lo, hi)) for lo, hi in [(0, 1), *inner][-2:]]
    frame = (rows, columns) if rows and columns else None
    flow: list[Grid] = []
    for channel in range(len(trace.x)):
        x = f"x[{channel}]" if len(trace.x) > 1 else "x"
        flow.append(Grid(_given(trace, steps.inserted[channel], everywhere), f"1 zeros into {x}"))
        flow.append(Grid(_given(trace, steps.padded[channel], steps.given), f"2 padded {x}", frame=frame))
    flow += kernels("3 flipped w", trace, steps.flipped)
    flow += grids("4 convolved", steps.result, "bold")
    body: list[RenderableType] = [Flow(flow), Text("\n".join(sizes))]
    return Section(
        "zero_insert: the four steps",
        "The same numbers from an ordinary convolution at stride 1, with the kernel flipped in every axis, over the "
        "input with zeros (·) put between and around it.",
        body,
    )


def _given(trace: Trace, plane: Array, given: Array) -> Rows:
    """The values that come from x, in their colours; all else was put in."""
    colours = iter(range(trace.x[0].size))
    whole = given.sum() == trace.x[0].size  # a negative pad cuts some off, and the colours with them

    def cell(value: float, from_x: bool) -> Cell:
        return Cell(number(value), colour(next(colours)) if whole else "bold") if from_x else EMPTY

    across = plane.shape[-1]
    cells = [cell(value, from_x) for value, from_x in zip(plane.flat, given.flat, strict=True)]
    return [cells[n : n + across] for n in range(0, len(cells), across)]
