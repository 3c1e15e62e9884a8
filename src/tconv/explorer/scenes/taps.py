"""Taps: one kernel tap after another adds the whole input, spread by the stride, to the canvas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tconv.explorer import words
from tconv.explorer.scene import Block, Film, beside, glyph, shots
from tconv.explorer.scenes.canvas import canvas, crop_says, running
from tconv.explorer.sheets import inputs, kernels
from tconv.explorer.trace import Trace


def film(trace: Trace) -> Film:
    return shots("taps: every tap adds a copy of the input", _frames(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    for n, tap in enumerate(trace.taps):
        w = kernels(trace, {(*pair, *tap.at) for pair in np.ndindex(trace.weight.shape[:2])})
        total = canvas(trace, running(trace, n + 1, by_tap=True), tap.cells)
        says = f"{words.name('w', tap.at)} adds the input, spread by the stride, from here on."
        yield beside(inputs(trace), glyph("·"), w, glyph("→"), total), says
    yield beside(inputs(trace), glyph("·"), kernels(trace), glyph("→"), canvas(trace, trace.canvas)), crop_says(trace)
