"""Adjoint: the transposed convolution is the gradient of the forward convolution.

`<C z, x> = <z, C^T x>` for every z. Taking for z the unit vector of output cell o reads off one entry:

    y[o] = <C e_o, x>

This form does just that: it convolves every unit vector forwards and takes the inner product with x.
"""

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import form, window
from tconv.forms.convolution import convolve
from tconv.geometry import Geometry


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    groups, shape = w.shape[0], (w.shape[2], *geometry.output_size(x.shape[3:]))
    cells = int(np.prod(shape))
    units = np.eye(cells, dtype=x.dtype).reshape(cells, 1, *shape).repeat(groups, axis=1)
    responses = forward(geometry, units, w, x.shape[3:])  # (cells, groups, in, *in_size): C e_o
    flat = responses.reshape(cells, groups, int(np.prod(x.shape[2:]))).transpose(1, 0, 2)
    y: Array = np.matmul(flat, x.reshape(*x.shape[:2], int(np.prod(x.shape[2:])), 1))
    return y.reshape(x.shape[0], groups, *shape)


def forward(geometry: Geometry, z: Array, w: Array, in_size: tuple[int, ...]) -> Array:
    """C z, the forward convolution: z (batch, groups, out, *out_size) -> (batch, groups, in, *in_size).

    The crop of the transposed convolution is the padding of the forward one, and the channels swap their roles.
    """
    padded = window(z, tuple((-lo, -hi) for lo, hi in geometry.crop))
    return convolve(padded, w.swapaxes(1, 2), geometry.stride, geometry.dilation, in_size)
