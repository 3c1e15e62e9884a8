"""Which kernel a layer would run on, and why not another one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, is_grad_enabled

from tconv import native
from tconv.nn.functional import one_requires_grad, pays
from tconv.nn.packing import packed
from tconv.nn.reasons import circumstance, refusal


def explain(layer: torch.nn.Module, input: Tensor) -> str:
    """Which kernel would run `layer(input)`, and why the others would not.

    Args:
        layer: a transposed convolution of `tconv.nn` or `torch.nn`.
        input: a tensor that the layer could be called with.

    Returns:
        Lines of text: the kernel that runs first, then one line for each that does not.

    Raises:
        TypeError: `layer` is no transposed convolution, or `input` no tensor.
    """
    if not isinstance(layer, torch.nn.modules.conv._ConvTransposeNd):
        raise TypeError(f"explain takes a transposed convolution of tconv.nn or torch.nn, not {type(layer).__name__}")
    if not isinstance(input, Tensor):
        raise TypeError(f"explain takes a tensor that the layer could be called with, not {type(input).__name__}")
    shape = f"({', '.join(map(str, input.shape))})"
    head = f"{layer} on {shape} {str(input.dtype).removeprefix('torch.')}"
    reason = _reason(layer, input)
    if reason:
        return f"{head}\nruns: PyTorch's own operator\nnot tconv: {reason}"
    active = native.active()
    lines = [head, f"runs: tconv {active}, {_way(layer, input)}"]
    for name in native.backends():
        if name != active:
            lines.append(f"not tconv {name}: {active} comes before it; TCONV_BACKEND={name} forces it")
    lines.append("not PyTorch's own operator: nothing here asks for it")
    return "\n".join(lines)


def _reason(layer: Any, input: Tensor) -> str | None:
    """Why PyTorch's own operator would run, or None."""
    weight, bias = layer.weight, layer.bias
    if not type(layer).__module__.startswith("tconv."):
        name = f"{type(layer).__module__}.{type(layer).__qualname__}"
        return f"the layer is a {name}; tconv.nn.accelerate(model) or tconv.nn.{type(layer).__name__} makes it tconv's"
    reason = refusal(input=input, weight=weight, bias=bias) or circumstance()
    if reason is None and input.dtype != weight.dtype:
        reason = f"the input has dtype {input.dtype}, the weight {weight.dtype}; PyTorch says what it makes of that"
    gradients = is_grad_enabled() and one_requires_grad(input, weight, bias)
    if reason is None and gradients and not pays(input, weight, _settings(layer)):
        reason = "gradients are needed, and PyTorch computes both ways as fast here; torch.no_grad() asks for none"
    return reason


def _settings(layer: Any) -> Any:
    return layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation


def _way(layer: Any, input: Tensor) -> str:
    channel = input.dim() - layer.weight.dim() + 1
    ours, last = packed(layer.weight, layer.bias, _settings(layer))
    last = last or (not input.is_contiguous() and input.movedim(channel, -1).is_contiguous())
    plan = ours.plan(tuple(input.shape), last)
    return f"by {plan.way}, channels-{'last' if last else 'first'}"
