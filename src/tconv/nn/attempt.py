"""A model made faster in one way, measured fold by fold and as a whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from tconv.nn import private
from tconv.nn.backend import Backend
from tconv.nn.capture import Captured, release
from tconv.nn.comparison import Comparison, as_exact, coarseness, finer, largest_error, tensors_in
from tconv.nn.example import Example
from tconv.nn.folding import trial
from tconv.nn.report import Row
from tconv.nn.restoration import Layout

log = logging.getLogger("tconv")

FOLD = "fold"  # the kind of a row that is no layer

# Of the time for measuring: what the folds of each attempt are compared in, and what the whole is.
LOOK, WHOLE = 0.3, 0.4


@dataclass
class Attempt:
    """One way: as captured by `backend`; channels-last if `last`: the weights, and signals where nobody can tell.

    Attributes:
        running: what runs in place of the modules' own calls.
        results: of the folds that were compared, by name.
        error: of the whole result; 0 where it cannot be told.
        right: whether that is within the tolerance, or no more than half precision rounds off.
        seconds: of runs of the whole.
        failure: why the model cannot run so, if it cannot.
    """

    backend: Backend
    last: bool
    running: list[Captured] = field(default_factory=list)
    results: dict[str, Comparison] = field(default_factory=dict)
    error: float = 0.0
    right: bool = True
    seconds: list[float] = field(default_factory=list)
    failure: str = ""

    def install(self) -> None:
        """Let the modules run as in this attempt."""
        for running in self.running:
            vars(running.model)[private.CALL_SLOT] = running

    @property
    def folds(self) -> bool:
        """Whether any fold is used."""
        return any(fold.wanted for fold in self.backend.folds.values())

    def rows(self) -> list[Row]:
        """What was folded, and what was not."""
        rows = []
        for name, fold in self.backend.folds.items():
            result = self.results.get(name)
            told = "by rule, not compared" if result is None else str(result)
            rows.append(
                Row("folded", name, FOLD, told) if fold.wanted else Row("skipped", name, FOLD, f"not used: {told}")
            )
        return rows + [Row("skipped", name, FOLD, reason) for name, reason in self.backend.skipped.items()]


class Race:
    """A model as it is against its attempts.

    Args:
        example: how the model is called.
        tolerance: the largest error that an attempt may have.
        seconds, forwards: what measuring may cost: so long, or so many of the model's runs, whichever is less.
        progress: is told what is being done.
    """

    def __init__(
        self, example: Example, tolerance: float, seconds: float, forwards: int, progress: Callable[[str], object]
    ):
        self._example = example
        self._tolerance = tolerance
        self._progress = progress
        progress("running the model as it is")
        self._expected, _ = self._timed()
        again, self._once = self._timed()
        self.steady = largest_error(self._expected, again) <= tolerance
        self.before = [self._once]
        self.last_moment = time.perf_counter() + seconds
        self._budget = min(seconds, forwards * self._once)  # of measuring; capturing takes what it takes

    def try_out(self, attempt: Attempt, modules: Sequence[nn.Module], layout: Layout) -> None:
        """Capture the modules, and compare fold by fold and the whole result."""
        attempt.running = [Captured(module, attempt.backend) for module in modules]
        attempt.backend.know(self._example.model)
        try:
            layout.use(attempt.last)
            attempt.install()
            self._progress(f"capturing{', channels-last' * attempt.last}")
            # Graphs are captured in a run of their own, so that the time of none is held against a fold's.
            self._example.run()
            share = self._budget * LOOK
            each = min(0.05, self._once, share / 2 / max(1, len(attempt.backend.folds)))  # the rest is for first runs
            look = trial.Trial(self._tolerance, time.perf_counter() + share, each)
            with trial.running(look):
                self._progress(f"comparing {len(attempt.backend.folds)} folds{', channels-last' * attempt.last}")
                self._example.run()
            attempt.results = look.results
            attempt.backend.decided |= {name: fold.wanted for name, fold in attempt.backend.folds.items()}
            result, seconds = self._timed()
            attempt.seconds.append(seconds)
            if self.steady:
                attempt.error = largest_error(self._expected, result)
                attempt.right = attempt.error <= self._tolerance or self._as_exact(result)
        except Exception as error:  # of the model's own code: `view`, for one, asks for the layout it was written for
            attempt.failure = (str(error).splitlines() or [type(error).__name__])[0] or type(error).__name__
        finally:
            self._as_it_is(modules, layout)

    def measure(self, attempts: Sequence[Attempt], modules: Sequence[nn.Module], layout: Layout) -> None:
        """Run the whole in turns, as it is and in each attempt, until the time for it is over."""
        self._progress("comparing the whole")
        end = min(time.perf_counter() + self._budget * WHOLE, self.last_moment)
        while len(self.before) < 2 or time.perf_counter() < end:
            self.before.append(self._timed()[1])
            for attempt in attempts:
                layout.use(attempt.last)
                attempt.install()
                try:
                    attempt.seconds.append(self._timed()[1])
                finally:
                    self._as_it_is(modules, layout)

    def comparison(self, attempt: Attempt) -> Comparison:
        """The whole, before and after: the least times, which other work on the machine disturbs least."""
        return Comparison(min(self.before), min(attempt.seconds), attempt.error)

    def _as_exact(self, result: Any) -> bool:
        """Whether a result in half precision is about as near to that in finer numbers as the model's own is."""
        if not coarseness(self._expected):
            return False
        dtype = finer(tensors_in(self._expected))
        try:
            with private.without_autocast():
                exact = self._example.widened(dtype).run()
        except Exception as error:  # of the model's own code, which may know one dtype only
            kind = "single" if dtype is torch.float32 else "double"
            log.info("the model does not run in %s precision, which would tell what is rounded off: %s", kind, error)
            return False
        return as_exact(exact, self._expected, result)

    def _as_it_is(self, modules: Sequence[nn.Module], layout: Layout) -> None:
        for module in modules:
            release(module)
        layout.use(False)

    def _timed(self) -> tuple[Any, float]:
        start = time.perf_counter()
        result = self._example.run()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return result, time.perf_counter() - start
