"""A contender in its process. Run as a program:

python -m tconv.benchmark.csc.worker 'sporco admm/0/0/0' 2

The contender, the number of the case, steps and optimum or 0 where these are to be found; threads.
"""

from __future__ import annotations

import sys
import warnings
from time import perf_counter, process_time
from typing import Any

import numpy as np

from tconv.arrays import Array
from tconv.benchmark.csc.cases import CASES, problem
from tconv.benchmark.csc.contenders import CODERS, LEARNERS
from tconv.benchmark.process import serve
from tconv.benchmark.worker import forget_peak, peak_above

WITHIN = 1e-3
"""Of the optimum, relative, is where a coder has arrived."""
PATIENCE = 60.0
"""Seconds; one that took longer, and has not arrived, is not tried with more steps."""
ENDS = 2e-3
"""A learner that gains less than this from one number of turns to the next is not tried with more."""


class Worker:
    """Every method answers with what goes into the results; times are in seconds."""

    def __init__(self, name: str) -> None:
        warnings.simplefilter("ignore")
        contender, number, steps, optimum = name.split("/")
        self.case = CASES[int(number)]
        self.images, self.kernels = problem(self.case)
        make = (LEARNERS if self.case.what == "learn" else CODERS)[contender]
        self.steps, self.run = make(self.case, self.images, self.kernels)
        self.enough, self.optimum = int(steps), float(optimum)

    def arrive(self) -> dict[str, Any]:
        """How many steps it takes to come within `WITHIN` of the optimum; or, for a learner, how good kernels are after
        more and more turns, with the seconds that these took."""
        if self.case.what == "learn":
            return self._learned()
        best = self.optimum or self._optimum()
        for n in self.steps:
            start = perf_counter()
            value = self._objective(self.run(n))
            if value <= (1 + WITHIN) * best:
                self.enough = n
                return {"steps": n, "objective": value, "optimum": best}
            if perf_counter() - start > PATIENCE:
                break
        raise RuntimeError(f"not within {WITHIN} of the optimum {best:.6g} after {n} steps: {value:.6g}")

    def turn(self) -> dict[str, float]:
        """Seconds of so many steps, by the clock and of all processors together."""
        start, busy = perf_counter(), process_time()
        self.run(self.enough)
        return {"seconds": perf_counter() - start, "cpu": process_time() - busy}

    def memory(self) -> dict[str, int]:
        """Bytes by which the resident memory grew at most; asked of a fresh process, as freed memory is used again."""
        before = forget_peak()
        self.run(self.enough)
        return {"growth": peak_above(before)}

    def _optimum(self) -> float:
        from tconv.decomposition import ConvSparseCoder

        coder = ConvSparseCoder(
            self.kernels.astype(np.float64), self.case.alpha, border="inside", tol=1e-5, max_iter=20_000
        )
        coder.transform(self.images.astype(np.float64))
        return float(coder.objective_ - coder.dual_gap_ / 2)

    def _objective(self, codes: Array) -> float:
        from tconv.decomposition import ConvSparseCoder

        codes = np.asarray(codes, np.float64)
        coder = ConvSparseCoder(self.kernels.astype(np.float64), self.case.alpha, border="inside")
        rest = self.images - coder.inverse_transform(codes)
        return float(np.sum(rest * rest) / 2 + self.case.alpha * np.abs(codes).sum())

    def _learned(self) -> dict[str, Any]:
        """Kernels are as good as the objective of the same images' codes under them, found by the same coder."""
        from tconv.decomposition import ConvSparseCoder

        rows: list[tuple[int, float, float]] = []
        for n in self.steps:
            start = process_time()
            kernels = self.run(n)
            seconds = process_time() - start
            flat = kernels.reshape(len(kernels), -1)
            kernels = kernels / np.maximum(np.linalg.norm(flat, axis=1), 1e-12).reshape(-1, *[1] * (kernels.ndim - 1))
            coder = ConvSparseCoder(kernels, self.case.alpha, border="inside", tol=1e-3)
            coder.transform(self.images)
            rows.append((n, seconds, float(coder.objective_)))
            if len(rows) > 1 and rows[-2][2] - rows[-1][2] < ENDS * rows[-1][2]:
                break
        self.enough = rows[-1][0]
        return {"rows": rows}


if __name__ == "__main__":
    serve(lambda: Worker(sys.argv[1]), int(sys.argv[2]))
