"""One section per form: a trace's numbers as grids and sums, under a sentence that says what is seen.

Every function takes the trace and how many stamps, sums or rows to show at `most`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from string import ascii_letters

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.grids import EMPTY, Cell, Columns, Flow, Grid, Line, Rows, colour, factor, number
from tconv.explorer.records import Stamp, Sum
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes

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


# the arrays themselves


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


def kernels(name: str, weight: Array) -> list[Grid]:
    """One grid per pair of channels of (in_channels, out_channels, *kernel)."""
    if weight.shape[:2] == (1, 1):
        return grids(name, weight[0])
    pairs = product(range(weight.shape[0]), range(weight.shape[1]))
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


# scatter and taps: what is added to the canvas


def scatter(trace: Trace, most: int) -> Section:
    factors = {s.at: trace.x[(slice(None), *s.at)] for s in trace.stamps}
    labels = [_equation("x", at, values, len(trace.x)) for at, values in factors.items()]
    return Section(
        "scatter: every input stamps the kernel",
        "Each input adds the kernel, scaled by its value, to a canvas; where stamps overlap they add up. "
        + _crop_says(trace),
        _added(trace, trace.stamps, labels, most),
        max(0, len(trace.stamps) - most),
    )


def taps(trace: Trace, most: int) -> Section:
    labels = [
        _equation("w", s.at, trace.weight[(..., *s.at)], trace.weight[(..., *s.at)].size) for s in trace.taps
    ]
    return Section(
        "taps: every tap adds a copy of the input",
        "The same canvas, ordered by tap: each adds the whole input, spread by the stride, shifted to its place and "
        "scaled by the tap.",
        _added(trace, trace.taps, labels, most),
        max(0, len(trace.taps) - most),
    )


def _equation(array: str, at: Sizes, values: Array, count: int) -> str:
    if count == 1:
        return f"{words.name(array, at)} = {number(values.flat[0])}"
    return words.name(array, at, ":" if array == "x" else ":,:")


def _crop_says(trace: Trace) -> str:
    crop = trace.geometry.crop
    if not any(map(any, crop)):
        return "Nothing is cropped: the whole canvas is the output."
    beyond = "; where it reaches beyond the canvas, cells hold the bias only" if min(map(min, crop)) < 0 else ""
    return f"The frame is the output: the crop (padding) cuts off what lies outside{beyond}."


def _added(trace: Trace, stamps: Sequence[Stamp], labels: list[str], most: int) -> list[RenderableType]:
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
        body.append(Flow([Grid(each, title, width=width) for each, title in zip(shown, titles, strict=True)]))
        body.append(Flow([Grid(total, "their sum", frame=_frame(trace) if _cropped(trace) else None, width=width)]))
    return body


def _alone(trace: Trace, stamp: Stamp, channel: int) -> tuple[Array, Array]:
    """A canvas with only this stamp, and which cells it covers."""
    canvas, covered = np.zeros_like(trace.canvas[channel]), np.zeros_like(trace.covered)
    cells = tuple(slice(c.start, c.stop, c.step) for c in stamp.cells)
    canvas[cells], covered[cells] = stamp.values[channel], True
    return canvas, covered


def _canvas(trace: Trace, canvas: Array, covered: Array, style: str = "bold") -> Rows:
    """The canvas, extended to where the window reaches beyond it; what the crop cuts off is dim."""
    areas = [range(min(0, kept.start), max(n, kept.stop)) for kept, n in zip(trace.kept, canvas.shape, strict=True)]

    def cell(at: Sizes) -> Cell:
        if not all(0 <= p < n for p, n in zip(at, canvas.shape, strict=True)) or not covered[at]:
            return EMPTY
        inside = all(p in kept for p, kept in zip(at, trace.kept, strict=True))
        return Cell(number(canvas[at]), style if inside else "dim")

    cells = [cell(at) for at in product(*areas)]
    across = len(areas[-1])
    return [cells[n : n + across] for n in range(0, len(cells), across)]


def _cropped(trace: Trace) -> bool:
    return any(map(any, trace.geometry.crop))


def _frame(trace: Trace) -> tuple[range, range]:
    """The window in rows and columns of `_canvas`."""
    down, across = [range(k.start - min(0, k.start), k.stop - min(0, k.start)) for k in (range(1), *trace.kept)[-2:]]
    return down, across


# gather: the written-out sums


def gather(trace: Trace, most: int) -> Section:
    holes = sum(not s.products for s in trace.sums)
    says = "Each output adds up the products of the inputs and taps that meet there."
    if holes:
        says += f" Nothing meets at {holes} of {len(trace.sums)} cells: holes, which hold the bias only."
    return Section(
        "gather: every output collects its sum",
        says,
        [Columns([_sum(trace, s) for s in trace.sums[:most]])],
        max(0, len(trace.sums) - most),
    )


def _sum(trace: Trace, each: Sum) -> Text:
    line = Text(f"{words.name('y', each.o, each.channel if len(trace.y) > 1 else None)} = ")
    for n, p in enumerate(each.products):
        at = int(np.ravel_multi_index(p.i, trace.in_size))
        line += Text.assemble(" + " * bool(n), (factor(p.x), colour(at)), "*", factor(p.w))
    if each.bias is not None:
        line += f"{' + ' * bool(each.products)}{factor(each.bias)} (bias)"
    if not each.products:
        return line + Text(f"{number(each.value) if each.bias is None else ''}  hole", "red")
    return line + Text.assemble(" = ", (number(each.value), "bold"))
