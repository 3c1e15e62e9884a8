"""One model and its contenders: each in a process of its own, in turns, against one result in double precision."""

from __future__ import annotations

import signal
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import calling
import torch
from contenders import CONTENDERS, eager
from precision import around, cast, within
from torch import nn
from zoo import Entry, Example, counts, made

from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.process import Contestant, Failed

REFERENCE = "reference"
LIMIT = 240
"""Seconds that a contender may take to get ready, unless told otherwise."""


class Worker:
    """A model with a contender, in one of `precision.PRECISIONS`. Times are in seconds, memory in MB."""

    def __init__(
        self, entry: Entry, contender: str, threads: int, expected: str, limit: int, precision: str = "float32"
    ) -> None:
        torch.set_grad_enabled(False)
        torch.set_num_threads(threads)
        warnings.simplefilter("ignore")
        self._entry, self._contender = entry, contender
        self._expected, self._limit, self._precision = Path(expected), limit, precision

    def _made(self) -> tuple[nn.Module, Example]:
        model, example = made(self._entry)
        return model, cast(model, example, self._precision)

    def expect(self) -> dict[str, Any]:
        """Write the expected results; in which precision they are, and how many layers of which kind the model has."""
        model, example = self._made()
        kinds, precision = counts(model), "float64"
        try:
            if self._entry.random:
                raise ValueError("random numbers are others in double precision")
            results = calling.tensors(eager(self._entry, model, calling.double(model, example))())
        except Exception:
            with around(self._precision):
                results = calling.tensors(eager(self._entry, *self._made())())
            precision = self._precision
        torch.save(results, self._expected)
        return {"precision": precision, "kinds": kinds}

    def prepare(self) -> dict[str, float]:
        """Get ready; the seconds that takes, with the first run, the largest error, and the peak of memory."""
        model, example = self._made()
        signal.alarm(self._limit)  # which ends the process, also out of compiled code
        start = perf_counter()
        with around(self._precision):
            run = CONTENDERS[self._contender](self._entry, model, example)
        self._run = within(self._precision, run)
        found = calling.tensors(self._run())
        ready = perf_counter() - start
        signal.alarm(0)
        # Not ru_maxrss, which a new process takes over from the one that started it.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        error = calling.largest_error(found, torch.load(self._expected))
        return {"ready": ready, "error": error, "peak": int(status["VmHWM"].split()[0]) / 1024}

    def turn(self) -> dict[str, float]:
        return {"seconds": median(seconds_of_calls(self._run, 0.1))}


def measure(
    program: Sequence[str],
    name: str,
    contenders: Sequence[str],
    rounds: int,
    threads: int,
    limit: int = LIMIT,
    more: str = "",
) -> dict[str, Any]:
    """Race a model.

    Args:
        program: what Python runs to be a contender; it takes the model, the file of expected results and the limit,
            and then contender and threads as `Contestant` says.
        name: of the model.
        contenders: their names.
        rounds: turns of each contender.
        threads: of each contender.
        limit: seconds that a contender may take to get ready.
        more: something else that the workers time in every turn; default: nothing.

    Returns:
        "expected", what the reference said, and "each": for every contender its error, peak, seconds to get ready and
        the median of its turns; or why it failed.
    """
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        command = (*program, name, str(Path(folder) / "expected.pt"), str(limit))
        with Contestant(REFERENCE, threads, program=command) as reference:
            expected = reference.ask("expect")
        ready = [stack.enter_context(Contestant(c, threads, program=command)) for c in contenders]
        for contestant in list(ready):
            try:
                results[contestant.name] = contestant.ask("prepare")
            except Failed as error:
                _fail(results, ready, contestant, error, limit)
        turns = _turns(results, ready, ("turn", more) if more else ("turn",), rounds, limit)
    for contender, seen in turns.items():
        if "failed" not in results[contender]:
            results[contender] |= {"seconds": median(seen["turn"])} | ({more: median(seen[more])} if more else {})
    return {"expected": expected, "each": results}


def _turns(
    results: dict[str, dict[str, Any]], ready: list[Contestant], asked: Sequence[str], rounds: int, limit: int
) -> dict[str, dict[str, list[float]]]:
    """The seconds of all turns; another contender is first in each. One that fails is out."""
    turns: dict[str, dict[str, list[float]]] = {c.name: {what: [] for what in asked} for c in ready}
    for number in range(rounds):
        first = number % max(len(ready), 1)
        for contestant in [*ready[first:], *ready[:first]]:
            try:
                for what in asked:
                    turns[contestant.name][what].append(contestant.ask(what)["seconds"])
            except Failed as error:
                _fail(results, ready, contestant, error, limit)
    return turns


def _fail(
    results: dict[str, dict[str, Any]], ready: list[Contestant], contestant: Contestant, error: Failed, limit: int
) -> None:
    late = f"status {-signal.SIGALRM}" in str(error)
    results[contestant.name] = {"failed": f"not ready after {limit} s" if late else str(error)}
    ready.remove(contestant)
    contestant.close()
