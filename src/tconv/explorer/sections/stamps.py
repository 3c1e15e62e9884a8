"""Scatter and taps: what every input, or every tap, adds to the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.grids import EMPTY, Cell, Flow, Grid, Rows, colour
from tconv.explorer.marks import Section, left_out
from tconv.explorer.records import Stamp
from tconv.explorer.trace import Trace
from tconv.explorer.words import number
from tconv.forms.contract import at
from tconv.geometry import Sizes


def scatter(trace: Trace, most: int | None) -> Section:
    most = _fewer(trace, most)
    labels = [_equation("x", stamp.at, trace.x[at(stamp.at)]) for stamp in trace.stamps]
    return Section(
        "scatter: every input stamps the kernel",
        "Each input adds the kernel, scaled by its value, to a canvas; where stamps overlap they add up. "
        + crop_says(trace),
        _added(trace, trace.stamps, labels, most),
        left_out(len(trace.stamps), most),
    )


def taps(trace: Trace, most: int | None) -> Section:
    most = _fewer(trace, most)
    labels = [_equation("w", stamp.at, trace.weight[at(stamp.at)]) for stamp in trace.taps]
    return Section(
        "taps: every tap adds a copy of the input",
        "The same canvas, ordered by tap: each adds the whole input, spread by the stride, shifted to its place and "
        "scaled by the tap.",
        _added(trace, trace.taps, labels, most),
        left_out(len(trace.taps), most),
    )


def _fewer(trace: Trace, most: int | None) -> int | None:
    """Stamps on a plane take a whole grid each: about two screens of them are enough."""
    return most if most is None or trace.geometry.ndim == 1 else max(4, 60 // trace.canvas.shape[1])


def _equation(array: str, index: Sizes, values: Array) -> str:
    """`x[0,1] = 3`; with channels only `x[:,0,1]`."""
    if values.size == 1:
        return f"{words.name(array, index)} = {number(values.item())}"
    return words.name(array, index, ",".join(":" * values.ndim))


def crop_says(trace: Trace) -> str:
    """What the frame is, in a sentence."""
    if not _cropped(trace):
        return "Nothing is cropped: the whole canvas is the output."
    says = "The frame is the output: padding crops what lies outside it"
    if any(lo > hi for lo, hi in trace.geometry.crop):
        says += ", output_padding gives cells back at the end"
    if min(map(min, trace.geometry.crop)) < 0:
        says += "; where it reaches beyond the canvas, cells hold the bias only"
    return says + "."


def _added(trace: Trace, stamps: Sequence[Stamp], labels: list[str], most: int | None) -> list[RenderableType]:
    """Per output channel: the stamps, and the canvas that they add up to."""
    body: list[RenderableType] = []
    for channel in range(len(trace.y)):
        if len(trace.y) > 1:
            body.append(Text(f"output channel {channel}", style="italic"))
        total = _canvas(trace, trace.canvas[channel], trace.covered)
        shown = [_canvas(trace, *_alone(trace, s, channel), colour(n)) for n, s in enumerate(stamps[:most])]
        titles = [Text(label, style=colour(n)) for n, label in enumerate(labels[:most])]
        if trace.geometry.ndim == 1:
            frame = (range(len(shown) + 1), _frame(trace)[1]) if _cropped(trace) else None
            lines = [line for (line,) in [*shown, total]]
            body.append(Flow([Grid(lines, labels=[*titles, "sum"], frame=frame, rule=len(shown))]))
            continue
        width = max(len(cell.text) for row in total for cell in row)
        flow = [Grid(each, title, width=width) for each, title in zip(shown, titles, strict=True)]
        result = Grid(total, "sum of all", frame=_frame(trace) if _cropped(trace) else None, width=width)
        body += [Flow(flow), Flow([result])] if _cropped(trace) else [Flow([*flow, result])]
    return body


def framed(trace: Trace, channel: int) -> Grid:
    """The sum of all stamps, and the frame around what is kept."""
    total = _canvas(trace, trace.canvas[channel], trace.covered)
    title = "canvas" if len(trace.y) == 1 else f"canvas[{channel}]"
    return Grid(total, title, frame=_frame(trace) if _cropped(trace) else None)


def _alone(trace: Trace, stamp: Stamp, channel: int) -> tuple[Array, Array]:
    """A canvas with only this stamp, and which cells it covers."""
    canvas, covered = np.zeros_like(trace.canvas[channel]), np.zeros_like(trace.covered)
    canvas[stamp.slices], covered[stamp.slices] = stamp.values[channel], True
    return canvas, covered


def _canvas(trace: Trace, canvas: Array, covered: Array, style: str = "bold") -> Rows:
    """The canvas, extended to where the window reaches beyond it; what the crop cuts off is dim."""
    areas = [range(min(0, kept.start), max(n, kept.stop)) for kept, n in zip(trace.kept, canvas.shape, strict=True)]

    def cell(place: Sizes) -> Cell:
        if not all(0 <= p < n for p, n in zip(place, canvas.shape, strict=True)) or not covered[place]:
            return EMPTY
        inside = all(p in kept for p, kept in zip(place, trace.kept, strict=True))
        return Cell(number(canvas[place]), style if inside else "dim")

    cells = [cell(place) for place in product(*areas)]
    across = len(areas[-1])
    return [cells[n : n + across] for n in range(0, len(cells), across)]


def _cropped(trace: Trace) -> bool:
    return any(map(any, trace.geometry.crop))


def _frame(trace: Trace) -> tuple[range, range]:
    """The window in rows and columns of `_canvas`."""
    down, across = [range(k.start - min(0, k.start), k.stop - min(0, k.start)) for k in (range(1), *trace.kept)[-2:]]
    return down, across
