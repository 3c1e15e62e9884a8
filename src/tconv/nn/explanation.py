"""Which kernel a layer would run on, and why not another one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tconv.nn import packing
from tconv.nn.engine import Call, RefusedError, route
from tconv.nn.engines.layouts import by_channels
from tconv.nn.private import TransposedBase


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
    if not isinstance(layer, TransposedBase):
        raise TypeError(f"explain takes a transposed convolution of tconv.nn or torch.nn, not {type(layer).__name__}")
    if not isinstance(input, Tensor):
        raise TypeError(f"explain takes a tensor that the layer could be called with, not {type(input).__name__}")
    shape = f"({', '.join(map(str, input.shape))})"
    head = f"{layer} on {shape} {str(input.dtype).removeprefix('torch.')}"
    call = Call(input, layer.weight, layer.bias, _settings(layer))
    if not type(layer).__module__.startswith("tconv."):
        kind = f"{type(layer).__module__}.{type(layer).__qualname__}"
        hint = f"tconv.nn.accelerate(model) or tconv.nn.{type(layer).__name__} makes it tconv's"
        return _by_pytorch(head, f"the layer is a {kind}; {hint}")
    engine, reason, _, dtype = route(call)
    if engine is None:
        return _by_pytorch(head, reason)
    try:
        prepared = packing.prepare(engine, call.weight, call.bias, call.settings, dtype)
        way = prepared.way(input.shape, by_channels(input, input.dim() - layer.weight.dim() + 1))
    except RefusedError as refused:
        return _by_pytorch(head, str(refused))
    active = engine.active()
    rounded = "" if dtype is None else f", in {str(dtype).removeprefix('torch.')} as autocast asks"
    lines = [head, f"runs: tconv {active}, by {way}{rounded}"]
    lines += [f"not tconv {name}: {why}" for name, why in engine.others().items()]
    lines.append("not PyTorch's own operator: nothing here asks for it")
    return "\n".join(lines)


def _by_pytorch(head: str, reason: str) -> str:
    return f"{head}\nruns: PyTorch's own operator\nnot tconv: {reason}"


def _settings(layer: Any) -> Any:
    return layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
