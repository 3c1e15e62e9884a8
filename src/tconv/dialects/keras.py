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
from tconv.arrays import Array
from tconv.dialects.layouts import ranked
from tconv.geometry import Axis, Geometry
from tconv.geometry.arguments import Ints, is_sequence, per_axis

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
        raise errors.PaddingError(f"padding {padding!r} is unknown; Keras has 'valid' and 'same' here")
    ndim = _ndim(kernel_size, strides, output_padding, dilation_rate) if ndim is None else ndim
    full = Geometry.from_torch(kernel_size, strides, dilation=dilation_rate, ndim=ndim)
    extra: tuple[int | None, ...] = (None,) * full.ndim
    if output_padding is not None:
        extra = per_axis("output_padding", output_padding, full.ndim)
    for number, (axis, op) in enumerate(zip(full.axes, extra, strict=True)):
        if op is not None and not 0 <= op < axis.stride:
            raise errors.OutputPaddingError(
                f"axis {number}: output_padding {op} must be at least 0 and smaller than strides {axis.stride}"
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
    """Keras's kernel (*kernel_size, filters, in_channels) as tconv's weight (in_channels, filters, *kernel_size).

    It is a view, no tap is flipped. Keras's layers have no groups; a grouped kernel of TensorFlow, (*kernel_size,
    filters/groups, in_channels), converts in the same way.

    Raises:
        RankError: fewer than 3 dimensions.
    """
    return np.moveaxis(ranked("kernel", kernel, "(*kernel_size, filters, in_channels)"), (-1, -2), (0, 1))


def weight_to_keras(weight: Any) -> Array:
    """tconv's weight (in_channels, out_channels, *kernel) as Keras's (*kernel, out_channels, in_channels); a view.

    Raises:
        RankError: fewer than 3 dimensions.
    """
    return np.moveaxis(ranked("weight", weight, "(in_channels, out_channels, *kernel)"), (0, 1), (-1, -2))


def _ndim(*arguments: Any) -> int:
    return max((len(value) for value in arguments if is_sequence(value)), default=1)


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
        spread = tuple(axis.extent for axis in geometry.axes)
        raise errors.DialectError(
            f"Keras's layers refuse strides {geometry.stride} together with dilation_rate {geometry.dilation}, one of "
            f"them must be 1; put zeros between the taps: kernel_size {spread}, dilation_rate 1"
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
            f"axis {number}: crop ({axis.crop_lo}, {axis.crop_hi}) is none of Keras's: 'valid' crops "
            f"(0, -output_padding), 'same' crops {axis.extent - axis.extent % 2} - output_padding cells "
            f"({axis.extent - axis.stride} if it is None), half of them, rounded down, at the low end, where "
            f"0 <= output_padding < strides {axis.stride}; {_detour(geometry)}"
        )
    return found


def _detour(geometry: Geometry) -> str:
    """Steps that any crop can be written with."""
    return (
        f"use padding 'valid', output_padding 0 and use_bias=False, cut {geometry.crop} cells off the ends of the "
        f"result (a negative number adds zeros), then add the bias"
    )
