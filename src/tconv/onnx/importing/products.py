"""Convolutions and products of matrices, whose weights may be anything; those with fixed weights become layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.dialects import from_onnx
from tconv.geometry import Geometry
from tconv.nn import functional
from tconv.onnx.importing.borders import flat, pairs_of
from tconv.onnx.importing.operators import Operator, Table

CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Tensor:
    """The convolution."""
    kernel = tuple(weight.shape[2:])
    strides, dilations = strides or (1,) * len(kernel), dilations or (1,) * len(kernel)
    pairs = pairs_of(pads, auto_pad, kernel, strides, dilations, x.shape[2:])
    assert pairs is not None
    padding: tuple[int, ...] = tuple(low for low, _ in pairs)
    if any(low != high for low, high in pairs):
        x, padding = F.pad(x, flat(pairs)), (0,) * len(kernel)
    return CONV[len(kernel)](x, weight, bias, tuple(strides), padding, tuple(dilations), group)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
    output_shape: Sequence[int] | None = None,
) -> Tensor:
    """The transposed convolution."""
    geometry = from_onnx(
        tuple(weight.shape[2:]),
        tuple(x.shape[2:]) if output_shape is not None else None,
        strides=strides,
        pads=pads if auto_pad == "NOTSET" else None,
        dilations=dilations,
        output_padding=output_padding,
        auto_pad=auto_pad,
        output_shape=output_shape,
    )
    padding, extra, cuts = split_crop(geometry)
    y = TRANSPOSED[geometry.ndim](x, weight, bias, geometry.stride, padding, extra, group, geometry.dilation)
    return trimmed(y, cuts)


def split_crop(geometry: Geometry) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """A crop as PyTorch's padding and output_padding, and what is to be cut off (low, high) from that result."""
    padding, extra, cuts = [], [], []
    for axis in geometry.axes:
        low, high = axis.crop_lo, axis.crop_hi
        if 0 <= low - high < max(axis.stride, axis.dilation):
            each = low, low - high, (0, 0)
        else:
            even = max(min(low, high), 0)
            each = even, max(-high, 0), (low - even, max(high, 0) - even)
        padding.append(each[0])
        extra.append(each[1])
        cuts.append(each[2])
    return tuple(padding), tuple(extra), tuple(cuts)


def trimmed(y: Tensor, cuts: Sequence[tuple[int, int]]) -> Tensor:
    """Without so many cells (low, high) of each spatial axis."""
    return F.pad(y, [-each for each in flat(tuple(cuts))]) if any(map(any, cuts)) else y


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """alpha * a @ b + beta * c, with either matrix transposed first if that is asked for."""
    y = (a.T if transA else a) @ (b.T if transB else b)
    y = y if alpha == 1 else alpha * y
    return y if c is None else y + (c if beta == 1 else beta * c)


def einsum(*tensors: Tensor, equation: str) -> Tensor:
    """Sums of products as the equation writes them."""
    return torch.einsum(equation.replace(" ", ""), *tensors)


def linear(x: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    """x @ weight.T + bias."""
    return F.linear(x, weight, bias)


TABLE: Table = {
    "Conv": Operator(conv),
    "ConvTranspose": Operator(conv_transpose),
    "Einsum": Operator(einsum),
    "Gemm": Operator(gemm),
    "MatMul": Operator(torch.matmul),
}
