"""col2im: the column matrix of all products, and where folding adds them."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
from rich.console import RenderableType

from tconv.explorer import words
from tconv.explorer.grids import Cell, Flow, Grid, Line, colour
from tconv.explorer.marks import Section, left_out
from tconv.explorer.trace import Trace
from tconv.explorer.words import number


def col2im(trace: Trace, most: int | None) -> Section:
    taps, inputs = prod(trace.geometry.kernel), prod(trace.in_size)
    products = trace.column.products.reshape(len(trace.y), taps, inputs)
    goes_to = trace.column.goes_to.reshape(taps, inputs)
    body: list[RenderableType] = []
    for channel, table in enumerate(products):
        values = [
            [Cell(number(v), colour(n) if to >= 0 else "dim") for n, (v, to) in enumerate(zip(vs, tos, strict=True))]
            for vs, tos in zip(table[:most], goes_to, strict=False)
        ]
        targets = [[_target(trace, to, n) for n, to in enumerate(tos)] for tos in goes_to[:most]]
        y = "y" if len(trace.y) == 1 else f"y[{channel}]"
        body.append(Flow([Grid(values, "products", _labels(trace, channel)[:most]), Grid(targets, f"added to {y} at")]))
    return Section(
        "col2im: one matrix product, then fold",
        "How most frameworks compute it: multiply every tap (row) with every input (column), then add each product to "
        "its output cell.",
        body,
        left_out(taps, most),
    )


def _target(trace: Trace, to: int, column: int) -> Cell:
    if to < 0:
        return Cell("cropped", "dim")
    return Cell(",".join(map(str, np.unravel_index(to, trace.out_size))), colour(column))


def _labels(trace: Trace, channel: int) -> list[Line]:
    """The taps that the rows belong to; their values where there is one channel."""
    taps = product(*map(range, trace.geometry.kernel))
    if len(trace.x) > 1:
        return [words.name("w", k, f":,{channel}") for k in taps]
    index = channel if len(trace.y) > 1 else None
    return [
        f"{words.name('w', k, None if index is None else f'0,{index}')} = {number(trace.weight[(0, channel, *k)])}"
        for k in taps
    ]
