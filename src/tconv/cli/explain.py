"""`tconv explain`: every form of a small transposed convolution, number by number."""

from __future__ import annotations

from math import prod
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from tconv import errors
from tconv.arrays import Array
from tconv.cli.options import DEFAULTS, GeometryOptions, Written, integers, read_array
from tconv.cli.screen import show
from tconv.explorer.text import text
from tconv.explorer.trace import trace
from tconv.geometry import Sizes
from tconv.geometry.arguments import per_axis

EXAMPLE_X = np.array([[2, 3], [1, 3]])
EXAMPLE_W = np.array([[0, 1, 1], [0, 1, 0], [1, 0, 1]])


def explain(
    *,
    x: Written | None = None,
    w: Written | None = None,
    bias: Written | None = None,
    in_size: Annotated[str | None, Parameter(name="--in")] = None,
    kernel: str | None = None,
    geometry: GeometryOptions = DEFAULTS,
    form: str = "all",
) -> None:
    """Show every form of a small transposed convolution, number by number.

    One sample with one or two spatial axes; without arrays, a 2x2 input and a
    3x3 kernel. All forms are computed, and compared with the compiled core.

        tconv explain
        tconv explain --stride 2 --padding 1 --output-padding 1
        tconv explain --x [1,2,3] --w [1,2,1] --stride 2 --form scatter
        tconv explain --in 3x3 --kernel 2 --stride 3 --bias 5 --form gather

    Args:
        x: The input: numbers as in [[2,3],[1,3]], or a .npy file; (*size), or (channels, *size).
        w: The kernel, likewise; (*kernel), or (in_channels, out_channels, *kernel).
        bias: A number, or a list with one per output channel.
        in_size: Size of an example input, instead of --x: 3 or 2x2.
        kernel: Size of an example kernel, instead of --w: 3 or 3x3.
        form: all, or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, adjoint, agreement.
    """
    inputs, weight, ndim = _arrays(x, w, in_size, kernel)
    layer = geometry.geometry(weight.shape[-ndim:], ndim)
    if layer.ndim != ndim:
        raise errors.LengthError(f"the options speak of {layer.ndim} axes, the kernel of {ndim}; give as many for each")
    show(text(trace(layer, inputs, weight, None if bias is None else read_array("bias", bias)), form))


def _arrays(x: str | None, w: str | None, in_size: str | None, kernel: str | None) -> tuple[Array, Array, int]:
    """Input, kernel and the number of spatial axes; what is not given becomes an example."""
    for array, size, options in ((x, in_size, "--x or --in"), (w, kernel, "--w or --kernel")):
        if array is not None and size is not None:
            raise errors.TconvError(f"give {options}, not both: one has the numbers, the other makes some of that size")
    inputs = None if x is None else _at_least_one_axis("x", read_array("x", x))
    weight = None if w is None else _at_least_one_axis("w", read_array("w", w))
    if inputs is not None and weight is not None:
        return inputs, weight, _spatial_axes(inputs, weight)
    if inputs is None and weight is None:
        lengths = [len(_sizes(name, text) or ()) for name, text in (("--in", in_size), ("--kernel", kernel))]
        ndim = max(lengths) or 2
        return _input(_sizes("--in", in_size), ndim), _weight(_sizes("--kernel", kernel), ndim), ndim
    if inputs is not None:
        ndim = min(inputs.ndim, 2)
        return inputs, _weight(_sizes("--kernel", kernel), ndim), ndim
    assert weight is not None
    ndim = _spatial_axes(None, weight)
    return _input(_sizes("--in", in_size), ndim), weight, ndim


def _sizes(option: str, text: str | None) -> Sizes | None:
    return None if text is None else integers(option, text)


def _at_least_one_axis(option: str, array: Array) -> Array:
    if array.size == 0 or array.ndim == 0:
        raise errors.InputSizeError(f"--{option} must have at least one number in brackets, as in [1,2,3]")
    return array


def _spatial_axes(x: Array | None, w: Array) -> int:
    """How many there are: channels add two axes to the kernel; to the input one, and a batch another."""
    ndim = w.ndim if w.ndim <= 2 else w.ndim - 2
    if x is not None and x.ndim not in (ndim, ndim + 1, ndim + 2):
        raise errors.RankError(
            f"--x with shape {x.shape} and --w with shape {w.shape} do not fit; give (*size) and (*kernel), or "
            f"(channels, *size) and (in_channels, out_channels, *kernel)"
        )
    return ndim


def _input(size: Sizes | None, ndim: int) -> Array:
    """The example input: of a size that was asked for, 1, 2, 3, ..."""
    if size is None:
        return EXAMPLE_X if ndim == 2 else EXAMPLE_X[0]
    return _counting(per_axis("in", size, ndim))


def _weight(size: Sizes | None, ndim: int) -> Array:
    """The example kernel: of a size that was asked for, 1, 2, 3, ..."""
    if size is None:
        return EXAMPLE_W if ndim == 2 else np.array([1, 2, 1])
    return _counting(per_axis("kernel", size, ndim))


def _counting(size: Sizes) -> Array:
    if min(size) < 1 or prod(size) > 10**6:
        raise errors.TooLargeError(f"an example of {'x'.join(map(str, size))} cells cannot be shown; give a small size")
    return (np.arange(prod(size)) % 9 + 1).reshape(size)
