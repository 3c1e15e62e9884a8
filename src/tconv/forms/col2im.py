"""col2im: one matrix product makes a column of kernel-many products for every input; folding adds them in place.

This is how most frameworks compute it. The column buffer is prod(kernel) times the input, most of whose life is spent
being written and read again.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import at, form, mix
from tconv.geometry import Geometry


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    return fold(geometry, columns(x, w), x.shape[3:])


def columns(x: Array, w: Array) -> Array:
    """All products: x (batch, groups, in, *in_size) -> (batch, groups, out, *kernel, *in_size)."""
    one_row_per_tap = w.reshape(*w.shape[:2], int(np.prod(w.shape[2:])))
    return mix(x, one_row_per_tap).reshape(*x.shape[:2], *w.shape[2:], *x.shape[3:])


def fold(geometry: Geometry, column: Array, in_size: tuple[int, ...]) -> Array:
    """Add the row of tap k to the outputs that k reaches."""
    y = np.zeros((*column.shape[:3], *geometry.output_size(in_size)), column.dtype)
    for k in np.ndindex(geometry.kernel):
        i, o = geometry.meeting(k, in_size)
        y[at(o)] += column[at((*k, *i))]
    return y
