"""JAX: `flax.linen.ConvTranspose` and the `jax.lax.conv_transpose` that it calls.

"SAME" and "VALID" are TensorFlow's. A pair (lo, hi) means something else: zeros put around the zero-inserted input, on
which the kernel then slides, so more of it cuts less:

    crop = (extent - 1 - lo, extent - 1 - hi),   extent = kernel_dilation*(kernel_size-1) + 1

(lax's newer `use_consistent_padding=True` reads a pair as the crop itself: that is `Geometry(..., crop=pairs)`.)

By default JAX does not flip the kernel, which makes it the mirror image of everybody else's; with transpose_kernel=True
it is Keras's. There are no groups. Arrays are channels-last: see `from_channels_last`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.dialects.layouts import ranked
from tconv.geometry import Geometry
from tconv.geometry.arguments import Ints, is_sequence, pairs_per_axis

FlaxPadding: TypeAlias = str | int | Sequence[int | tuple[int, int]]


def from_flax(
    kernel_size: Ints,
    strides: Ints | None = 1,
    padding: FlaxPadding = "SAME",
    kernel_dilation: Ints | None = 1,
) -> Geometry:
    """The geometry of a layer written with Flax's parameters (docs of flax.linen.ConvTranspose).

    Args:
        kernel_size: an int for one axis, else one entry per axis.
        padding: "SAME", "VALID", or an int or (lo, hi) pair per axis: padding of the zero-inserted input, not a crop.

    Raises:
        PaddingError: an unknown padding.
        DialectError: padding "CIRCULAR".
        LengthError: as its name says; and what `Geometry` raises.

    >>> from_flax((3,), 2).crop
    ((0, 1),)
    >>> from_flax((3,), 2, padding=[(1, 2)]).crop
    ((1, 0),)
    """
    ndim = len(kernel_size) if is_sequence(kernel_size) else 1
    strides, dilation = 1 if strides is None else strides, 1 if kernel_dilation is None else kernel_dilation
    name = _named(padding) if isinstance(padding, str) else "valid"
    named = Geometry.from_torch(kernel_size, strides, name, dilation=dilation, ndim=ndim)
    if isinstance(padding, str):
        return named
    pairs = zip(named.axes, _pairs(padding, ndim), strict=True)
    crop = tuple((axis.extent - 1 - lo, axis.extent - 1 - hi) for axis, (lo, hi) in pairs)
    return Geometry(named.kernel, named.stride, named.dilation, crop)


def to_flax(geometry: Geometry) -> dict[str, tuple[Any, ...]]:
    """kernel_size, strides, padding and kernel_dilation of `flax.linen.ConvTranspose`; padding always as pairs.

    `jax.lax.conv_transpose` calls the last one rhs_dilation. Every crop can be written.

    Raises:
        DialectError: more than 3 axes.

    >>> to_flax(Geometry(3, stride=2, crop=(1, 0)))
    {'kernel_size': (3,), 'strides': (2,), 'padding': ((1, 2),), 'kernel_dilation': (1,)}
    """
    if geometry.ndim > 3:
        raise errors.DialectError(
            f"JAX's conv_transpose has 1 to 3 spatial axes by default, not {geometry.ndim}; compute it with tconv"
        )
    return {
        "kernel_size": geometry.kernel,
        "strides": geometry.stride,
        "padding": tuple((axis.extent - 1 - axis.crop_lo, axis.extent - 1 - axis.crop_hi) for axis in geometry.axes),
        "kernel_dilation": geometry.dilation,
    }


def weight_from_flax(kernel: Any, transpose_kernel: bool = False) -> Array:
    """Flax's kernel as tconv's weight (in_channels, out_channels, *kernel); a view.

    Args:
        kernel: (*kernel, in_channels, out_channels), whose taps are flipped here; or, if `transpose_kernel`,
            (*kernel, out_channels, in_channels), as they are.
        transpose_kernel: as in the layer. A flipped view has negative strides, which torch.from_numpy does not take:
            pass np.ascontiguousarray of it.

    Raises:
        RankError: fewer than 3 dimensions.
    """
    kernel = ranked("kernel", kernel, "(*kernel, in_channels, out_channels)")
    if transpose_kernel:
        return np.moveaxis(kernel, (-1, -2), (0, 1))
    return _flipped(np.moveaxis(kernel, (-2, -1), (0, 1)))


def weight_to_flax(weight: Any, transpose_kernel: bool = False) -> Array:
    """tconv's weight (in_channels, out_channels, *kernel) as Flax's kernel; a view. The inverse of `weight_from_flax`.

    Raises:
        RankError: fewer than 3 dimensions.
    """
    weight = ranked("weight", weight, "(in_channels, out_channels, *kernel)")
    if transpose_kernel:
        return np.moveaxis(weight, (0, 1), (-1, -2))
    return np.moveaxis(_flipped(weight), (0, 1), (-2, -1))


def _named(padding: str) -> str:
    """Keras's name for a padding that JAX has a name for."""
    if padding == "CIRCULAR":
        raise errors.DialectError(
            "padding 'CIRCULAR' wraps what sticks out at one end around to the other, which no crop does; convert the "
            "layer with padding 'VALID' and wrap its result"
        )
    if padding not in ("SAME", "VALID"):
        raise errors.PaddingError(
            f"padding {padding!r} is unknown; JAX has 'SAME' and 'VALID' in capitals, and one (lo, hi) pair per axis"
        )
    return padding.lower()


def _pairs(padding: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """One (lo, hi) per axis; an int, alone or as an entry, is for both ends."""
    entries = padding if is_sequence(padding) else (padding,) * ndim
    return pairs_per_axis("padding", [entry if is_sequence(entry) else (entry, entry) for entry in entries], ndim)


def _flipped(weight: Array) -> Array:
    return np.flip(weight, tuple(range(2, weight.ndim)))
