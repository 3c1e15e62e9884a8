"""How kernels respond to a canvas: the adjoint of the transposed convolution, run on the engine in its fastest exact
way.

response[k, place] = sum over channels and taps of kernel[k, channel, tap] * canvas[channel, stride*place + tap]

At stride 1 this is a transposed convolution with the taps reversed, cropped by a kernel less one at both ends. At
larger strides every residue of the canvas modulo the stride is a channel of its own (space to depth), and the kernels,
cut up likewise, run at stride 1: no product is computed that is not kept.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.geometry import Geometry, Sizes
from tconv.layer import Layer, prepare


class Responses:
    """The responses of some kernels, prepared once for canvases of any size.

    Args:
        kernels: (kernels, channels, *kernel).
        stride: per axis.
    """

    def __init__(self, kernels: Array, stride: Sizes) -> None:
        self._stride = stride
        self._strided = any(s > 1 for s in stride)
        if self._strided:
            kernels = _folded(kernels, stride)
        size = kernels.shape[2:]
        reversed_taps = kernels[(slice(None), slice(None), *(slice(None, None, -1),) * len(size))]
        weight = np.ascontiguousarray(reversed_taps.swapaxes(0, 1))
        self._layer: Layer = prepare(weight, geometry=Geometry(size, crop=[(k - 1, k - 1) for k in size]))

    def __call__(self, canvas: Array, out: Array) -> Array:
        """Write the responses to `canvas` (images, channels, *canvas) into `out` (images, kernels, *places)."""
        return self._layer(_folded(canvas, self._stride) if self._strided else canvas, out=out)


def _folded(array: Array, stride: Sizes) -> Array:
    """(n, channels, *size) as (n, channels*prod(stride), *ceil(size/stride)), with zeros where there is nothing."""
    sizes = [-(-n // s) for n, s in zip(array.shape[2:], stride, strict=True)]
    whole = np.zeros((*array.shape[:2], *(n * s for n, s in zip(sizes, stride, strict=True))), array.dtype)
    inside: Any = (..., *(slice(n) for n in array.shape[2:]))
    whole[inside] = array
    pairs = [number for pair in zip(sizes, stride, strict=True) for number in pair]
    axes = len(sizes)
    apart = whole.reshape(*array.shape[:2], *pairs)
    order = (0, 1, *(2 * a + 3 for a in range(axes)), *(2 * a + 2 for a in range(axes)))
    return np.ascontiguousarray(apart.transpose(order)).reshape(len(array), array.shape[1] * prod(stride), *sizes)
