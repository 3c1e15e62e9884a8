"""`Setting`: all of a call of the operator but its two arrays, judged and in one spelling."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tconv.dialects import from_flax, to_flax
from tconv.geometry import Geometry

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
        groups: channel groups: of `conv_general_dilated`, and of `jax.vmap` over both arrays.
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


def of_conv_transpose(lhs: Shape, rhs: Shape, arguments: Mapping[str, Any]) -> Setting:
    """The setting of a call of `jax.lax.conv_transpose` that JAX has judged, with one spatial axis at least."""
    strides, padding = arguments["strides"], arguments["padding"]
    dilation = arguments["rhs_dilation"] or (1,) * len(strides)
    numbers = lax.conv_dimension_numbers(lhs, rhs, arguments["dimension_numbers"] or _usual(len(lhs)))
    kernel = tuple(rhs[axis] for axis in numbers.rhs_spec[2:])
    if isinstance(padding, str):
        padding = to_flax(from_flax(kernel, strides, padding, dilation))["padding"]
    elif arguments.get("use_consistent_padding"):  # a crop, as PyTorch's
        extents = [step * (taps - 1) for step, taps in zip(dilation, kernel, strict=True)]
        padding = tuple((extent - lo, extent - hi) for extent, (lo, hi) in zip(extents, padding, strict=True))
    first, second, *rest = numbers.rhs_spec
    mirrored = not arguments["transpose_kernel"]
    axes = (first, second, *rest) if mirrored else (second, first, *rest)
    lhs_axes, out_axes = tuple(numbers.lhs_spec), tuple(numbers.out_spec)
    return Setting(strides, padding, dilation, lhs_axes, axes, out_axes, mirrored, 1, arguments["precision"])


def of_conv_general_dilated(lhs: Shape, rhs: Shape, arguments: Mapping[str, Any]) -> Setting:
    """The same of `jax.lax.conv_general_dilated` with window strides of 1 and dilations of the input."""
    numbers = lax.conv_dimension_numbers(lhs, rhs, arguments["dimension_numbers"])
    strides, groups = arguments["lhs_dilation"], arguments["feature_group_count"]
    dilation = arguments["rhs_dilation"] or (1,) * len(strides)
    specs = tuple(numbers.lhs_spec), tuple(numbers.rhs_spec), tuple(numbers.out_spec)
    return Setting(strides, arguments["padding"], dilation, *specs, True, groups, arguments["precision"])


def _usual(ndim: int) -> tuple[str, str, str]:
    """`jax.lax.conv_transpose`'s layout where none is said."""
    return {
        3: ("NHC", "HIO", "NHC"),
        4: ("NHWC", "HWIO", "NHWC"),
        5: ("NHWDC", "HWDIO", "NHWDC"),
    }[ndim]


def plain(value: Any) -> Any:
    """An argument as JAX's caches need it: sequences as tuples, whole numbers as ints.

    Raises TypeError for other numbers, symbolic ones among them: 2.0 equals 2, and must not be answered like it.
    """
    if isinstance(value, list | tuple | np.ndarray) and not hasattr(value, "_fields"):
        return tuple(plain(entry) for entry in value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, str | Enum | type | np.dtype) or hasattr(value, "_fields"):
        return value
    raise TypeError(f"{value!r} is no plain argument")
