"""Operators that take one number of a window."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.geometry import Forward, Geometry
from tconv.onnx.importing.borders import Pairs, beyond, flat, pairs_of
from tconv.onnx.importing.operators import Operator, Table, refused_values

MAX: dict[int, Callable[..., Any]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    storage_order: int = 0,
) -> Tensor:
    """The largest number of each window."""
    kernel = tuple(kernel_shape)
    strides, dilations = tuple(strides or (1,) * len(kernel)), tuple(dilations or (1,) * len(kernel))
    pairs = _pairs(x, kernel, strides, dilations, pads, auto_pad, 0)
    padding, up = tuple(low for low, _ in pairs), bool(ceil_mode) and auto_pad == "NOTSET"
    if not _are_pytorchs(pairs, kernel):
        pairs = _pairs(x, kernel, strides, dilations, pads, auto_pad, ceil_mode)
        least = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        x, padding, up = F.pad(x, flat(pairs), "constant", least), (0,) * len(kernel), False
    values = x if x.is_floating_point() else x.double()
    y: Tensor = MAX[len(kernel)](values, kernel, strides, padding, dilations, up)
    return y.to(x.dtype)


def _are_pytorchs(pairs: Pairs, kernel: Sequence[int]) -> bool:
    """Whether PyTorch's pools pad so: the same at both ends, and at most half a window."""
    return all(low == high and 2 * low <= k for (low, high), k in zip(pairs, kernel, strict=True))


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Tensor:
    """The mean of each window: of its cells of the input, or of those of the padding too."""
    kernel = tuple(kernel_shape)
    strides, dilations = tuple(strides or (1,) * len(kernel)), tuple(dilations or (1,) * len(kernel))
    plain = _pairs(x, kernel, strides, dilations, pads, auto_pad, 0)
    if _are_pytorchs(plain, kernel) and set(dilations) == {1}:
        up = bool(ceil_mode) and auto_pad == "NOTSET"
        padding = tuple(low for low, _ in plain)
        return AVERAGE[len(kernel)](x, kernel, strides, padding, up, bool(count_include_pad))
    pairs = _pairs(x, kernel, strides, dilations, pads, auto_pad, ceil_mode)
    # What a window has beyond all padding, because the last one is rounded up, never counts.
    counted = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype)
    more = tuple((low, high - own) for (low, high), (_, own) in zip(pairs, plain, strict=True))
    if count_include_pad:
        counted = F.pad(F.pad(counted, flat(plain), "constant", 1.0), flat(tuple((0, high) for _, high in more)))
    else:
        counted = F.pad(counted, flat(pairs))
    sums = (_sums(each, kernel, strides, dilations) for each in (F.pad(x, flat(pairs)), counted))
    return next(sums) / next(sums)


def _sums(x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Tensor:
    """The sum of each window, tap by tap."""
    sizes = Forward(Geometry(tuple(kernel), tuple(strides), tuple(dilations))).output_size(tuple(x.shape[2:]))
    total: Any = 0
    for taps in product(*map(range, kernel)):
        first = [tap * dilation for tap, dilation in zip(taps, dilations, strict=True)]
        along = zip(first, sizes, strides, strict=True)
        at: Any = (..., *(slice(low, low + (size - 1) * step + 1, step) for low, size, step in along))
        total = total + x[at]
    result: Tensor = total
    return result


def _pairs(
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: int,
) -> Pairs:
    sizes = list(x.shape[2:])
    pairs = pairs_of(pads if auto_pad == "NOTSET" else None, auto_pad, kernel, strides, dilations, sizes)
    assert pairs is not None
    return beyond(pairs, kernel, strides, dilations, sizes) if ceil_mode and auto_pad == "NOTSET" else pairs


def lp_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    p: int = 2,
) -> Tensor:
    """The p-norm of each window."""
    kernel = tuple(kernel_shape)
    strides, dilations = tuple(strides or (1,) * len(kernel)), tuple(dilations or (1,) * len(kernel))
    pairs = _pairs(x, kernel, strides, dilations, pads, auto_pad, ceil_mode)
    return _sums(F.pad(x.abs() ** p, flat(pairs)), kernel, strides, dilations) ** (1 / p)


def global_average_pool(x: Tensor) -> Tensor:
    """The mean of each channel."""
    return x.mean(list(range(2, x.dim())), True)


def global_max_pool(x: Tensor) -> Tensor:
    """The largest number of each channel."""
    return x.amax(list(range(2, x.dim())), True)


def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm of each channel."""
    return (x.abs() ** p).sum(list(range(2, x.dim())), True) ** (1 / p)


TABLE: Table = {
    "AveragePool": Operator(average_pool),
    "GlobalAveragePool": Operator(global_average_pool),
    "GlobalLpPool": Operator(global_lp_pool),
    "GlobalMaxPool": Operator(global_max_pool),
    "LpPool": Operator(lp_pool),
    "MaxPool": Operator(max_pool, refuses=refused_values(storage_order=0)),
}
