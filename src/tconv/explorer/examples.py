"""The arrays of an explanation: the reader's own, or examples of a size."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array, as_array
from tconv.geometry import Sizes
from tconv.geometry.arguments import Ints, is_sequence, per_axis

EXAMPLE_X = np.array([[2, 3], [1, 3]])
EXAMPLE_W = np.array([[0, 1, 1], [0, 1, 0], [1, 0, 1]])


def arrays(x: Any, w: Any, in_size: Ints | None, kernel: Ints | None) -> tuple[Array, Array, int]:
    """Input, kernel and the number of spatial axes; what is not given becomes an example.

    Raises:
        TconvError: an array and a size for the same thing.
        InputSizeError: an array without a number.
        RankError: arrays whose ranks do not fit.
    """
    for array, size, names in ((x, in_size, "x or in_size"), (w, kernel, "w or kernel")):
        if array is not None and size is not None:
            raise errors.TconvError(f"give {names}, not both: one has the numbers, the other makes some of that size")
    x = None if x is None else _at_least_one_axis("x", x)
    w = None if w is None else _at_least_one_axis("w", w)
    if w is not None:
        ndim = _spatial_axes(x, w)
    elif x is not None:
        ndim = _length(kernel) or min(x.ndim, 2)
    else:
        ndim = max(_length(in_size), _length(kernel)) or 2
    return _input(in_size, ndim) if x is None else x, _weight(kernel, ndim) if w is None else w, ndim


def _length(sizes: Ints | None) -> int:
    """How many axes somebody speaks of; an int speaks of none in particular."""
    return len(sizes) if is_sequence(sizes) else 0


def _at_least_one_axis(name: str, value: Any) -> Array:
    array = as_array(name, value)
    if array.size == 0 or array.ndim == 0:
        raise errors.InputSizeError(f"{name} must have at least one number in brackets, as in [1,2,3]")
    return array


def _spatial_axes(x: Array | None, w: Array) -> int:
    """How many there are: channels add two axes to the kernel; to the input one, and a batch another."""
    ndim = w.ndim if w.ndim <= 2 else w.ndim - 2
    if x is not None and x.ndim not in (ndim, ndim + 1, ndim + 2):
        raise errors.RankError(
            f"x with shape {x.shape} and w with shape {w.shape} do not fit; give (*size) and (*kernel), or "
            f"(channels, *size) and (in_channels, out_channels, *kernel)"
        )
    return ndim


def _input(size: Ints | None, ndim: int) -> Array:
    """The example input: of a size that was asked for, 1, 2, 3, ..."""
    if size is None:
        return EXAMPLE_X[0] if ndim == 1 else EXAMPLE_X if ndim == 2 else counting((2,) * ndim)
    return counting(per_axis("in_size", size, ndim))


def _weight(size: Ints | None, ndim: int) -> Array:
    """The example kernel: of a size that was asked for, 1, 2, 3, ..."""
    if size is None:
        return np.array([1, 2, 1]) if ndim == 1 else EXAMPLE_W if ndim == 2 else counting((2,) * ndim)
    return counting(per_axis("kernel", size, ndim))


def counting(size: Sizes) -> Array:
    """1 to 9 again and again, in this shape.

    >>> counting((2, 3)).tolist()
    [[1, 2, 3], [4, 5, 6]]
    """
    if min(size) < 1 or prod(size) > 10**6:
        raise errors.TooLargeError(f"an example of {'x'.join(map(str, size))} cells cannot be shown; give a small size")
    return (np.arange(prod(size)) % 9 + 1).reshape(size)
