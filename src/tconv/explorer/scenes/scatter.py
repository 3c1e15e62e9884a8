"""Scatter: one input after another stamps the kernel onto the canvas."""

from __future__ import annotations

from collections.abc import Iterator

from tconv.explorer import words
from tconv.explorer.scene import Block, Film, beside, glyph, shots
from tconv.explorer.scenes.canvas import canvas, crop_says, running
from tconv.explorer.sheets import inputs, kernels
from tconv.explorer.trace import Trace


def film(trace: Trace) -> Film:
    return shots("stamp: every input adds the kernel, scaled by its value", _frames(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    for n, stamp in enumerate(trace.stamps):
        x = inputs(trace, {(c, *stamp.at) for c in range(len(trace.x))})
        total = canvas(trace, running(trace, n + 1), stamp.cells)
        many = len(trace.x) > 1
        what = words.name("x", stamp.at, ":" if many else None)
        value = "" if many else f" = {words.number(trace.x[(0, *stamp.at)])}"
        yield beside(x, glyph("·"), kernels(trace), glyph("→"), total), f"{what}{value} stamps the kernel from here on."
    yield beside(inputs(trace), glyph("·"), kernels(trace), glyph("→"), canvas(trace, trace.canvas)), crop_says(trace)
