"""Activations that write into a view of a tensor: autograd hides them, so they are computed beside it and copied in.

For `y.view(...).relu_()`, `F.relu(y[:, :3], inplace=True)` and the like autograd makes one node for the whole tensor,
in which the activation is not to be seen. The same numbers come of `view.copy_(relu(view))`, whose activation is.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

BESIDE: dict[str, Callable[..., Tensor]] = {
    "celu": F.celu,
    "clamp": torch.clamp,
    "clamp_min": torch.clamp_min,
    "clip": torch.clip,
    "elu": F.elu,
    "hardswish": F.hardswish,
    "hardtanh": F.hardtanh,
    "leaky_relu": F.leaky_relu,
    "mish": F.mish,
    "relu": torch.relu,
    "relu6": F.relu6,
    "rrelu": F.rrelu,
    "selu": F.selu,
    "silu": F.silu,
    "threshold": F.threshold,
}


class BesideViews(TorchFunctionMode):
    """Within it, activations in place on views leave a graph in which they are seen; the numbers are the same."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        beside = _beside(func, args, kwargs)
        target = args[0] if args else kwargs.get("input")
        if beside is not None and isinstance(target, Tensor) and target.requires_grad and target._is_view():
            return target.copy_(beside(target.clone()))  # what it remembers of its input may not be written to
        return func(*args, **kwargs)


def _beside(func: Any, args: Any, kwargs: Any) -> Callable[[Tensor], Tensor] | None:
    """What an in-place activation makes of its input, beside it; None if `func` is nothing of the kind."""
    said = str(getattr(func, "__name__", "")).partition(".")[0]  # an operator of ATen has the name relu_.default
    name = said.strip("_")
    if name not in BESIDE:
        return None
    if said.endswith("_"):
        return lambda x: BESIDE[name](x, *args[1:], **{key: value for key, value in kwargs.items() if key != "input"})
    function: Any = getattr(F, name, None)
    if func is function and "inplace" in signature(function).parameters:
        given = signature(function).bind(*args, **kwargs).arguments
        if given.pop("inplace", False):
            return lambda x: BESIDE[name](**{**given, "input": x})
    return None
