"""Gather: every output collects the inputs and taps that meet there.

Fix o in `o = stride*i + dilation*k - crop_lo` and solve for (i, k): the sources of o. No two outputs touch the same
cell, so this is the form to run in parallel.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import at, blank, form, mix
from tconv.geometry import Geometry


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    in_size = x.shape[3:]
    y = blank(x, w, geometry.output_size(in_size))
    for o in np.ndindex(y.shape[3:]):
        for i, k in geometry.sources(o, in_size):
            y[at(o)] += mix(x[at(i)], w[at(k)])
    return y
