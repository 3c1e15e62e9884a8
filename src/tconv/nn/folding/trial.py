"""While `accelerate` looks at its example: what is folded runs against what it replaces, and the faster one stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor

from tconv.nn.comparison import Comparison, compare
from tconv.nn.engine import Engine


class Fold(Protocol):
    """What is compared.

    Attributes:
        name: of the fold.
        by_rule: whether it is used where nothing was measured.
        engine: what computes it.
    """

    name: str
    by_rule: bool
    engine: Engine

    @property
    def by_steps(self) -> Callable[..., Tensor]:
        """What the model computes without the fold."""

    def folded(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """What `by_steps` computes, in another way."""


class Trial:
    """The comparisons of one look: by the names of the folds, each with the result that decides.

    Attributes:
        results: what came of each.
        tolerance: the largest error, relative to the largest value, that a fold may have.
        deadline: of `time.perf_counter`; folds that are first met afterwards are not compared.
    """

    def __init__(self, tolerance: float, deadline: float, seconds: float):
        self.results: dict[str, Comparison] = {}
        self.tolerance = tolerance
        self.deadline = deadline
        self._seconds = seconds

    def wanted(self, fold: Fold, arguments: tuple[Tensor, ...]) -> bool:
        """Whether a fold is to be used: compared on the arguments of its first call; by rule, if there is no time."""
        result = self.results.get(fold.name)
        if result is None:
            if time.perf_counter() > self.deadline:
                return fold.by_rule
            pair, synchronise = (fold.by_steps, fold.folded), fold.engine.synchronise
            result = compare(*pair, (arguments, {}), seconds=self._seconds, synchronise=synchronise)
            self.results[fold.name] = result
        return result.faster and result.error <= self.tolerance


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
