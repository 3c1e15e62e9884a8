"""What is raced: how a model is made, what it is called with, and which of its methods is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Example: TypeAlias = Tensor | tuple[Any, ...] | dict[str, Any]
Made: TypeAlias = tuple[nn.Module, Example]


@dataclass(frozen=True)
class Entry:
    """A model of a released package.

    Args:
        package: the distribution that it comes from; empty where the model is written here, from its paper.
        source: class, settings and inputs, for the table.
        make: returns the model and an example: a tensor, a tuple of positional arguments or a dict of keyword
            arguments. It imports the package, so that only the process that runs the model loads it.
        method: what is called; default: the model itself.
        random: the model draws random numbers, which begin anew with every run. In double precision it would draw
            others, so that its errors are against single precision.
    """

    package: str
    source: str
    make: Callable[[], Made]
    method: str = ""
    random: bool = False


def made(entry: Entry) -> Made:
    """The model in evaluation mode and its example, the same in every process."""
    torch.manual_seed(0)
    model, example = entry.make()
    return model.eval(), example


KINDS = {
    "convolutions": (nn.Conv1d, nn.Conv2d, nn.Conv3d),
    "transposed": (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    "group norms": (nn.GroupNorm,),
    "instance norms": (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    "batch norms": (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
}


def counts(model: nn.Module) -> dict[str, int]:
    """How many modules a model has, and how many of the kinds that `accelerate` knows."""
    found = Counter(kind for module in model.modules() for kind, types in KINDS.items() if isinstance(module, types))
    return {"modules": sum(1 for _ in model.modules()), **{kind: found[kind] for kind in KINDS}}
