"""A place of a model in ONNX Runtime, as it is and in other ways: equal by value, and measured in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from onnx import ModelProto

from tconv import errors
from tconv.nn.comparison import Comparison
from tconv.onnx.folds import Candidate, Place
from tconv.onnx.graph import piece
from tconv.onnx.importing.program import imported
from tconv.onnx.report import Row, largest_error
from tconv.onnx.runtime import Session, seconds_in_turns

Array: TypeAlias = np.ndarray[Any, Any]

GAIN = 0.95  # of the time, that a place may take at most after it was folded: less is no clear gain
TIMES = 3.0  # how many times as far from the exact result as the place itself a candidate may be
ROUNDINGS = 16  # steps of the dtype, relative to the largest value, that are no error in any case


@dataclass(frozen=True)
class Verdict:
    """What came of a place.

    Attributes:
        row: for the report.
        candidate: the fastest, if it is right and clearly faster than the place.
    """

    row: Row
    candidate: Candidate | None = None


def judge(model: ModelProto, place: Place, x: Array, threads: int | None, seconds: float) -> Verdict:
    """Compare a place with its candidates on one input, which is what it is given in a run of the model.

    Args:
        model: that the place is in.
        place: there.
        x: what its first node reads.
        threads: of ONNX Runtime.
        seconds: to measure for, after a first run of each.
    """
    old = piece(model, place.nodes, (), x.shape)
    inputs = {place.input: x}
    try:
        sessions = [Session(old, threads)]
        expected = sessions[0].run(inputs)
    except errors.OnnxError as reason:  # of operators that it runs within a larger model only
        return Verdict(Row("kept", place.name, place.kinds, f"it cannot be measured alone: {reason}"))
    right, told = [], []
    exact = _exact(old, x)
    own = largest_error([exact], [each.astype(np.float64) for each in expected])
    allowed = max(TIMES * own, ROUNDINGS * float(np.finfo(expected[0].dtype).eps))
    for candidate in place.candidates:
        try:
            session = Session(piece(model, candidate.nodes, candidate.weights, x.shape), threads)
            error = largest_error([exact], [each.astype(np.float64) for each in session.run(inputs)])
        except errors.OnnxError as reason:
            told.append(f"{candidate.name}: {reason}")
            continue
        if error > allowed:
            told.append(f"{candidate.name}: error {error:.1e}, where the place itself has {own:.1e}")
        else:
            right.append((candidate, error))
            sessions.append(session)
    if not right:
        return Verdict(Row("kept", place.name, place.kinds, "; ".join(told)))
    before, *after = seconds_in_turns([_run(each, inputs) for each in sessions], seconds)
    best = min(range(len(right)), key=after.__getitem__)
    told = [f"{c.name} {Comparison(before, t, e)}" for (c, e), t in zip(right, after, strict=True)] + told
    if after[best] > GAIN * before:
        return Verdict(Row("kept", place.name, place.kinds, "; ".join(told)))
    told.insert(0, told.pop(best))
    return Verdict(Row("folded", place.name, place.kinds, "; ".join(told)), right[best][0])


def _run(session: Session, inputs: dict[str, Array]) -> Any:
    return lambda: session.run(inputs)


def _exact(model: ModelProto, x: Array) -> Array:
    """What the operators give in double precision."""
    module = imported(model).double()
    with torch.no_grad():
        found: Array = module(torch.from_numpy(x.astype(np.float64))).numpy()
    return found
