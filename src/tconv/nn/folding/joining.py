"""Steps as one layer: the laws applied one after the other, on the values of the steps' tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from tconv.geometry import Geometry
from tconv.nn.folding import laws
from tconv.nn.folding.laws import Conv, NoFoldError, Pair, Transposed
from tconv.nn.folding.parts import (
    Activation,
    BatchNorm,
    Convolution,
    Nearest,
    Parametric,
    Part,
    Shuffle,
    TransposedConvolution,
)

# A part, and the values of its tensors.
Valued: TypeAlias = tuple[Part, tuple[Tensor | None, ...]]


@dataclass(frozen=True)
class Joined:
    """What some steps are together: one linear layer, and perhaps an activation."""

    linear: Conv | Transposed
    activation: Activation | None = None


class Norm(NamedTuple):
    """A batch norm as `laws.norm_after` reads it."""

    running_mean: Tensor
    running_var: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    @property
    def num_features(self) -> int:
        return len(self.running_mean)


def join(steps: Sequence[Valued]) -> Joined:
    """The one layer that the steps are; raises NoFoldError if they are none."""
    joined: Joined | None = None
    pending: Nearest | None = None
    for part, tensors in steps:
        if joined is None and pending is None and isinstance(part, Nearest):
            pending = part
        elif joined is None:
            joined = Joined(_first(part, tensors, pending))
        else:
            joined = _next(joined, part, tensors)
    if joined is None:
        raise NoFoldError("nothing is to be folded here")
    return joined


def _first(part: Part, tensors: tuple[Tensor | None, ...], before: Nearest | None) -> Conv | Transposed:
    if isinstance(part, Convolution):
        conv = conv_of(part, tensors)
        return conv if before is None else laws.nearest_before(_scales(before, part.ndim), conv)
    if isinstance(part, TransposedConvolution) and before is None:
        return transposed_of(part, tensors)
    raise NoFoldError(f"{type(part).__name__} begins no fold")


def _scales(nearest: Nearest, ndim: int) -> tuple[int, ...]:
    if len(nearest.scales) != ndim:
        raise NoFoldError(f"{len(nearest.scales)} scales do not fit {ndim} axes")
    for scale in nearest.scales:
        if not laws.scale_is_exact(scale, nearest.mode):
            raise NoFoldError(f"PyTorch's nearest upsampling by {scale} rounds some places to their neighbour")
    return nearest.scales


def _next(joined: Joined, part: Part, tensors: tuple[Tensor | None, ...]) -> Joined:
    linear = joined.linear
    if joined.activation is not None:
        raise NoFoldError("after an activation nothing is linear")
    if isinstance(part, BatchNorm):
        mean, variance, weight, bias = tensors
        assert mean is not None and variance is not None
        if not part.shifts:
            mean, bias = torch.zeros_like(mean), None
        return Joined(laws.norm_after(linear, Norm(mean, variance, weight, bias, part.eps)))
    if isinstance(part, Shuffle) and isinstance(linear, Conv) and linear.weight.dim() == 4:
        return Joined(laws.shuffle_after(linear, part.scale))
    if isinstance(part, Activation | Parametric) and not (
        isinstance(linear, Transposed) and linear.phase_bias is not None
    ):
        return Joined(linear if isinstance(linear, Transposed) else laws.turned(linear), activation_of(part, tensors))
    if isinstance(part, Convolution) and isinstance(linear, Transposed):
        return Joined(laws.conv_after(linear, conv_of(part, tensors)))
    raise NoFoldError(f"{type(part).__name__} is not folded here")


def activation_of(part: Activation | Parametric, tensors: tuple[Tensor | None, ...]) -> Activation:
    """The activation, with the slope that its parameter has now. Raises NoFoldError where channels have their own."""
    if isinstance(part, Activation):
        return part
    (slope,) = tensors
    assert slope is not None
    if slope.numel() != 1:
        raise NoFoldError(f"a PReLU with {slope.numel()} slopes is not folded; with one it is")
    return Activation("leaky_relu", float(slope))


def conv_of(part: Convolution, tensors: tuple[Tensor | None, ...]) -> Conv:
    """A convolution as a value, in float64."""
    weight, bias = _double(tensors)
    if part.only:
        weight = torch.cat([weight[:, first:end] for first, end in part.only], 1)
    bias = bias if part.biased else None
    pads: list[Pair] = []
    for axis, (kernel, dilation) in enumerate(zip(weight.shape[2:], part.dilation, strict=True)):
        total = dilation * (kernel - 1)
        if isinstance(part.padding, str):
            pads.append((total // 2, total - total // 2) if part.padding == "same" else (0, 0))
        else:
            pads.append((part.padding[axis],) * 2)
    return Conv(weight, bias, part.stride, tuple(pads), part.dilation, part.groups)


def transposed_of(part: TransposedConvolution, tensors: tuple[Tensor | None, ...]) -> Transposed:
    """A transposed convolution as a value, in float64."""
    weight, bias = _double(tensors)
    numbers = (part.stride, part.padding, part.output_padding, part.dilation)
    return Transposed(weight, bias, Geometry.from_torch(tuple(weight.shape[2:]), *numbers), part.groups)


def _double(tensors: tuple[Tensor | None, ...]) -> tuple[Tensor, Tensor | None]:
    weight, bias = tensors
    assert weight is not None
    return weight.detach().double(), None if bias is None else bias.detach().double()
