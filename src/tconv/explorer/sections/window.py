"""The crop window: the canvas, and what of it is kept."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import Flow
from tconv.explorer.marks import Section
from tconv.explorer.sections.stamps import crop_says, framed
from tconv.explorer.trace import Trace
from tconv.geometry import Axis


def window(trace: Trace, most: int | None) -> Section:
    body: list[RenderableType] = [Flow([framed(trace, channel) for channel in range(len(trace.y))])]
    body += [Text(line) for line in words.per_axis(trace.geometry, trace.in_size, _kept)]
    return Section("window: what padding and output_padding keep", crop_says(trace), body)


def _kept(axis: Axis, in_size: int) -> str:
    """The canvas and its two ends, with their numbers."""
    ends = [f"{_end(axis.crop_lo)} at the start", f"{_end(axis.crop_hi)} at the end"]
    full = axis.full_size(in_size)
    return f"canvas {full}, {ends[0]}, {ends[1]}: output {axis.output_size(in_size)}"


def _end(crop: int) -> str:
    return f"{crop} cut off" if crop >= 0 else f"{-crop} added"
