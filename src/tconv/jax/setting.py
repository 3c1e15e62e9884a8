"""`Setting`: all of a call of the operator but its two arrays, judged and in one spelling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from tconv.dialects import from_flax, to_flax
from tconv.geometry import Geometry

LAX = lax.conv_transpose  # JAX's own, whatever `patched` puts in its place
DTYPES = ("float32", "float64", "bfloat16", "float16")

Axes = tuple[int, ...]
Shape = tuple[int, ...]


class Setting(NamedTuple):
    """Hashable, as JAX's parameters must be.

    Attributes:
        strides, padding, dilation: per spatial axis; padding as (lo, hi) of the input with zeros inserted, as in JAX.
        lhs, out: the numbers of the axes (batch, channels, *size) in the arrays.
        rhs: the numbers of the axes (out_channels, in_channels/groups, *kernel).
        mirrored: whether taps count from the last one, which is JAX's default; else the kernel is everybody else's.
        groups: channel groups; JAX's function has one, and `jax.vmap` over both arrays makes more.
        precision: for JAX's own operator. The core's sums are at least as exact as "highest".
    """

    strides: Axes
    padding: tuple[tuple[int, int], ...]
    dilation: Axes
    lhs: Axes
    rhs: Axes
    out: Axes
    mirrored: bool
    groups: int = 1
    precision: Any = None

    def geometry(self, rhs: Shape) -> Geometry:
        """tconv's own parameters, for a weight of this shape."""
        return from_flax(tuple(rhs[axis] for axis in self.rhs[2:]), self.strides, self.padding, self.dilation)

    def result_shape(self, lhs: Shape, rhs: Shape) -> Shape:
        """In the order of the result's own axes."""
        sizes = self.geometry(rhs).output_size(tuple(lhs[axis] for axis in self.lhs[2:]))
        shape = [0] * len(lhs)
        for axis, size in zip(self.out, (lhs[self.lhs[0]], rhs[self.rhs[0]], *sizes), strict=True):
            shape[axis] = size
        return tuple(shape)

    def lax(self, lhs: Any, rhs: Any) -> jax.Array:
        """The same by JAX's own operator."""
        if not self.mirrored:
            rhs = jnp.flip(rhs, self.rhs[2:])
        return lax.conv_general_dilated(
            lhs,
            rhs,
            (1,) * len(self.strides),
            self.padding,
            lhs_dilation=self.strides,
            rhs_dilation=self.dilation,
            dimension_numbers=lax.ConvDimensionNumbers(self.lhs, self.rhs, self.out),
            feature_group_count=self.groups,
            precision=self.precision,
        )


def setting_of(
    lhs: Shape,
    rhs: Shape,
    strides: Axes,
    padding: Any,
    dilation: Axes,
    dimension_numbers: Any,
    transpose_kernel: bool,
    precision: Any,
    consistent: bool,
) -> Setting | None:
    """The setting of a call that JAX has judged; None if there is nothing in it for the core."""
    if len(lhs) < 3 or 0 in (*lhs, *rhs):
        return None
    numbers = lax.conv_dimension_numbers(lhs, rhs, dimension_numbers or _usual(len(lhs)))
    kernel = tuple(rhs[axis] for axis in numbers.rhs_spec[2:])
    if isinstance(padding, str):
        padding = to_flax(from_flax(kernel, strides, padding, dilation))["padding"]
    elif consistent:  # a crop, as PyTorch's
        extents = [step * (taps - 1) for step, taps in zip(dilation, kernel, strict=True)]
        padding = tuple((extent - lo, extent - hi) for extent, (lo, hi) in zip(extents, padding, strict=True))
    first, second, *rest = numbers.rhs_spec
    axes = (second, first, *rest) if transpose_kernel else (first, second, *rest)
    return Setting(
        strides, padding, dilation, numbers.lhs_spec, axes, numbers.out_spec, not transpose_kernel, 1, precision
    )


def _usual(ndim: int) -> tuple[str, str, str]:
    """`jax.lax.conv_transpose`'s layout where none is said."""
    return {
        3: ("NHC", "HIO", "NHC"),
        4: ("NHWC", "HWIO", "NHWC"),
        5: ("NHWDC", "HWDIO", "NHWDC"),
    }[ndim]


def plain(values: Sequence[Any]) -> Axes:
    """A sequence of integers as a hashable one. Raises TypeError for what is none, such as a symbolic size."""
    if any(not hasattr(value, "__index__") or isinstance(value, bool) for value in values):
        raise TypeError(values)
    return tuple(int(value.__index__()) for value in values)
