"""Gather: the written-out sum of every output cell."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import Columns, colour
from tconv.explorer.marks import Section, left_out
from tconv.explorer.records import Sum
from tconv.explorer.trace import Trace
from tconv.explorer.words import factor, number


def gather(trace: Trace, most: int | None) -> Section:
    holes = sum(not s.products for s in trace.sums)
    says = "Each output adds up the products of the inputs and taps that meet there."
    if holes:
        says += f" Nothing meets at {holes} of {len(trace.sums)} cells: holes, which hold the bias only."
    return Section(
        "gather: every output collects its sum",
        says,
        [Columns([_sum(trace, s) for s in trace.sums[:most]])],
        left_out(len(trace.sums), most),
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
