"""What all forms have in common, so that each form file holds one idea.

Every form offers `run(geometry, x, weight, bias=None, groups=1) -> y` on arrays laid out as PyTorch's. Its body sees
the channels already split into groups, and leaves the bias to this file:

    x (batch, groups, in_channels, *in_size)   w (groups, in_channels, out_channels, *kernel)
    y (batch, groups, out_channels, *out_size)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeAlias

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array, layout, same_dtype
from tconv.geometry import Geometry

Body: TypeAlias = Callable[[Geometry, Array, Array], Array]
Form: TypeAlias = Callable[..., Array]


def form(body: Body) -> Form:
    """The public `run` of a form, from a body that computes one batch of grouped arrays without bias."""

    @wraps(body)
    def run(geometry: Geometry, x: Any, weight: Any, bias: Any = None, groups: int = 1) -> Array:
        x, weight = as_array("input", x), as_array("weight", weight)
        bias = None if bias is None else as_array("bias", bias)
        same_dtype(weight.dtype, input=x, bias=bias)
        sizes = layout(x.shape, weight.shape, None if bias is None else bias.shape, groups, geometry.ndim)
        if sizes.kernel != geometry.kernel:
            raise errors.KernelError(f"weight {weight.shape} does not have the geometry's kernel {geometry.kernel}")
        grouped = x.reshape(sizes.batch, groups, sizes.in_channels // groups, *sizes.in_size)
        with np.errstate(all="ignore"):  # NaN, Inf and overflow go where the definition puts them, as data
            y = body(geometry, grouped, weight.reshape(groups, sizes.in_channels // groups, *weight.shape[1:]))
            y = y.reshape(sizes.result_shape(geometry.output_size(sizes.in_size)))
            return y if bias is None else y + bias.reshape(-1, *[1] * geometry.ndim)

    return run


def blank(x: Array, w: Array, size: tuple[int, ...]) -> Array:
    """An output of zeros for grouped `x` and `w`, with `size` spatial cells."""
    return np.zeros((*x.shape[:2], w.shape[2], *size), x.dtype)


def mix(x: Array, w: Array) -> Array:
    """Sum over the input channels.

    x (batch, groups, in, *cells), w (groups, in, out) -> (batch, groups, out, *cells).
    """
    cells = x.shape[3:]
    y: Array = np.matmul(w.swapaxes(1, 2), x.reshape(*x.shape[:3], int(np.prod(cells))))
    return y.reshape(*y.shape[:3], *cells)


def at(index: Iterable[Any]) -> tuple[Any, ...]:
    """The array index of spatial cells, whatever stands before them: `x[at(i)]` is `x[..., i0, i1, ...]`."""
    return (..., *index)


def window(canvas: Array, crop: tuple[tuple[int, int], ...]) -> Array:
    """The spatial cells from crop_lo to size - crop_hi of `canvas`; where the window reaches beyond it, zeros."""
    kept, added = [], [(0, 0)] * 3
    for n, (lo, hi) in zip(canvas.shape[3:], crop, strict=True):
        start, stop = min(max(lo, 0), n), min(max(n - hi, 0), n)
        before = min(max(-lo, 0), n - lo - hi)
        kept.append(slice(start, max(start, stop)))
        added.append((before, n - lo - hi - before - max(stop - start, 0)))
    return np.pad(canvas[at(kept)], added)
