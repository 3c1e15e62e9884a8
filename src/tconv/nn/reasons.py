"""Why the engine does not take a call, in words: for `TCONV_STRICT=1` and for `explain`."""

from __future__ import annotations

import os

import torch
from torch import Tensor
from torch.autograd import forward_ad

from tconv.errors import TconvError

DTYPES = (torch.float32, torch.float64)
PLAIN = (Tensor, torch.nn.Parameter)


class StrictError(TconvError):
    """TCONV_STRICT=1 is set and PyTorch's own operator would have run."""


class RefusedError(TconvError):
    """The engine does not take a tensor; PyTorch's own operator runs instead."""


def refusal(**tensors: Tensor | None) -> str | None:
    """Why the engine does not take one of these tensors, or None if it takes all of them."""
    for name, tensor in tensors.items():
        if tensor is not None:
            reason = _refusal(tensor)
            if reason:
                return f"the {name} {reason}"
    return None


def _refusal(tensor: Tensor) -> str | None:
    if type(tensor) not in PLAIN:
        return f"is a {type(tensor).__name__}, which may change what an operator does; the engine takes plain tensors"
    if tensor.layout != torch.strided:
        return f"has layout {tensor.layout}; the engine takes strided tensors"
    if tensor.device.type != "cpu":
        return f"is on {tensor.device}; the engine computes on the CPU"
    if tensor.dtype not in DTYPES:
        return f"has dtype {tensor.dtype}; the engine takes torch.float32 and torch.float64"
    if not torch.compiler.is_compiling() and tensor.is_neg():  # a graph's tensors are never lazy
        return "is a lazy negation; .resolve_neg() makes it a plain tensor"
    return None


def circumstance() -> str | None:
    """What around the call asks for PyTorch's own operator, or None."""
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, which chooses the dtype itself"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a torch.func transform (vmap, grad, jvp) is at work"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is on"
    if torch._C._get_tracing_state() is not None or torch.compiler.is_exporting():
        return "the model is being exported, and shall run without tconv"
    return None


def strict() -> bool:
    return os.environ.get("TCONV_STRICT", "0") not in ("", "0")
