"""The full canvas with the window that is kept: what padding crops and output_padding gives back, to be seen."""

from __future__ import annotations

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Role, above
from tconv.explorer.sheets import Look, Looks, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes


def canvas(trace: Trace, values: Array, lit: tuple[range, ...] = ()) -> Block:
    """All output channels: `values` (out_channels, *full_size) on the canvas, and the window's frame.

    Where the window reaches beyond the canvas there are cells too: they hold the bias only.

    Args:
        lit: the cells that take part, per axis.
    """
    kept = trace.kept
    areas = [range(min(0, k.start), max(n, k.stop)) for k, n in zip(kept, values.shape[1:], strict=True)]
    first = [area.start for area in areas]
    inside = [range(k.start - at, k.stop - at) for k, at in zip(kept, first, strict=True)]

    def look(channel: int) -> Looks:
        def cell(index: Sizes) -> Look:
            place = tuple(n + at for n, at in zip(index, first, strict=True))
            on = all(0 <= p < n for p, n in zip(place, trace.covered.shape, strict=True)) and trace.covered[place]
            held = all(p in k for p, k in zip(place, kept, strict=True))
            role = (Role.CANVAS if held else Role.CROPPED) if on else (Role.HOLE if held else Role.ZERO)
            text = words.number(values[(channel, *place)]) if on else ""
            taking = bool(lit) and all(p in each for p, each in zip(place, lit, strict=True))
            return Look(text, role, lit=taking)

        return cell

    shape = tuple(map(len, areas))
    titles = ["canvas, the frame is y"]
    if len(values) > 1:
        titles = [f"canvas, the frame is y[{c}]" for c in range(len(values))]
    frames = [(tuple(inside), Role.OUTPUT)]
    return above(*(sheet(title, shape, look(c), Role.OUTPUT, frames, first) for c, title in enumerate(titles)))


def crop_says(trace: Trace) -> str:
    """What the frame is, in a sentence."""
    crop = trace.geometry.crop
    if not any(map(any, crop)):
        return "Nothing is cropped: the whole canvas is the output."
    says = "The frame is the output: padding crops what lies outside"
    if any(lo > hi for lo, hi in crop):
        says += ", output_padding gives cells back at the end"
    if min(map(min, crop)) < 0:
        says += "; beyond the canvas, cells hold the bias only"
    return says + "."


def running(trace: Trace, count: int, by_tap: bool = False) -> Array:
    """The canvas after the first `count` stamps."""
    total = np.zeros_like(trace.canvas)
    for stamp in (trace.taps if by_tap else trace.stamps)[:count]:
        total[(slice(None), *stamp.slices)] += stamp.values
    return total
