"""Scatter: every input stamps the kernel onto the output, scaled by its value; overlapping stamps add up.

Fix i in `o = stride*i + dilation*k - crop_lo` and let k run: that is the stamp. The crop is the window that is kept of
the full canvas. Neighbouring inputs share one kernel.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import at, blank, form, window
from tconv.geometry import Geometry


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    in_size = x.shape[3:]
    canvas = blank(x, w, geometry.full_size(in_size))
    for i in np.ndindex(in_size):
        place = (
            slice(axis.stride * at, axis.stride * at + axis.extent, axis.dilation)
            for axis, at in zip(geometry.axes, i, strict=True)
        )
        canvas[at(place)] += stamp(x[at(i)], w)
    return window(canvas, geometry.crop)


def stamp(value: Array, w: Array) -> Array:
    """The kernel scaled by one input cell: value (batch, groups, in) -> (batch, groups, out, *kernel)."""
    batch, groups, channels = value.shape
    flat: Array = np.matmul(value[:, :, None, :], w.reshape(groups, channels, -1))
    return flat.reshape(batch, groups, *w.shape[2:])
