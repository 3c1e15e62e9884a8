"""torch.nn.functional.conv_transpose1d, 2d and 3d on tconv's engines.

Same arguments, results and errors. What no engine takes goes to PyTorch's own operator: tensors that are not dense, of
another dtype, or on a device without an engine (the compiled core takes float32, float64, bfloat16 and float16 on the
CPU; that for GPUs see `tconv.nn.engines.triton`), subclasses, forward-mode differentiation and torch.func transforms,
calls with gradients under autocast or that it would not make faster, and whatever PyTorch refuses: the error is its.
Under autocast tensors are rounded first, as they are for PyTorch's operator; weights once, as long as they stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, is_grad_enabled
from torch.compiler import is_compiling

from tconv.nn import packing
from tconv.nn.engine import (
    PLAIN,
    Call,
    DeferredError,
    Ints,
    RefusedError,
    Settings,
    circumstance,
    engine_for,
    refusal,
    route,
    strict,
)
from tconv.nn.operator import OPERATOR, OWN, ConvTranspose, Gradients, by_pytorch, computed, own
from tconv.nn.private import autocast, profiling, taken, watched

for _device in ("cpu", "cuda"):
    engine_for(_device)  # now, for TorchDynamo captures no import

_INT, _SEQUENCES = frozenset({int}), (tuple, list)

_apply: Callable[..., Tensor] = ConvTranspose.apply  # PyTorch gives them no type
_apply_theirs: Callable[..., Tensor] = Gradients.apply


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The transposed convolution on 1 spatial axis.

    Args:
        input: (batch, in_channels, length) or (in_channels, length).
        weight: (in_channels, out_channels/groups, kernel).
        bias: (out_channels,), default none.
        stride, padding, output_padding, dilation: an int or a tuple of one; defaults 1, 0, 0, 1.
        groups: number of channel groups, default 1.

    Returns:
        (batch, out_channels, out_length), or without the batch.

    Raises:
        RuntimeError, TypeError, ValueError: PyTorch's own.
        StrictError: TCONV_STRICT=1 is set and the engine does not take the call.

    Source: torch.nn.functional.conv_transpose1d.
    """
    return _call(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """`conv_transpose1d` on 2 spatial axes; the result is channels-last if the input or the weight is."""
    return _call(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """`conv_transpose1d` on 3 spatial axes; the result is channels-last if the input or the weight is."""
    return _call(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _call(
    ndim: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    # Most calls give an int for all axes: that needs no further call.
    s = (stride,) * ndim if type(stride) is int else _per_axis(stride, ndim)
    p = (padding,) * ndim if type(padding) is int else _per_axis(padding, ndim)
    o = (output_padding,) * ndim if type(output_padding) is int else _per_axis(output_padding, ndim)
    d = (dilation,) * ndim if type(dilation) is int else _per_axis(dilation, ndim)
    tensors = isinstance(input, Tensor) and isinstance(weight, Tensor) and weight.dim() == ndim + 2
    if tensors and s and p and o and d and type(groups) is int:
        return conv_transpose(input, weight, bias, (s, p, o, groups, d))
    return OWN[ndim](input, weight, bias, stride, padding, output_padding, groups, dilation)


def _per_axis(value: Any, ndim: int) -> Ints | None:
    """One plain int per axis from a sequence; None for anything else, which PyTorch judges."""
    if not isinstance(value, _SEQUENCES) or not _INT.issuperset(map(type, value)):
        return None
    return tuple(value) * ndim if len(value) == 1 else tuple(value)


def conv_transpose(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """The transposed convolution that `settings` describes; the spatial axes are the weight's."""
    if is_compiling():
        return _traced(input, weight, bias, settings)
    if watched() or type(input) not in PLAIN:
        return _routed(Call(input, weight, bias, settings), seen=True)
    if is_grad_enabled() and one_requires_grad(input, weight, bias):
        return _differentiable(Call(input, weight, bias, settings))
    prepared = packing.kept(weight, bias, settings, input.numel())
    if prepared is not None:  # the way of an earlier call with these weights
        try:
            return prepared.run(input, lambda: (weight, bias))
        except RefusedError as refused:
            return own(str(refused), input, weight, bias, settings)
    return _routed(Call(input, weight, bias, settings), seen=False)


def _differentiable(call: Call) -> Tensor:
    """The call where gradients are needed; small ones are PyTorch's without asking for further reasons."""
    if _pays(call):
        return _routed(call, seen=False)
    input, weight, bias, settings = call
    engine = engine_for(input.device.type)
    if engine is None or not engine.gradients_pay(call):
        return by_pytorch(*call)
    if refusal(input=input, weight=weight, bias=bias) or circumstance() or autocast() or input.dtype != weight.dtype:
        return by_pytorch(*call)
    return _apply_theirs(input, weight, bias, *settings)


def _pays(call: Call, alone: bool = False) -> bool:
    """Whether a call that needs gradients goes to the engine if that takes it: it is faster there, or insisted upon."""
    engine = engine_for(call.input.device.type)
    return engine is None or strict() or engine.pays_with_gradients(call, alone)


def one_requires_grad(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    return input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)


def _routed(call: Call, seen: bool) -> Tensor:
    engine, reason, by_choice, dtype = route(call)
    if engine is None:
        return by_pytorch(*call) if by_choice else own(reason, *call)
    if seen and (dtype is None or taken() or profiling()):  # modes and profilers see an operator
        y: Tensor = OPERATOR(call.input, call.weight, call.bias, *call.settings)
        return y
    if call.needs_gradients:
        return _apply(call.input, call.weight, call.bias, *call.settings)
    try:
        return computed(call, dtype)
    except DeferredError:
        return by_pytorch(*call)
    except RefusedError as refused:
        return own(str(refused), *call)


def _traced(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """The call in a graph. A graph that is exported shall run without tconv, and so holds PyTorch's operator."""
    theirs = torch.compiler.is_exporting() or torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")
    theirs = theirs or refusal(input=input, weight=weight, bias=bias) is not None
    if not theirs and torch.is_grad_enabled() and one_requires_grad(input, weight, bias):
        theirs = not _pays(Call(input, weight, bias, settings), alone=True)  # the backward is traced as PyTorch's
    if theirs:
        return OWN[weight.dim() - 2](input, weight, bias, *settings)
    y: Tensor = OPERATOR(input, weight, bias, *settings)
    return y
