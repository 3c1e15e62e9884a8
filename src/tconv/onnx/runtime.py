"""ONNX Runtime: sessions on the CPU, and the times of several in turns."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import ModelProto

from tconv import errors
from tconv.onnx.reading import LARGEST, first_line

Array: TypeAlias = np.ndarray[Any, Any]

LEAST = 3  # turns, whatever they take
SPELL = 0.01  # seconds of a turn, at least one call
QUIET = 3  # ONNX Runtime's severity from which it speaks: errors


class Session:
    """A model in ONNX Runtime.

    Args:
        model: any.
        threads: that one operator may use; None: ONNX Runtime's own choice.

    Raises:
        OnnxError: ONNX Runtime refuses the model.
    """

    def __init__(self, model: ModelProto, threads: int | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = ["CPUExecutionProvider"]
        try:
            if model.ByteSize() <= LARGEST:
                self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
            else:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "model.onnx"
                    save_large(model, path, path)
                    self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # of classes of its own, which have no base but Exception
            raise errors.OnnxError(f"ONNX Runtime refuses the model: {first_line(error)}") from error
        self.outputs = [value.name for value in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs in order.

        Raises:
            OnnxError: ONNX Runtime cannot run the model on these inputs.
        """
        try:
            found: list[Array] = self._session.run(None, dict(inputs))
        except Exception as error:
            raise errors.OnnxError(f"ONNX Runtime cannot run the model on the example: {first_line(error)}") from error
        return found


def save_large(model: ModelProto, path: Path, beside: Path) -> None:
    """Write a model whose weights are too large for one file: they stand in a file beside `beside`."""
    copy = ModelProto()
    copy.CopyFrom(model)
    onnx.save_model(copy, str(path), save_as_external_data=True, location=f"{beside.name}.data")


def seconds_in_turns(runs: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """The median time of each of several runs, which take turns for so long.

    The first run of a turn is not counted: the threads of the others may still wait for work, and caches hold theirs.
    """
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + seconds
    turn = 0
    while turn < LEAST or time.perf_counter() < end:
        for n in range(len(runs)):  # another one begins each turn
            at = (n + turn) % len(runs)
            runs[at]()
            times[at] += _spell(runs[at])
        turn += 1
    return [median(each) for each in times]


def _spell(run: Callable[[], object]) -> list[float]:
    """The times of a run's calls, one after the other for a while."""
    begin = time.perf_counter()
    found: list[float] = []
    while not found or time.perf_counter() < begin + SPELL:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return found
