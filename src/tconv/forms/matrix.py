"""The matrix C^T: the transposed convolution is linear, so a matrix does it; the forward convolution's is C.

Row o, column i holds w[k] where `o = stride*i + dilation*k - crop_lo`; at most one k fits, all else is zero. With
channels, rows run over (out_channel, *out) and columns over (in_channel, *in). 0*NaN and 0*Inf are NaN, so the dense
product is for finite numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tconv.arrays import Array
from tconv.forms.contract import form
from tconv.geometry import Axis, Geometry

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@form
def run(geometry: Geometry, x: Array, w: Array) -> Array:
    flat = x.reshape(*x.shape[:2], -1, 1) if x.size else x.reshape(*x.shape[:2], int(np.prod(x.shape[2:])), 1)
    y: Array = np.matmul(grouped(geometry, x.shape[3:], w), flat)
    return y.reshape(*x.shape[:2], w.shape[2], *geometry.output_size(x.shape[3:]))


def grouped(geometry: Geometry, in_size: tuple[int, ...], w: Array) -> Array:
    """One dense C^T per group: (groups, out*prod(out_size), in*prod(in_size))."""
    o, i, k = entries(geometry, in_size)
    groups, channels_in, channels_out = w.shape[:3]
    n_out, n_in = int(np.prod(geometry.output_size(in_size))), int(np.prod(in_size))
    matrix = np.zeros((groups, channels_out, n_out, channels_in, n_in), w.dtype)
    taps = w.reshape(groups, channels_in, channels_out, -1)[..., k]
    matrix[:, :, o, :, i] = np.moveaxis(taps.swapaxes(1, 2), -1, 0)
    return matrix.reshape(groups, channels_out * n_out, channels_in * n_in)


def dense(geometry: Geometry, in_size: tuple[int, ...], weight: Array, groups: int = 1) -> Array:
    """C^T of the whole layer: (out_channels*prod(out_size), in_channels*prod(in_size)), zero between groups."""
    blocks = grouped(geometry, in_size, weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:]))
    rows, columns = blocks.shape[1:]
    matrix = np.zeros((groups, rows, groups, columns), weight.dtype)
    matrix[range(groups), :, range(groups), :] = blocks
    return matrix.reshape(groups * rows, groups * columns)


def sparse(geometry: Geometry, in_size: tuple[int, ...], weight: Array, groups: int = 1) -> csr_array:
    """The same matrix as a SciPy CSR array, without a Python loop over its entries."""
    from scipy.sparse import coo_array

    o, i, k = entries(geometry, in_size)
    channels_in, channels_out = weight.shape[0] // groups, weight.shape[1]
    n_out, n_in = int(np.prod(geometry.output_size(in_size))), int(np.prod(in_size))
    group, ci, co = np.ogrid[:groups, :channels_in, :channels_out]
    rows = (group * channels_out + co)[..., None] * n_out + o
    columns = (group * channels_in + ci)[..., None] * n_in + i
    values = weight.reshape(groups, channels_in, channels_out, -1)[..., k]
    shape = (groups * channels_out * n_out, groups * channels_in * n_in)
    rows, columns = np.broadcast_arrays(rows, columns)
    return coo_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape).tocsr()


def entries(geometry: Geometry, in_size: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """The relation as three flat index vectors (o, i, k), one entry per pair inside the window."""
    found = [_axis_entries(axis, n) for axis, n in zip(geometry.axes, in_size, strict=True)]
    shapes = (geometry.output_size(in_size), in_size, geometry.kernel)
    flat = [np.zeros(1, np.int64)] * 3
    for axis, triple in enumerate(found):
        # Row-major flattening, one axis at a time: every pair so far with every pair of this axis.
        flat = [(f[:, None] * shape[axis] + new).ravel() for f, new, shape in zip(flat, triple, shapes, strict=True)]
    return flat[0], flat[1], flat[2]


def _axis_entries(axis: Axis, in_size: int) -> tuple[Array, Array, Array]:
    i, k = np.meshgrid(np.arange(in_size), np.arange(axis.kernel), indexing="ij")
    o = axis.stride * i + axis.dilation * k - axis.crop_lo
    kept = (o >= 0) & (o < axis.output_size(in_size))
    return o[kept], i[kept], k[kept]
