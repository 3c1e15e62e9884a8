"""Norms, and functions of all numbers along an axis."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.onnx.importing.operators import Operator, Table, refused_values


def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, by channel."""
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)


def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Each channel of each image to mean 0 and variance 1, then scaled and shifted."""
    if x.shape[2:].numel() == 1:  # which PyTorch refuses: a number less itself is zero
        return (x * 0 + bias.reshape([-1] + [1] * (x.dim() - 2))).to(x.dtype)
    return F.instance_norm(x, None, None, scale, bias, True, 0.0, epsilon)


def group_norm(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Each group of channels to mean 0 and variance 1, then scaled and shifted by channel."""
    return F.group_norm(x, num_groups, scale, bias, epsilon)


def group_norm_by_group(x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5) -> Tensor:
    """As `group_norm`, with one scale and one shift for a group, as opset 18 had it."""
    each = x.shape[1] // num_groups
    return F.group_norm(x, num_groups, scale.repeat_interleave(each), bias.repeat_interleave(each), epsilon)


def layer_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    outputs: int,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> tuple[Tensor, ...]:
    """The axes from `axis` on to mean 0 and variance 1, then scaled and shifted; the mean; one over the deviation."""
    shape = x.shape[axis:]
    if scale.shape == shape and (bias is None or bias.shape == shape):
        y = F.layer_norm(x, shape, scale, bias, epsilon)
    else:
        y = F.layer_norm(x, shape, None, None, epsilon) * scale
        y = y if bias is None else y + bias
    if outputs == 1:
        return (y,)
    axes = list(range(axis % x.dim(), x.dim()))
    mean = x.float().mean(axes, keepdim=True)
    variance = (x.float() - mean).square().mean(axes, keepdim=True)
    return (y, mean, (variance + epsilon).rsqrt())[:outputs]


def rms_norm(x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Tensor:
    """The axes from `axis` on over the root of their mean square, then scaled."""
    return F.rms_norm(x, x.shape[axis:], None, epsilon) * scale


def lp_norm(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Over the norm along an axis; zeros stay zeros."""
    norm = x.norm(p=p, dim=axis, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)


def mean_variance_norm(x: Tensor, *, axes: list[int] | None = None) -> Tensor:
    """The axes together to mean 0 and variance 1."""
    chosen = axes if axes is not None else [0, 2, 3]
    shifted = x - x.mean(chosen, keepdim=True)
    return shifted / (shifted.square().mean(chosen, keepdim=True).sqrt() + 1e-9)


def local_response_norm(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    """Over a power of the mean square of `size` neighbouring channels."""
    low = (size - 1) // 2
    squares = F.pad(x.square().unsqueeze(1), [0, 0] * (x.dim() - 2) + [low, size - 1 - low])
    sums = sum(squares[:, 0, n : n + x.shape[1]] for n in range(size))
    return x / (bias + alpha / size * sums) ** beta


def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """exp(x), over its sum along an axis."""
    return torch.softmax(x, axis)


def softmax_from(x: Tensor, *, axis: int = 1) -> Tensor:
    """exp(x), over its sum along all axes from `axis` on, as before opset 13."""
    return torch.softmax(x.flatten(axis), -1).reshape(x.shape)


def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """The logarithm of softmax."""
    return torch.log_softmax(x, axis)


def log_softmax_from(x: Tensor, *, axis: int = 1) -> Tensor:
    """The logarithm of softmax along all axes from `axis` on, as before opset 13."""
    return torch.log_softmax(x.flatten(axis), -1).reshape(x.shape)


def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """1 at the first largest number along an axis, else 0."""
    at = x.argmax(axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, at, 1.0)


TABLE: Table = {
    "BatchNormalization": Operator(batch_norm, refuses=refused_values(training_mode=0, spatial=1)),
    "GroupNorm": Operator(group_norm),
    "GroupNormalization": (Operator(group_norm_by_group, since=18), Operator(group_norm, since=21)),
    "Hardmax": Operator(hardmax, since=13),
    "InstanceNormalization": Operator(instance_norm),
    "LRN": Operator(local_response_norm),
    "LayerNormalization": Operator(layer_norm, several=True),
    "LogSoftmax": (Operator(log_softmax_from), Operator(log_softmax, since=13)),
    "LpNormalization": Operator(lp_norm),
    "MeanVarianceNormalization": Operator(mean_variance_norm),
    "RMSNormalization": Operator(rms_norm),
    "Softmax": (Operator(softmax_from), Operator(softmax, since=13)),
}
