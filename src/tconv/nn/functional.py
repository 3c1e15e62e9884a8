"""torch.nn.functional.conv_transpose1d, 2d and 3d on the compiled core.

Same arguments, results and errors. What the engine does not take goes to PyTorch's own operator: tensors that are not
dense float32 or float64 on the CPU (half precision among them), subclasses, calls under autocast, forward-mode
differentiation and torch.func transforms, calls with gradients that it would not make faster, and whatever PyTorch
refuses: the error is its.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, is_autocast_enabled, is_grad_enabled
from torch._C import DispatchKey, _get_tracing_state, _is_torch_function_mode_enabled, _len_torch_dispatch_stack
from torch._C import _dispatch_tls_is_dispatch_key_excluded as _is_excluded
from torch._C._autograd import _profiler_enabled
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad
from torch.compiler import is_compiling, is_exporting

from tconv.errors import TconvError
from tconv.nn.operator import OWN, ConvTranspose, own
from tconv.nn.packing import Ints, Settings, by_channels, compute, packed
from tconv.nn.reasons import PLAIN, circumstance, refusal

# Multiplications below which a call that needs gradients is PyTorch's, whose graph node is faster than one in Python.
SMALL = 2**25
# Weights that are trained are packed in each step: that pays for so many results for each weight.
RESULTS_PER_WEIGHT = 16

# Autocast is off exactly while the dispatcher leaves it out: what is_autocast_enabled("cpu") says, in half the time.
_AUTOCAST = DispatchKey.AutocastCPU
_INT, _SEQUENCES = frozenset({int}), (tuple, list)

# PyTorch gives neither of them a type.
_apply: Callable[..., Tensor] = ConvTranspose.apply
_operator: Callable[..., Tensor] = torch.ops.tconv.conv_transpose


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
        return _dispatched(input, weight, bias, settings)
    if is_grad_enabled() and one_requires_grad(input, weight, bias):
        return _differentiable(input, weight, bias, settings)
    try:
        layer, last = packed(weight, bias, settings)
        return compute(layer, input, last)
    except (TconvError, TypeError, RuntimeError) as refused:
        return own(str(refused), input, weight, bias, settings)


def _differentiable(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    reason = refusal(input=input, weight=weight, bias=bias)
    if reason:
        return own(reason, input, weight, bias, settings)
    if input.dtype != weight.dtype or not pays(input, weight, settings):
        return OWN[weight.dim() - 2](input, weight, bias, *settings)
    return _apply(input, weight, bias, *settings)


def one_requires_grad(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    return input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)


def pays(input: Tensor, weight: Tensor, settings: Settings) -> bool:
    """Whether forward and backward are faster with the engine: so measured, on the layers of many models."""
    positions, channels = input.numel() // weight.shape[0], weight.shape[1] * settings[3]
    if positions * weight.numel() < SMALL:
        return False
    if not weight.requires_grad:
        return True
    last = by_channels(weight) or not input.is_contiguous()  # where PyTorch is faster than channels-first
    return not last and positions * prod(settings[0]) * channels >= RESULTS_PER_WEIGHT * weight.numel()


def watched() -> bool:
    """Whether somebody stands between the call and the engine: a mode, transform, tracer, profiler or autocast."""
    return (
        _len_torch_dispatch_stack() > 0
        or _is_torch_function_mode_enabled()
        or peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or _get_tracing_state() is not None
        or _profiler_enabled()
        or not _is_excluded(_AUTOCAST)
    )


def _dispatched(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """The call as an operator that modes and profilers see: the engine's if it takes these tensors, else PyTorch's."""
    reason = refusal(input=input, weight=weight, bias=bias) or circumstance()
    if reason is None:
        return _operator(input, weight, bias, *settings)
    return own(reason, input, weight, bias, settings)


def _traced(input: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """The call in a graph. A graph that is exported shall run without tconv, and so holds PyTorch's operator."""
    ours = not (is_exporting() or is_autocast_enabled("cpu"))
    if ours and refusal(input=input, weight=weight, bias=bias) is None:
        return _operator(input, weight, bias, *settings)
    return OWN[weight.dim() - 2](input, weight, bias, *settings)
