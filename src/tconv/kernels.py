"""Fixed upsampling as transposed convolution: nearest, bilinear and bicubic kernels as depthwise weights.

An output cell o lies at (o + 1/2)/scale - 1/2 on the input's axis. A kernel samples an interpolation function h there,
w[k] = h((k - (size-1)/2) / scale), and the crop that centres it makes `out = in*scale`:

    tconv.prepare(bilinear(2, channels=3), geometry=upsampling((4, 4), 2), groups=3)

Inside the picture these are the values of torch.nn.functional.interpolate(align_corners=False). At the border zeros
are taken beyond the edge, where PyTorch repeats the edge cells: the result fades out. To get PyTorch's border too,
replicate `radius(...)` cells on each side before, and crop their share with `upsampling(..., replicated=radius(...))`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tconv import errors
from tconv.arrays import Array
from tconv.geometry import Axis, Geometry, Sizes
from tconv.geometry.arguments import Ints, at_least_one, integer, per_axis

CUBIC = -0.75  # the free parameter of cubic convolution; Keys recommends -0.5, PyTorch and OpenCV use -0.75

__all__ = ["bicubic", "bilinear", "nearest", "radius", "upsampling"]


def nearest(scale: Ints, ndim: int = 2, channels: int = 1, dtype: DTypeLike = np.float32) -> Array:
    """Depthwise weights that repeat every cell `scale` times.

    Args:
        scale: output cells per input cell, at least 1; an int or one per axis.
        ndim: number of spatial axes.
        channels: number of channels; each gets the same kernel.
        dtype: floating-point or complex (and, for `nearest`, integer).

    Returns:
        (channels, 1, *kernel); the kernel has `scale` taps per axis. Use it with `groups=channels`.

    Raises:
        StrideError, LengthError, ChannelError, DtypeError, ArgumentTypeError: as their names say.

    >>> nearest(2, ndim=1)
    array([[[1., 1.]]], dtype=float32)
    """
    return _weights(np.ones, scale, ndim, channels, _dtype(dtype, "iufc"))


def bilinear(scale: Ints, ndim: int = 2, channels: int = 1, dtype: DTypeLike = np.float32) -> Array:
    """Depthwise weights of linear, bilinear or trilinear interpolation, by `ndim`.

    Arguments, result and errors as `nearest`; the kernel has 2*scale taps per axis, 2*scale - 1 if the scale is odd.

    >>> bilinear(2, ndim=1)
    array([[[0.25, 0.75, 0.75, 0.25]]], dtype=float32)
    """
    return _weights(lambda s: _hat(_distances(1, s)), scale, ndim, channels, _dtype(dtype, "fc"))


def bicubic(scale: Ints, ndim: int = 2, channels: int = 1, dtype: DTypeLike = np.float32) -> Array:
    """Depthwise weights of cubic convolution with a = -0.75.

    Arguments, result and errors as `nearest`; the kernel has 4*scale taps per axis, 4*scale - 1 if the scale is odd.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29(6), 1981.
    """
    return _weights(lambda s: _cubic(_distances(2, s)), scale, ndim, channels, _dtype(dtype, "fc"))


def upsampling(kernel_size: Ints, scale: Ints, replicated: Ints = 0) -> Geometry:
    """The geometry with stride `scale` and the centred crop, so that `out = in*scale`; for any kernel.

    Where kernel - scale is odd no crop is central: the larger half goes to the high end, as in Keras. A kernel that is
    smaller than the scale leaves cells that nothing reaches (`Geometry.coverage` counts them).

    Args:
        kernel_size: taps; an int or one per axis.
        scale: the stride; an int or one per axis.
        replicated: cells that the input was extended by on each side; `out = (in - 2*replicated)*scale`.

    Raises:
        KernelError, StrideError, LengthError, ArgumentTypeError: as their names say.
        PaddingError: `replicated` is negative.

    >>> print(upsampling((4, 4), 2))
    2-D: kernel 4x4, stride 2, dilation 1, crop (1, 1)
    >>> upsampling((4, 4), 2).output_size((5, 7))
    (10, 14)
    """
    axes = Geometry(kernel_size, stride=scale).axes
    extended = per_axis("replicated", replicated, len(axes))
    if min(extended) < 0:
        raise errors.PaddingError(f"replicated {extended} must not be negative")
    return Geometry.from_axes([_centred(axis, cells) for axis, cells in zip(axes, extended, strict=True)])


def radius(kernel_size: Ints, scale: Ints) -> Sizes:
    """How many cells beyond the input's edge `upsampling(kernel_size, scale)` would read, if there were any, per axis.

    Arguments and errors as `upsampling`.

    >>> radius((1, 4, 8), 2)
    (0, 1, 2)
    """
    return tuple(_reach(axis) for axis in upsampling(kernel_size, scale).axes)


def _centred(axis: Axis, replicated: int) -> Axis:
    surplus = axis.kernel - axis.stride
    beyond = replicated * axis.stride
    return Axis(axis.kernel, axis.stride, 1, surplus // 2 + beyond, surplus - surplus // 2 + beyond)


def _reach(axis: Axis) -> int:
    """The first output reads inputs from -below, the last up to `above` beyond the last."""
    below = (axis.kernel - 1 - axis.crop_lo) // axis.stride
    above = (axis.stride - 1 + axis.crop_lo) // axis.stride
    return max(below, above, 0)


def _distances(reach: int, scale: int) -> Array:
    """Distance of every tap from the kernel's centre, in input cells, for a function that vanishes from `reach` on."""
    size = 2 * reach * scale - scale % 2  # an odd scale puts the outermost taps at `reach`, where they are zero
    distances: Array = np.abs(np.arange(size) - (size - 1) / 2) / scale
    return distances


def _hat(t: Array) -> Array:
    return 1 - t


def _cubic(t: Array) -> Array:
    a = CUBIC
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((t - 5) * t + 8) * t * a - 4 * a
    return np.where(t <= 1, near, far)


def _weights(profile: Callable[[int], Array], scale: Ints, ndim: int, channels: int, dtype: np.dtype[Any]) -> Array:
    """The separable kernel whose factor on an axis is `profile(scale of that axis)`, once per channel."""
    at_least_one("ndim", integer("ndim", ndim), errors.LengthError)
    at_least_one("channels", integer("channels", channels), errors.ChannelError)
    scales = per_axis("scale", scale, ndim)
    for s in scales:
        at_least_one("scale", s, errors.StrideError)
    kernel = reduce(np.multiply.outer, [profile(s) for s in scales]).astype(dtype)
    return np.tile(kernel, (channels, 1) + (1,) * ndim)


def _dtype(dtype: DTypeLike, kinds: str) -> np.dtype[Any]:
    """`dtype` if its kind is one of `kinds` (interpolation needs fractions)."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise errors.DtypeError(f"dtype {dtype!r} is not a NumPy dtype") from None
    if found.kind not in kinds and found.name != "bfloat16":
        raise errors.DtypeError(f"dtype {found} cannot hold this kernel's values; use a floating-point dtype")
    return found
