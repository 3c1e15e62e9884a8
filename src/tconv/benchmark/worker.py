"""What a contender does in its process: prepare a layer, take turns, and the three smaller measurements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from threading import Barrier, Thread
from time import perf_counter
from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.contenders import PREPARE, Bind, Task
from tconv.benchmark.suite import SUITE, Case
from tconv.layer import prepare

SIZES = 24
"""Different input sizes in a sequence: the layer's own with 1 to 24 more cells on the last axis."""
PASSES = 3
"""Times that the sequence is repeated, after the pass in which all sizes are new."""
CALLERS = (1, 4, 16)
"""Python threads that call at once."""
CALLING = 0.3
"""Seconds that they call for."""


class Worker:
    """One contender. Every method answers with what goes into the results; times are in seconds."""

    def __init__(self, name: str, threads: int) -> None:
        self._contender = PREPARE[name]
        self._threads = threads
        self._run: Callable[[], object] | None = None

    def prepare(self, case: Case) -> dict[str, float]:
        """Get ready for turns on this layer: ||y - reference|| / ||reference||, in float64."""
        self._run = None  # frees the last layer first
        x = case.input()
        run, view = self._bind(case)(x)
        error = _error(case, x, view(run()))
        self._run = run
        return {"error": error}

    def turn(self) -> dict[str, float]:
        """Median seconds per call in this turn."""
        assert self._run is not None, "prepare comes first"
        return {"seconds": median(seconds_of_calls(self._run))}

    def sizes(self, case: Case) -> dict[str, float]:
        """What a size costs that is new, or other than the last call's: as ratios to the seconds of a call that is not.

        Each size is called twice in a row: the first call changes the size, the second does not. The ratio of the two
        is not moved by what else the machine does; its median over all sizes counts. A call takes an array, binds it
        and runs; the two take arrays of their own, so that neither finds its input in the cache.
        """
        bind = self._bind(case, fixed=False)
        *larger, largest = [(*case.in_size[:-1], case.in_size[-1] + 1 + extra) for extra in range(SIZES + 1)]
        inputs = [(case.input(size), case.input(size)) for size in larger]
        _seconds(bind, case.input(largest))  # the process has then got all memory that it needs
        seconds = np.array([[(_seconds(bind, x), _seconds(bind, y)) for x, y in inputs] for _ in range(1 + PASSES)])
        ratios = seconds[..., 0] / seconds[..., 1]
        new, changing = np.median(ratios[0]), np.median(ratios[1:])
        return {"fixed": float(np.median(seconds[1:, :, 1])), "changing": float(changing), "new": float(new)}

    def callers(self, case: Case) -> dict[str, list[float]]:
        """Calls per second of all threads together, for each number of calling threads."""
        bind = self._bind(case)
        runs = [bind(case.input().copy())[0] for _ in range(max(CALLERS))]
        runs[0]()
        return {"rates": [_calls_per_second(runs[:count]) for count in CALLERS]}

    def memory(self, case: Case) -> dict[str, int]:
        """Bytes by which the resident memory grew at most, while the layer was prepared, bound and run once.

        The contender's libraries are loaded before; input, weight and bias exist before, the result does not. Asked of
        a fresh process, because memory that was freed can be taken again without growing.
        """
        small = SUITE[0]
        run, _ = self._bind(small)(small.input())
        run()
        x, (weight, bias) = case.input(), case.parameters()
        before = forget_peak()
        run, _ = self._contender(Task(case, weight, bias, self._threads))(x)
        run()
        return {"growth": peak_above(before)}

    def _bind(self, case: Case, fixed: bool = True) -> Bind:
        return self._contender(Task(case, *case.parameters(), self._threads, fixed))


def _error(case: Case, x: Array, y: Array) -> float:
    """Relative error in the 2-norm. The reference is tconv's in float64, which all peers thereby check, too."""
    weight, bias = (array.astype(np.float64) for array in case.parameters())
    reference = prepare(weight, bias, case.geometry, case.groups)(x.astype(np.float64))
    return float(np.linalg.norm((y - reference).ravel()) / np.linalg.norm(reference.ravel()))


def _seconds(bind: Bind, x: Array) -> float:
    start = perf_counter()
    run, _ = bind(x)
    run()
    return perf_counter() - start


def _calls_per_second(runs: list[Callable[[], Any]]) -> float:
    counts = [0] * len(runs)
    start = Barrier(len(runs) + 1)

    def call(number: int) -> None:
        start.wait()
        end = perf_counter() + CALLING
        while perf_counter() < end:
            runs[number]()
            counts[number] += 1

    threads = [Thread(target=call, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    start.wait()
    begin = perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (perf_counter() - begin)


def forget_peak() -> int:
    """Make the kernel take the present resident memory as the peak; its bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


def peak_above(before: int) -> int:
    """Bytes by which the peak exceeds what was resident; 0 where Linux, which counts in batches, has it below."""
    return max(_status("VmHWM") - before, 0)


def _status(field: str) -> int:
    """Bytes, from a line of /proc/self/status such as `VmHWM:     1234 kB`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
