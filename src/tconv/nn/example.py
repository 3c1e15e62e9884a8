"""A model's example call: its arguments, the same random numbers for each run, and no trace left in the model."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from tconv.nn.comparison import evaluating, widened


class Example:
    """How a model is called.

    Args:
        model: the model.
        given: a tensor or any other single argument; a tuple of arguments; a mapping of keyword arguments, as
            processors return; or a tuple of such a tuple and such a mapping.
        method: the name of the method that is called; None: the model itself.
    """

    def __init__(self, model: nn.Module, given: Any, method: str | None):
        self.model = model
        self._method = method
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        pair = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], tuple)
        if pair and isinstance(given[1], Mapping):
            self.args, self.kwargs = given[0], dict(given[1])
        elif isinstance(given, Mapping):
            self.kwargs = dict(given)
        else:
            self.args = given if isinstance(given, tuple) else (given,)

    def run(self) -> Any:
        """The model's result, with the random numbers of every other run."""
        call: Callable[..., Any] = self.model if self._method is None else getattr(self.model, self._method)
        with same_random_numbers():
            return call(*self.args, **self.kwargs)

    def widened(self, dtype: torch.dtype) -> Example:
        """The same call of a copy of the model, with all coarser numbers in `dtype`, single or double precision."""
        given = widened(self.args, dtype), widened(self.kwargs, dtype)
        model = copy.deepcopy(self.model)
        return Example(model.double() if dtype is torch.float64 else model.float(), given, self._method)

    def entered(self) -> list[nn.Module]:
        """The modules that a run of the method calls from outside of any other module of the model, in their order."""
        if self._method is None:
            return [self.model]
        own = set(self.model.modules())
        found: dict[nn.Module, None] = {}
        depth = 0

        def enter(module: nn.Module, *_: Any) -> None:
            nonlocal depth
            if module in own:
                if depth == 0:
                    found[module] = None
                depth += 1

        def leave(module: nn.Module, *_: Any) -> None:
            nonlocal depth
            depth -= module in own

        hooks = register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)
        try:
            self.run()
        finally:
            for hook in hooks:
                hook.remove()
        return list(found)


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Within it, all sources of random numbers begin as they were; afterwards they are so once more."""
    numpy: Any = sys.modules.get("numpy")
    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def no_trace(model: nn.Module) -> Iterator[None]:
    """Within it, the model is in evaluation mode and without gradients; afterwards its buffers are what they were."""
    before = [(buffer, buffer._version, buffer.detach().clone()) for buffer in model.buffers() if _counts(buffer)]
    with evaluating(model):
        try:
            yield
        finally:
            for buffer, version, values in before:
                if buffer._version != version:
                    buffer.copy_(values)


def _counts(buffer: Tensor) -> bool:
    return not buffer.is_inference() and type(buffer) is Tensor and buffer.layout == torch.strided
