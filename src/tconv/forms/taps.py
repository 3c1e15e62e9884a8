"""Taps: every kernel tap adds one spread and shifted copy of the whole input.

Fix k in `o = stride*i + dilation*k - crop_lo`: the inputs and outputs that meet are two strided slices of equal length.
This is the form to compute with in NumPy: one matrix product per tap, no buffer beyond one copy of the input, and only
values that truly meet are multiplied, so that NaN and Inf stay where they belong.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import at, blank, form, mix
from tconv.geometry import Geometry


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    in_size = x.shape[3:]
    y = blank(x, w, geometry.output_size(in_size))
    for k in np.ndindex(geometry.kernel):
        i, o = geometry.meeting(k, in_size)
        y[at(o)] += mix(x[at(i)], w[at(k)])
    return y
