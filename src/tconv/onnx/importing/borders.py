"""Padding as the operators that slide a window spell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

from tconv.geometry import Forward, Geometry

Pairs: TypeAlias = tuple[tuple[int, int], ...]


def pairs_of(
    pads: Sequence[int] | None,
    auto_pad: str,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    sizes: Sequence[int] | None,
) -> Pairs | None:
    """Cells that are added (low, high) to each axis.

    SAME_UPPER and SAME_LOWER ask for ceil(size/stride) outputs and put the odd cell at the high or the low end. With
    stride 1 that does not depend on the sizes; where it does, and `sizes` is None, the answer is None.
    """
    if auto_pad == "VALID" or (auto_pad == "NOTSET" and pads is None):
        return ((0, 0),) * len(kernel)
    if auto_pad == "NOTSET" and pads is not None:
        return tuple(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    if sizes is None and any(stride != 1 for stride in strides):
        return None
    found = []
    for n, (k, stride, dilation) in enumerate(zip(kernel, strides, dilations, strict=True)):
        size = 1 if sizes is None else sizes[n]
        total = max((-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if auto_pad == "SAME_UPPER" else (large, small))
    return tuple(found)


def beyond(
    pairs: Pairs, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], sizes: Sequence[int]
) -> Pairs:
    """The pairs that make `ceil_mode`'s last windows whole: each begins within the input or its low padding."""
    found = []
    for n, (low, high) in enumerate(pairs):
        stride, size = strides[n], sizes[n]
        axis = Geometry(kernel[n], stride, dilations[n], ((low, high + stride - 1),))
        out = Forward(axis).output_size(size)[0]
        if (out - 1) * stride >= size + low:
            out -= 1
        found.append((low, max((out - 1) * stride + dilations[n] * (kernel[n] - 1) + 1 - size - low, 0)))
    return tuple(found)


def flat(pairs: Pairs) -> list[int]:
    """As torch.nn.functional.pad takes them: the last axis first."""
    return [each for pair in reversed(pairs) for each in pair]


def zero_pad(x: Tensor, pads: list[int]) -> Tensor:
    """With zeros added to the last axes, as torch.nn.functional.pad takes it."""
    return F.pad(x, pads)
