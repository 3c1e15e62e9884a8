"""Keras 3: `keras.layers.Conv1DTranspose/2D/3D` and `keras.ops.conv_transpose`, whatever backend runs them.

The result has stride*(in-1) + kept cells; what the full canvas has beyond that is cut, half of it at the low end:

    padding     output_padding None     output_padding given
    "valid"     max(extent, stride)     extent + output_padding
    "same"      stride                  extent % 2 + output_padding        (extent = dilation_rate*(kernel_size-1) + 1)

    surplus = extent - kept,   crop_lo = max(surplus, 0) // 2,   crop_hi = surplus - crop_lo

TensorFlow's SAME and VALID are the first column. One setting depends on the backend: "same" with an even extent and
output_padding 0 gives stride*(in-1) cells on JAX and torch, and TensorFlow refuses to run it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.geometry import Axis, Geometry
from tconv.geometry.arguments import Ints, per_axis

Spelling: TypeAlias = tuple[str, int | None]  # padding, output_padding


def from_keras(
    kernel_size: Ints,
    strides: Ints = 1,
    padding: str = "valid",
    output_padding: Ints | None = None,
    dilation_rate: Ints = 1,
    ndim: int | None = None,
) -> Geometry:
    """The geometry of a layer written with Keras's parameters (docs of keras.layers.Conv2DTranspose).

    Args:
        padding: "valid" or "same", in any case.
        output_padding: `0 <= output_padding < strides`; without it the size follows from padding alone.
        dilation_rate: may be above 1 together with strides, as in `keras.ops.conv_transpose`; the layers refuse that.
        ndim: number of spatial axes, where every argument is a plain int (default 1).

    Raises:
        PaddingError, OutputPaddingError: as their names say; and what `Geometry` raises.

    >>> from_keras(3, strides=2, padding="same").crop
    ((0, 1),)
    >>> from_keras(3, strides=2, padding="same", output_padding=0).crop
    ((1, 1),)
    """
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise errors.PaddingError(f"padding {padding!r} is unknown; Keras's transposed convolutions have 'valid' and 'same'")
    full = Geometry.from_torch(kernel_size, strides, dilation=dilation_rate, ndim=ndim)
    extra: tuple[int | None, ...] = (None,) * full.ndim
    if output_padding is not None:
        extra = per_axis("output_padding", output_padding, full.ndim)
    for number, (axis, op) in enumerate(zip(full.axes, extra, strict=True)):
        if op is not None and not 0 <= op < axis.stride:
            raise errors.OutputPaddingError(
                f"output_padding {op} (axis {number}) must be at least 0 and smaller than strides {axis.stride}, as Keras "
                f"demands"
            )
    crop = tuple(_crop(axis, padding.lower(), op) for axis, op in zip(full.axes, extra, strict=True))
    return Geometry(full.kernel, full.stride, full.dilation, crop)


def to_keras(geometry: Geometry) -> dict[str, Any]:
    """kernel_size, strides, padding, output_padding and dilation_rate of `keras.layers.ConvNDTranspose`.

    output_padding is None where the geometry does not need it.

    Raises:
        DialectError: Keras cannot make this crop, or not these crops together; strides and dilation_rate are both above
            1; or there are more than 3 axes.

    >>> to_keras(Geometry(4, stride=2, crop=(1, 1)))
    {'kernel_size': (4,), 'strides': (2,), 'padding': 'same', 'output_padding': None, 'dilation_rate': (1,)}
    """
    _check_layer(geometry)
    spellings = [_spellings(number, axis, geometry) for number, axis in enumerate(geometry.axes)]
    for padding, default in (("valid", True), ("same", True), ("valid", False), ("same", False)):
        found = [[op for name, op in each if name == padding and (op is None) == default] for each in spellings]
        if all(found):
            return {
                "kernel_size": geometry.kernel,
                "strides": geometry.stride,
                "padding": padding,
                "output_padding": None if default else tuple(ops[0] for ops in found),
                "dilation_rate": geometry.dilation,
            }
    needs = (
        f"axis {number} needs {' or '.join(f'padding {name!r} with output_padding {op}' for name, op in each)}"
        for number, each in enumerate(spellings)
    )
    raise errors.DialectError(
        f"Keras has one padding for all axes, and output_padding None for all or none: {', '.join(needs)}; "
        f"{_detour(geometry)}"
    )


def weight_from_keras(kernel: Any) -> Array:
    """Keras's kernel (*kernel_size, filters, in_channels) as tconv's weight (in_channels, filters, *kernel_size); a view.

    No tap is flipped. Keras's layers have no groups; a grouped kernel of TensorFlow, (*kernel_size, filters/groups,
    in_channels), converts in the same way.

    Raises:
        RankError: fewer than 3 dimensions.
    """
    return np.moveaxis(_ranked("kernel", kernel, "(*kernel_size, filters, in_channels)"), (-1, -2), (0, 1))


def weight_to_keras(weight: Any) -> Array:
    """tconv's weight (in_channels, out_channels, *kernel) as Keras's (*kernel, out_channels, in_channels); a view."""
    return np.moveaxis(_ranked("weight", weight, "(in_channels, out_channels, *kernel)"), (0, 1), (-1, -2))


def from_channels_last(x: Any) -> Array:
    """(batch, *size, channels), `data_format="channels_last"`, as (batch, channels, *size); a view.

    >>> from_channels_last(np.zeros((1, 5, 6, 3))).shape
    (1, 3, 5, 6)
    """
    return np.moveaxis(_ranked("input", x, "(batch, *size, channels)"), -1, 1)


def to_channels_last(x: Any) -> Array:
    """(batch, channels, *size) as (batch, *size, channels), `data_format="channels_last"`; a view."""
    return np.moveaxis(_ranked("input", x, "(batch, channels, *size)"), 1, -1)


def _crop(axis: Axis, padding: str, output_padding: int | None) -> tuple[int, int]:
    """(crop_lo, crop_hi): the table at the top of this file."""
    if padding == "same":
        kept = axis.stride if output_padding is None else axis.extent % 2 + output_padding
    else:
        kept = max(axis.extent, axis.stride) if output_padding is None else axis.extent + output_padding
    surplus = axis.extent - kept
    lo = max(surplus, 0) // 2
    return lo, surplus - lo


def _check_layer(geometry: Geometry) -> None:
    if geometry.ndim > 3:
        raise errors.DialectError(
            f"Keras has Conv1DTranspose, 2D and 3D, none for {geometry.ndim} spatial axes; compute it with tconv"
        )
    if max(geometry.stride) > 1 and max(geometry.dilation) > 1:
        raise errors.DialectError(
            f"Keras's layers refuse strides {geometry.stride} together with dilation_rate {geometry.dilation}, one of them "
            f"must be 1; put zeros between the taps: kernel_size {tuple(a.extent for a in geometry.axes)}, dilation_rate 1"
        )


def _spellings(number: int, axis: Axis, geometry: Geometry) -> list[Spelling]:
    """Every padding and output_padding that crops `axis` as it is cropped."""
    cut = axis.crop_lo + axis.crop_hi
    explicit = [("valid", -cut), ("same", axis.extent - axis.extent % 2 - cut)]
    candidates: list[Spelling] = [("valid", None), ("same", None)]
    candidates += [(padding, op) for padding, op in explicit if 0 <= op < axis.stride]
    found = [spelling for spelling in candidates if _crop(axis, *spelling) == (axis.crop_lo, axis.crop_hi)]
    if not found:
        raise errors.DialectError(
            f"axis {number}: crop ({axis.crop_lo}, {axis.crop_hi}) is none of Keras's: 'valid' crops (0, -output_padding), "
            f"'same' crops {axis.extent - axis.extent % 2} - output_padding cells ({axis.extent - axis.stride} if it is "
            f"None), half of them, rounded down, at the low end; 0 <= output_padding < strides {axis.stride}; "
            f"{_detour(geometry)}"
        )
    return found


def _detour(geometry: Geometry) -> str:
    """Steps that any crop can be written with."""
    return (
        f"use padding 'valid', output_padding 0 and use_bias=False, cut {geometry.crop} cells off the ends of the result "
        f"(a negative number appends zeros), then add the bias"
    )


def _ranked(name: str, value: Any, layout: str) -> Array:
    array = as_array(name, value)
    if array.ndim < 3:
        raise errors.RankError(f"{name} has shape {array.shape}; it must be {layout}, 3 dimensions or more")
    return array
