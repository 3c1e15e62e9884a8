"""A fold, and its trial against what it replaces, while `accelerate` looks at its example."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import torch
from torch import Tensor, nn

from tconv.nn import private
from tconv.nn.comparison import Comparison, as_exact, coarseness, compare, finer, widened
from tconv.nn.engine import Engine


class Fold(nn.Module, ABC):
    """What stands in the place of some nodes of a graph, and computes what they do in another way.

    Attributes:
        name: of the fold.
        engine: what computes it.
        wanted: whether it is used; else the nodes run as they were.
        by_rule: whether it is used where nothing was measured.
        by_steps: what the nodes compute, with the same arguments.
    """

    by_steps: Callable[..., Tensor]

    def __init__(self, name: str, engine: Engine):
        super().__init__()
        self.name = name
        self.engine = engine
        self.wanted = self.by_rule = True

    def forward(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """The result for the nodes' input `x` and the other tensors that they read, in the way that is wanted."""
        if (trial := current()) is not None:
            self.wanted = trial.wanted(self, (x, *tensors))
        return self.folded(x, *tensors) if self.wanted else self.by_steps(x, *tensors)

    def folded(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """The result as one layer, where that is possible; profilers see it under its name."""
        if private.profiling():
            with torch.profiler.record_function(f"tconv: {self.name}"):
                return self._folded(x, *tensors)
        return self._folded(x, *tensors)

    @abstractmethod
    def _folded(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """The result as one layer; by the steps, where there is none."""


class Trial:
    """The comparisons of one look: by the names of the folds, each with the result that decides.

    Attributes:
        results: what came of each.
        tolerance: the largest error, relative to the largest value, that a fold may have.
        deadline: of `time.perf_counter`; folds that are first met afterwards are not compared.
    """

    def __init__(self, tolerance: float, deadline: float, seconds: float):
        self.results: dict[str, Comparison] = {}
        self._wanted: dict[str, bool] = {}
        self.tolerance = tolerance
        self.deadline = deadline
        self._seconds = seconds

    def wanted(self, fold: Fold, arguments: tuple[Tensor, ...]) -> bool:
        """Whether a fold is to be used: compared on the arguments of its first call; by rule, if there is no time."""
        result = self.results.get(fold.name)
        if result is None:
            if time.perf_counter() > self.deadline:
                return fold.by_rule
            pair, clock = (fold.by_steps, fold.folded), partial(fold.engine.seconds, device=arguments[0].device)
            result = compare(*pair, (arguments, {}), seconds=self._seconds, clock=clock)
            self.results[fold.name] = result
            right = result.error <= max(self.tolerance, _half_a_step(arguments))
            # To compute it exactly takes as long as to measure it: that is done where it decides.
            self._wanted[fold.name] = result.faster and (right or _as_exact(fold, arguments))
        return self._wanted[fold.name]


def _half_a_step(arguments: tuple[Tensor, ...]) -> float:
    """What one rounding takes off the largest value of a result in half precision or TF32; 0 in others."""
    return coarseness(arguments) / 2


# How many times as far as its steps from the exact result a fold may be in half precision: it may round weights that it
# derives, and two parts of a sum, each of which adds as much as the steps' own rounding. The whole is judged besides.
TIMES = 3


def _as_exact(fold: Fold, arguments: tuple[Tensor, ...]) -> bool:
    """Whether a fold that differs rounds about as its steps do, in half precision."""
    old = fold.by_steps(*arguments)
    if not coarseness(old):
        return False
    with private.without_autocast():
        exact = fold.by_steps(*widened(arguments, finer(arguments)))
    return as_exact(exact, old, fold.folded(*arguments), TIMES)


_current: ContextVar[Trial | None] = ContextVar("trial", default=None)
current: Callable[[], Trial | None] = _current.get


@contextmanager
def running(trial: Trial) -> Iterator[Trial]:
    """Within it, on this thread, folds are compared when they are called."""
    token = _current.set(trial)
    try:
        yield trial
    finally:
        _current.reset(token)
