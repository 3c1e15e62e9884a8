"""How a model is called, whatever it takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map
from zoo import Entry, Example

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def tensors(result: Any) -> list[Tensor]:
    """All floating-point tensors of a tensor, tuple, dict or ModelOutput, in order."""
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def runner(entry: Entry, function: Callable[..., Any], example: Example) -> Callable[[], Any]:
    """A run of `function` on the example; random numbers begin anew with every one, where the model draws any."""
    args, kwargs = (), {}
    if isinstance(example, dict):
        kwargs = example
    else:
        args = example if isinstance(example, tuple) else (example,)

    def run() -> Any:
        if entry.random:
            torch.manual_seed(0)
        return function(*args, **kwargs)

    return run


def called(entry: Entry, model: nn.Module) -> Callable[..., Any]:
    """What of the model is called."""
    return getattr(model, entry.method) if entry.method else model


def channels_last(model: nn.Module, example: Example) -> Example:
    """Make the weights channels-last, in place; returns the example in that layout."""
    for p in model.parameters():
        if p.dim() in FORMATS:
            p.data = p.data.contiguous(memory_format=FORMATS[p.dim()])

    def convert(leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and leaf.dim() in FORMATS:
            return leaf.contiguous(memory_format=FORMATS[leaf.dim()])
        return leaf

    changed: Example = tree_map(convert, example)
    return changed


def double(model: nn.Module, example: Example) -> Example:
    """Make the weights double precision, in place; returns the example so."""
    model.double()
    changed: Example = tree_map(lambda x: x.double() if tensors(x) else x, example)
    return changed


def single(model: nn.Module, example: Example) -> Example:
    """Make the weights single precision, in place; returns the example so."""
    model.float()
    changed: Example = tree_map(lambda x: x.float() if tensors(x) else x, example)
    return changed


class Flat(nn.Module):
    """A model that takes the example's tensors one by one and returns a tuple of tensors, as exporters want it."""

    def __init__(self, entry: Entry, model: nn.Module, example: Example) -> None:
        super().__init__()
        self.model, self._entry = model, entry
        self._names = list(example) if isinstance(example, dict) else None
        values = example.values() if isinstance(example, dict) else example if isinstance(example, tuple) else [example]
        self.inputs: tuple[Tensor, ...] = tuple(values)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        function = called(self._entry, self.model)
        result = function(**dict(zip(self._names, inputs, strict=True))) if self._names else function(*inputs)
        return tuple(tensors(result))


def largest_error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference relative to the largest value of its tensor, over all tensors.

    Raises:
        ValueError: there are more or fewer tensors, or of other shapes.
    """
    shapes = [[tuple(x.shape) for x in one] for one in (found, expected)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the results have shapes {shapes[0]}, not {shapes[1]}")
    errors = [_error(a.double(), b.double()) for a, b in zip(found, expected, strict=True) if b.numel()]
    return max(errors, default=0.0)


def _error(found: Tensor, expected: Tensor) -> float:
    scale = expected.abs().max().item() or 1.0
    return (found - expected).abs().max().item() / scale
