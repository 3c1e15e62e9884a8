"""In which precision a model is raced: as it is, in half precision, or under autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from zoo import Example

FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
AUTOCAST = "autocast"
PRECISIONS = (*FLOATS, AUTOCAST)


def cast(model: nn.Module, example: Example, precision: str) -> Example:
    """Make the weights of that precision, in place; returns the example so. Under autocast both stay as they are."""
    kind = FLOATS.get(precision, torch.float32)
    if kind is torch.float32:
        return example
    model.to(kind)
    changed: Example = tree_map(lambda x: x.to(kind) if isinstance(x, Tensor) and x.is_floating_point() else x, example)
    return changed


def around(precision: str) -> torch.autocast:
    """What a model is made ready in, and run in: autocast to bfloat16, or nothing."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == AUTOCAST)


def within(precision: str, run: Callable[[], Any]) -> Callable[[], Any]:
    """A run that enters autocast anew, as those who use a model do."""
    if precision != AUTOCAST:
        return run

    def entered() -> Any:
        with around(precision):
            return run()

    return entered


def is_half(model: nn.Module) -> bool:
    """Whether bfloat16 is what a model computes in: its weights are, or autocast is on."""
    return torch.is_autocast_enabled("cpu") or any(p.dtype is torch.bfloat16 for p in model.parameters())
