"""Phases: small ordinary convolutions, one per residue of the stride, interleaved."""

from __future__ import annotations

from math import prod
from string import ascii_lowercase, ascii_uppercase

import numpy as np
from rich.console import RenderableType

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.grids import EMPTY, Cell, Flow, Grid, Rows, colour
from tconv.explorer.marks import Section, left_out, rows
from tconv.explorer.records import Part
from tconv.explorer.trace import Trace
from tconv.explorer.words import number

LETTERS = ascii_uppercase + ascii_lowercase


def phases(trace: Trace, most: int | None) -> Section:
    count = prod(trace.geometry.stride)
    says = (
        f"Stride {words.by(trace.geometry.stride)} splits the output into {count} interleaved parts. Each is a small "
        "ordinary convolution of the input, with its own taps; no zero is inserted."
    )
    if count == 1:
        says = "Stride 1 leaves a single phase with all taps: it is an ordinary convolution."
    body: list[RenderableType] = []
    for n, part in enumerate(trace.parts[:most]):
        body.append(Flow(_part(trace, n, part)))
    if len(trace.parts) > 1:
        body.append(Flow(_interleaved(trace)))
    return Section("phases: the interleaved sub-outputs", says, body, left_out(len(trace.parts), most))


def _part(trace: Trace, n: int, part: Part) -> list[Grid]:
    """The phase's taps, and the outputs they make."""
    taps = {k for k, _ in part.phase.taps()}
    used = np.zeros(trace.geometry.kernel, bool)
    for k in taps:
        used[k] = True
    count = f"{len(taps)} tap{'s' * (len(taps) != 1)}" if taps else "no taps: holes"
    found = []
    for c, channel in np.ndindex(trace.weight.shape[:2]):
        if not trace.connects(c, channel):
            continue
        where = f" of w[{c},{channel}]" if trace.weight.shape[:2] != (1, 1) else ""
        found.append(Grid(_masked(trace.weight[c, channel], used, colour(n)), f"{_letter(n)}: {count}{where}"))
    for channel, values in enumerate(part.values):
        y = words.cut(part.outputs) if len(trace.y) == 1 else f"{channel}, {words.cut(part.outputs)}"
        found.append(Grid(rows(values, colour(n)), f"y[{y}]"))
    return found


def _interleaved(trace: Trace) -> list[Grid]:
    """Which phase each output cell belongs to, and the values in the phases' colours."""
    owner = np.zeros(trace.out_size, np.int64)
    for n, part in enumerate(trace.parts):
        owner[part.outputs] = n
    letters = [[Cell(_letter(n), colour(n)) for n in row] for row in np.atleast_2d(owner)]
    found = [Grid(letters, "phase of each cell")]
    for channel, plane in enumerate(trace.linear):
        values = [
            [Cell(number(v), colour(n)) for v, n in zip(vs, ns, strict=True)]
            for vs, ns in zip(np.atleast_2d(plane), np.atleast_2d(owner), strict=True)
        ]
        found.append(Grid(values, "interleaved" if len(trace.y) == 1 else f"interleaved y[{channel}]"))
    return found


def _masked(plane: Array, used: Array, style: str) -> Rows:
    return [
        [Cell(number(v), style) if u else EMPTY for v, u in zip(vs, us, strict=True)]
        for vs, us in zip(np.atleast_2d(plane), np.atleast_2d(used), strict=True)
    ]


def _letter(n: int) -> str:
    return LETTERS[n] if n < len(LETTERS) else str(n)
