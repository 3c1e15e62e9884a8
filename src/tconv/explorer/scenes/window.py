"""The crop window: the full canvas, and what of it is kept. It answers what padding and output_padding do."""

from __future__ import annotations

from tconv.explorer.scene import Film, shots
from tconv.explorer.scenes.canvas import canvas, crop_says
from tconv.explorer.trace import Trace


def film(trace: Trace) -> Film:
    return shots("window: what padding and output_padding keep", [(canvas(trace, trace.canvas), crop_says(trace))])
