"""One model in three ways: in ONNX Runtime, optimized there, and on tconv's engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from onnx import ModelProto

from tconv import errors
from tconv.names import printable
from tconv.onnx.loading import load
from tconv.onnx.optimising import optimization
from tconv.onnx.report import largest_error
from tconv.onnx.runtime import Session, seconds_in_turns

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Times:
    """The ways of a model.

    Attributes:
        rows: for each its name, the seconds of a run and the largest error against the first, relative to the largest
            value.
        missing: why there are fewer, a line each; empty if there are not.
    """

    rows: tuple[tuple[str, float, float], ...]
    missing: str = ""

    def __str__(self) -> str:
        first = self.rows[0][1]
        lines = [f"{name:22} {s * 1e3:9.2f} ms {first / s:7.2f}x  error {error:.1e}" for name, s, error in self.rows]
        return "\n".join([*lines, *([self.missing] if self.missing else [])])


def compared(model: ModelProto, inputs: Mapping[str, Array], threads: int | None, seconds: float) -> Times:
    """The times of a model on some inputs, in turns.

    Args:
        model: any that ONNX Runtime runs; one that holds operators which are not computed here is not loaded.
        inputs: all of them, by name.
        threads: of each way; None: each way's own choice, which is all cores.
        seconds: to optimize for, and then to measure for.
    """
    plain = Session(model, threads)
    runs: dict[str, Callable[[], Any]] = {"ONNX Runtime": lambda: plain.run(inputs)}
    missing = []
    optimized, told = optimization(model, inputs, threads=threads, seconds=seconds)
    if told.changed:
        faster = Session(optimized, threads)
        runs["tconv.onnx.optimize"] = lambda: faster.run(inputs)
    else:
        missing.append(told.line())
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            loaded = load(model, example=dict(inputs))
            runs["tconv.onnx.load"] = lambda: loaded(**inputs)
        except errors.UnsupportedOperatorError as error:
            missing.append(printable(str(error)))
        expected = plain.run(inputs)
        found = [_listed(run()) for run in runs.values()]
        times = seconds_in_turns(list(runs.values()), seconds)
    finally:
        torch.set_num_threads(before)
    errors_of = [largest_error(expected, each) for each in found]
    return Times(tuple(zip(runs, times, errors_of, strict=True)), "\n".join(missing))


def _listed(found: Any) -> list[Array]:
    return list(found) if isinstance(found, list | tuple) else [found]
