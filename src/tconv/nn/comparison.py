"""Old against new: the same inputs, in turns, with the largest error and the best times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
SECONDS = 0.2  # of measuring, per comparison


@dataclass(frozen=True)
class Comparison:
    """Seconds of old and new, and the largest error relative to the largest value."""

    before: float
    after: float
    error: float

    @property
    def faster(self) -> bool:
        return self.after < self.before

    def __str__(self) -> str:
        ratio = self.before / self.after
        return f"{self.before * 1e3:.3g} -> {self.after * 1e3:.3g} ms ({ratio:.2f}x), error {self.error:.1e}"


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode and without gradients, so that a run leaves no trace in the model."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def at_first_calls(
    model: nn.Module, example: tuple[Any, ...], modules: Mapping[str, nn.Module], use: Callable[[str, Call], object]
) -> None:
    """Run the model on the example, and `use` what each of the modules is called with, before its first call.

    The run goes on after each use, so that no more tensors are held than the model holds at that moment.
    """
    hooks: dict[str, RemovableHandle] = {}
    for name, module in modules.items():

        def note(_: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
            hooks[name].remove()
            use(name, (args, kwargs))

        hooks[name] = module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with evaluating(model):
            model(*example)
    finally:
        for hook in hooks.values():
            hook.remove()


def compare(old: Callable[..., Any], new: Callable[..., Any], call: Call, gradients: bool = False) -> Comparison:
    """Run both in turns on one call; with gradients, forward and backward."""
    args, kwargs = call
    with torch.set_grad_enabled(gradients):
        runs = [_with_gradients(f, args, kwargs) if gradients else partial(f, *args, **kwargs) for f in (old, new)]
        expected, actual = (run() for run in runs)
        times: list[list[float]] = [[], []]
        end = time.perf_counter() + SECONDS
        while len(times[0]) < 3 or time.perf_counter() < end:
            for run, noted in zip(runs, times, strict=True):
                start = time.perf_counter()
                run()
                noted.append(time.perf_counter() - start)
    return Comparison(min(times[0]), min(times[1]), _error(expected, actual))


def _with_gradients(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    first = args[0].detach().requires_grad_()
    wanted = [first, *(p for p in layer.parameters() if p.requires_grad)]

    def run() -> Any:
        y = layer(first, *args[1:], **kwargs)
        torch.autograd.grad(y, wanted, torch.ones_like(y))
        return y.detach()

    return run


def _error(expected: Any, actual: Any) -> float:
    """The largest difference between tensors, wherever they lie in the results, relative to the largest value."""
    pairs = list(zip(_tensors(expected), _tensors(actual), strict=True))
    scale = max((a.abs().max().item() for a, _ in pairs if a.numel()), default=0) or 1
    return float(max(((a - b).abs().max().item() for a, b in pairs if a.numel()), default=0) / scale)


def _tensors(result: Any) -> list[Tensor]:
    leaves = torch.utils._pytree.tree_leaves(result)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
