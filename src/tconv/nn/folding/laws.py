"""The exact folds, as functions on values: two linear layers in, one out, and a proof for each.

All are written with the relation of this package: input i and tap m of a transposed convolution meet at output
o = r*i + m - c, with stride r and crop c. In every proof x is zero outside its range, u or z is what lies between the
two layers, and `w` is a weight on one axis; the axes are independent. Weights are computed in float64 and rounded once,
so that a folded layer differs from the two by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from tconv.geometry import Geometry

Pair: TypeAlias = tuple[int, int]


class NoFoldError(Exception):
    """Why a fold would not be exact, or would not save work."""


@dataclass(frozen=True)
class Conv:
    """A convolution layer: weight (out, in/groups, *kernel), bias (out,), zero padding (lo, hi) per axis."""

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution: weight (in, out/groups, *kernel), bias (out,), geometry.

    `phase_bias` (out, *stride), if there is one, is added to the outputs by phase.
    """

    weight: Tensor
    bias: Tensor | None
    geometry: Geometry
    groups: int
    phase_bias: Tensor | None = None

    @property
    def out_channels(self) -> int:
        return self.weight.shape[1] * self.groups


def norm_after(layer: Conv | Transposed, norm: Any) -> Conv | Transposed:
    """A batch norm in evaluation mode behind a linear layer.

    The norm is y = a*z + b per channel with constants a = gamma / sqrt(var + eps), b = beta - a*mean. As z is linear in
    the weight and the bias, a*z has the weight a*w and the bias a*bias: exact everywhere, border included, because the
    norm treats all places alike.
    """
    if norm.running_mean is None:
        raise NoFoldError("the batch norm keeps no running statistics, and so depends on the batch")
    if norm.num_features != (layer.out_channels if isinstance(layer, Transposed) else layer.weight.shape[0]):
        raise NoFoldError("the batch norm has another number of channels")
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    bias = shift if layer.bias is None else layer.bias * scale + shift
    ones = [1] * (layer.weight.dim() - 2)
    if isinstance(layer, Conv):
        return replace(layer, weight=layer.weight * scale.view(-1, 1, *ones), bias=bias)
    by_group = scale.view(layer.groups, 1, -1, *ones)  # of the input channels of a group, each for its outputs
    weight = (_split(layer.weight, layer.groups, -1) * by_group).flatten(0, 1)
    phases = layer.phase_bias
    if phases is not None:
        phases = phases * scale.view(-1, *ones)
    return replace(layer, weight=weight, bias=bias, phase_bias=phases)


def turned(conv: Conv) -> Transposed:
    """A convolution of stride 1 is a transposed convolution of stride 1 whose kernel is turned around.

    y[o] = sum_t w[t]*x[o+d*t-p]. With i = o+d*t-p and m = k-1-t that is o = i + d*m - c for c = d*(k-1) - p: input i
    meets W[m] = w[k-1-m] at output o. Zero padding is absent x, and a crop below zero extends: exact at the border.
    """
    if any(s != 1 for s in conv.stride):
        raise NoFoldError(f"a convolution of stride {conv.stride} is no transposed convolution")
    kernel = tuple(conv.weight.shape[2:])
    spans = [d * (k - 1) for k, d in zip(kernel, conv.dilation, strict=True)]
    crops = [(span - lo, span - hi) for span, (lo, hi) in zip(spans, conv.padding, strict=True)]
    weight = _transposed(conv.weight.flip(tuple(range(2, conv.weight.dim()))), conv.groups)
    return Transposed(weight, conv.bias, Geometry(kernel, 1, conv.dilation, crops), conv.groups)


def nearest_before(scales: Sequence[int], conv: Conv) -> Transposed:
    """Nearest upsampling by whole numbers, then a convolution: one transposed convolution.

    With scale r, u[j] = x[floor(j/r)]; with dilation d and padding p the convolution is y[o] = sum_t w[t]*u[o+d*t-p].
    x[i] reaches y[o] through the taps with r*i <= o+d*t-p < r*(i+1). Write o = r*i + m - c with c = d*(k-1) - p: the
    condition is 0 <= m - d*(k-1-t) < r, which does not depend on i. So W[m] sums w[t] over the t that fulfil it: the
    flipped and dilated kernel, correlated with r ones, of length d*(k-1) + r. At the border the padding's zeros are
    places where u, and so x, does not exist, and a transposed convolution adds nothing from there either: exact. The
    size r*n + p_lo + p_hi - d*(k-1) is that of the crops d*(k-1) - p_lo and d*(k-1) - p_hi (negative ones extend).
    """
    if any(s != 1 for s in conv.stride):
        raise NoFoldError(
            f"a convolution of stride {conv.stride} behind nearest upsampling is no transposed convolution"
        )
    weight = conv.weight
    crops = []
    for axis, (r, d, (lo, hi)) in enumerate(zip(scales, conv.dilation, conv.padding, strict=True)):
        k = weight.shape[2 + axis]
        weight = _along(weight, 2 + axis, nearest_taps(k, d, r))
        crops.append((d * (k - 1) - lo, d * (k - 1) - hi))
    kernel = tuple(weight.shape[2:])
    return Transposed(
        _transposed(weight, conv.groups), conv.bias, Geometry(kernel, tuple(scales), 1, crops), conv.groups
    )


def nearest_taps(kernel: int, dilation: int, scale: int) -> Tensor:
    """The matrix from a convolution's taps t to a transposed convolution's taps m: see `nearest_before`."""
    matrix = torch.zeros(dilation * (kernel - 1) + scale, kernel, dtype=torch.float64)
    for t in range(kernel):
        start = dilation * (kernel - 1 - t)
        matrix[start : start + scale, t] = 1
    return matrix


def scale_is_exact(scale: int, mode: str) -> bool:
    """Whether PyTorch's nearest upsampling by `scale` takes x[floor(j/scale)] for every j.

    "nearest-exact" rounds (j + 1/2)/scale down, whose distance from a whole number is at least 1/(2*scale): far above
    the rounding of float32. "nearest" rounds j * float32(1/scale) down; at j = scale*i that must not fall below i,
    which holds if float32(1/scale) >= 1/scale, as for 2, 3, 4, 5, 6, 7, 8, but not for 41, say.
    """
    if mode == "nearest-exact":
        return scale >= 1
    return scale >= 1 and Fraction(float(np.float32(1 / scale))) >= Fraction(1, scale)


def shuffle_after(conv: Conv, scale: int) -> Transposed:
    """A convolution, then a pixel shuffle by r: one transposed convolution of stride r.

    y[r*i+a] = sum_t w_a[t]*x[i+t-p], where w_a are the taps of phase a. x[i'], i' = i+t-p, meets output
    o = r*i + a = r*i' + a + r*(p-t). Write o = r*i' + m - c with c = r*(k-1-p): m = a + r*(k-1-t), and so
    W[a + r*(k-1-t)] = w_a[t]: each of the r*k taps is one tap of one phase. Zero padding is absent x: exact at the
    border. The crop is r*(k-1-p) at both ends; the size r*(n + 2p - k + 1) follows. A bias that differs between phases
    is added by phase.
    """
    if any(s != 1 for s in conv.stride) or any(d != 1 for d in conv.dilation):
        raise NoFoldError(f"a pixel shuffle behind stride {conv.stride}, dilation {conv.dilation} is not folded")
    (
        out,
        *_,
    ) = conv.weight.shape
    ndim = conv.weight.dim() - 2
    cells = scale**ndim
    if out % cells or (out // cells) % conv.groups:
        raise NoFoldError(f"{out} channels in {conv.groups} groups do not make pixels of {cells}")
    weight = _split(conv.weight.flip(tuple(range(2, 2 + ndim))), out // cells, *[scale] * ndim)
    # (out, a.., in, t..) -> (out, in, t0, a0, t1, a1, ..)
    order = [0, 1 + ndim, *(axis for n in range(ndim) for axis in (2 + ndim + n, 1 + n))]
    weight = weight.permute(order)
    kernel = tuple(scale * k for k in conv.weight.shape[2:])
    weight = weight.reshape(*weight.shape[:2], *kernel)
    pairs = zip(conv.weight.shape[2:], conv.padding, strict=True)
    crops = [(scale * (k - 1 - lo), scale * (k - 1 - hi)) for k, (lo, hi) in pairs]
    bias, phases = None, None
    if conv.bias is not None:
        phases = _split(conv.bias, out // cells, *[scale] * ndim)
        first = phases.flatten(1)[:, :1]
        if bool((phases.flatten(1) == first).all()):
            bias, phases = first[:, 0], None
    geometry = Geometry(kernel, scale, 1, crops)
    return Transposed(_transposed(weight, conv.groups), bias, geometry, conv.groups, phases)


def conv_after(first: Transposed, conv: Conv) -> Transposed:
    """A transposed convolution, then a convolution of stride 1 with nothing in between: one transposed convolution.

    z[j] = sum_i x[i]*v[j - r*i + c] + b, and y[o] = sum_t w[t]*z[o+t-q]. Inside, x[i] reaches y[o] with
    sum_t w[t]*v[o + t - q - r*i + c]: with o = r*i + m - c' and c' = c + (k-1) - q, W[m] = sum_t w[t]*v[m-(k-1-t)], the
    full product of v and the flipped w. The border: the convolution pads z with q zeros, but the one transposed
    convolution reads there what z would be beyond its crop, and b. Both are zero if and only if nothing lands there:
    the crop on that side is not positive, and there is no bias. So: where q > 0, the fold is exact for a crop <= 0
    without bias, and refused otherwise. Where q = 0 nothing is read there, and b passes through as sum_t w[t]*b.
    """
    kernel, second = first.geometry.kernel, tuple(conv.weight.shape[2:])
    if any(n != 1 for n in (*conv.stride, *conv.dilation, *first.geometry.dilation)) or first.groups * conv.groups != 1:
        raise NoFoldError("only stride 1, dilation 1 and one group are folded into a transposed convolution")
    if first.phase_bias is not None:
        raise NoFoldError("a bias that differs between phases does not pass through a convolution")
    padded = any(q > 0 for pair in conv.padding for q in pair)
    if padded and first.bias is not None and bool((first.bias != 0).any()):
        raise NoFoldError(
            "the convolution pads with zeros where the bias of the layer before it would stand: the border differs"
        )
    for crop, padding in zip(first.geometry.crop, conv.padding, strict=True):
        if any(c > 0 and q > 0 for c, q in zip(crop, padding, strict=True)):
            raise NoFoldError(
                "the convolution pads with zeros where the layer before it was cropped: the border differs"
            )
    channels, (out, inner) = first.weight.shape[0], conv.weight.shape[:2]
    if first.weight.shape[1] != inner:
        raise NoFoldError("the channels do not fit")
    joined = tuple(a + b - 1 for a, b in zip(kernel, second, strict=True))
    area = prod(first.geometry.stride)
    if prod(joined) * channels * out >= prod(kernel) * channels * inner + area * prod(second) * inner * out:
        raise NoFoldError("one layer would multiply as much as the two")
    weight = torch.zeros(channels, out, *joined, dtype=torch.float64)
    for t in np.ndindex(*second):
        window: Any = tuple(slice(k - 1 - n, k - 1 - n + a) for k, n, a in zip(second, t, kernel, strict=True))
        weight[(..., *window)] += torch.einsum("oc,ic...->io...", conv.weight[(..., *t)], first.weight)
    bias = conv.bias
    if first.bias is not None:
        through = conv.weight.flatten(2).sum(2) @ first.bias
        bias = through if bias is None else bias + through
    pairs = zip(first.geometry.crop, second, conv.padding, strict=True)
    crops = [(lo + k - 1 - q, hi + k - 1 - p) for (lo, hi), k, (q, p) in pairs]
    return Transposed(weight, bias, Geometry(joined, first.geometry.stride, 1, crops), 1)


def _along(weight: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """`matrix` applied to one axis of the weight."""
    result: Tensor = torch.tensordot(weight, matrix, ([axis], [1])).movedim(-1, axis)
    return result


def _transposed(weight: Tensor, groups: int) -> Tensor:
    """(out, in/groups, *kernel) as (in, out/groups, *kernel)."""
    return _split(weight, groups, -1).transpose(1, 2).flatten(0, 1)


def _split(tensor: Tensor, *sizes: int) -> Tensor:
    """The first axis as several."""
    return tensor.reshape(*sizes, *tensor.shape[1:])
