"""Gather: one output after another collects the inputs and taps that meet there."""

from __future__ import annotations

from collections.abc import Iterator

from tconv.explorer import words
from tconv.explorer.records import Sum
from tconv.explorer.scene import Block, Film, beside, glyph, shots
from tconv.explorer.sheets import inputs, kernels, outputs
from tconv.explorer.trace import Trace

MOST = 12  # products that fit under a picture


def film(trace: Trace) -> Film:
    return shots("gather: every output collects its sum", _frames(trace), fullest(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    for n, each in enumerate(trace.sums):
        x = inputs(trace, {(p.channel, *p.i) for p in each.products})
        w = kernels(trace, {(p.channel, each.channel, *p.k) for p in each.products})
        y = outputs(trace, [(each.channel, *each.o)], until=n + 1)
        yield beside(x, glyph("·"), w, glyph("="), y), says(trace, each)


def fullest(trace: Trace) -> int:
    """The first output with as many products as any."""
    counts = [len(each.products) for each in trace.sums]
    return counts.index(max(counts))


def says(trace: Trace, each: Sum) -> str:
    """The sum, written out."""
    name = words.name("y", each.o, each.channel if len(trace.y) > 1 else None)
    terms = [f"{words.factor(p.x)}·{words.factor(p.w)}" for p in each.products]
    if len(terms) > MOST:
        terms = [*terms[:MOST], "…"]
    if each.bias is not None:
        terms.append(f"{words.factor(each.bias)} (bias)")
    if not each.products:
        return f"{name} = {words.number(each.value)}: nothing meets here, a hole" + (" with the bias" * bool(each.bias))
    return f"{name} = {' + '.join(terms)} = {words.number(each.value)}"
