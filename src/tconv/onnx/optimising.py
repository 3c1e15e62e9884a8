"""A model in ONNX as a faster model in ONNX: exact folds, each kept where the runtime at hand is faster with it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx.helper
from onnx import ModelProto

from tconv import errors
from tconv.nn.comparison import Comparison
from tconv.onnx.examples import example_for
from tconv.onnx.folds import Place, places
from tconv.onnx.graph import Graph, replaced
from tconv.onnx.importing.program import ports
from tconv.onnx.reading import OLDEST, Source, has_subgraphs, opset_of, read_model
from tconv.onnx.report import Report, Row, largest_error
from tconv.onnx.runtime import Session, seconds_in_turns
from tconv.onnx.trial import judge

Array: TypeAlias = np.ndarray[Any, Any]

WHOLE = 0.4  # of the time for measuring, that the whole model is compared in


def optimize(
    source: Source,
    example: Any = None,
    *,
    threads: int | None = None,
    tolerance: float = 1e-3,
    seconds: float = 30.0,
) -> ModelProto:
    """The model with exact folds, as plain ONNX, each applied only where ONNX Runtime is measured to be faster with it.

    Folded are: nearest upsampling by whole numbers and a convolution; a convolution and DepthToSpace; batch norms after
    these and after transposed convolutions and convolutions; and transposed convolutions, which a convolution and
    DepthToSpace may compute faster. `tconv.nn.folding.laws` and `tconv.onnx.folds.phases` prove each for inputs of
    every size. A place is measured alone with what it is given in a run of the model, the old operators and all
    candidates in turns, and a candidate is right if it is about as near to the result in double precision as the old
    operators are. In the end the whole model is compared with what it was; if it is not faster, it is returned as it
    was. One line is printed; `optimization` returns the report, too.

    Quantised operators, weights that are computed or are inputs, and graphs within If and Loop stay as they are.

    Args:
        source: a file, its bytes, or an onnx.ModelProto, which is not changed.
        example: what to measure with: an array, several in the order of the inputs, or a dict by name. Default: random
            numbers of the shapes in the file; needed where it leaves a size open, or an input takes whole numbers.
        threads: that ONNX Runtime may use for an operator; default its own choice, all cores.
        tolerance: the largest error of the whole that is accepted, relative to the largest value; default 1e-3.
        seconds: what measuring may take, about; default 30. First runs come on top.

    Returns:
        A new model of the same opset, with all weights in it.

    Raises:
        OnnxError: it is no valid ONNX model; its opset is below 11; ONNX Runtime refuses it; or an example is needed,
            or does not fit.
        ValueError: a limit is not positive.
        OSError: the file cannot be read.
    """
    model, report = optimization(source, example, threads=threads, tolerance=tolerance, seconds=seconds)
    print(report.line())
    return model


def optimization(
    source: Source,
    example: Any = None,
    *,
    threads: int | None = None,
    tolerance: float = 1e-3,
    seconds: float = 30.0,
) -> tuple[ModelProto, Report]:
    """As `optimize`, with the report; nothing is printed."""
    for name, limit in (("threads", threads), ("tolerance", tolerance), ("seconds", seconds)):
        if limit is not None and not limit > 0:
            raise ValueError(f"{name} {limit!r} must be greater than 0")
    start = time.perf_counter()
    model = read_model(source)
    if opset_of(model) < OLDEST:
        raise errors.OnnxError(
            f"the model is written with opset {opset_of(model)}, and {OLDEST} is the first that is folded; export it "
            f"anew, or convert it with onnx.version_converter"
        )
    report = Report()
    inputs = example_for(ports(model), example)
    graph = Graph(model)
    found = places(graph)
    before = Session(model, threads)
    expected = before.run(inputs)
    result = model
    share = seconds * (1 - WHOLE) / max(len(found), 1)
    given = _given(model, found, inputs, threads)
    for place in found:
        verdict = judge(model, place, given[place.input], threads, share)
        report.rows.append(verdict.row)
        if verdict.candidate is not None:
            result = replaced(result, place.nodes, verdict.candidate.nodes, verdict.candidate.weights)
    report.rows += _left_alone(model)
    if result is not model:
        after = Session(result, threads)
        error = largest_error(expected, after.run(inputs))
        times = seconds_in_turns([lambda: before.run(inputs), lambda: after.run(inputs)], seconds * WHOLE)
        report.whole = Comparison(times[0], times[1], error)
        report.changed = error <= tolerance and report.whole.faster
        if not report.changed:
            _undo(report, tolerance)
            result = model
    report.seconds = time.perf_counter() - start
    return result, report


def _undo(report: Report, tolerance: float) -> None:
    """Say that all is as it was, and why."""
    assert report.whole is not None
    for row in report.rows:
        row.action = "undone" if row.action == "folded" else row.action
    why = f"not faster: {report.whole}"
    if not report.whole.error <= tolerance:
        why = f"the result differs by {report.whole.error:.1e} of its largest value"
    report.rows.append(Row("undone", "(model)", "all folds together", why))


def _given(model: ModelProto, found: list[Place], inputs: Mapping[str, Array], threads: int | None) -> dict[str, Array]:
    """What the places are given in a run of the model."""
    names = {place.input for place in found} - set(inputs)
    outputs = {value.name for value in model.graph.output}
    shown = ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in sorted(names - outputs))
    session = Session(shown, threads)
    values = dict(zip(session.outputs, session.run(inputs), strict=True))
    return {place.input: inputs[place.input] if place.input in inputs else values[place.input] for place in found}


def _left_alone(model: ModelProto) -> list[Row]:
    """A row for each node that holds graphs of its own, within which nothing is folded."""
    return [
        Row("kept", node.name or node.op_type, node.op_type, "graphs within it stay as they are")
        for node in model.graph.node
        if has_subgraphs(node)
    ]
