"""`optimize`: what is kept, what is measured and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from onnx_files.making import close, floats, model, node, runtime

from tconv import errors
from tconv.onnx import optimising, optimization, optimize, save, trial
from tconv.onnx.report import Report, largest_error


def network(opset: int = 17) -> ModelProto:
    """A convolution, two transposed ones, and an output in between."""
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("ConvTranspose", "c up", "t", strides=[4, 4], pads=[2, 2, 2, 2]),
        node("Relu", "t", "r"),
        node("ConvTranspose", "r last", "y", strides=[2, 2]),
    ]
    weights = {"w": floats(8, 3, 3, 3), "up": floats(8, 4, 8, 8), "last": floats(4, 2, 2, 2)}
    return model(nodes, {"x": [1, 3, 8, 9]}, weights, ["y", "r"], opset)


def timed(monkeypatch: pytest.MonkeyPatch, places: Sequence[float], whole: Sequence[float]) -> None:
    """Let the clock say that the first candidate of each place, and the whole, take so long."""
    given: dict[Any, Sequence[float]] = {trial: places, optimising: whole}
    for where, seconds in given.items():

        def turns(runs: Sequence[Callable[[], object]], _: float, seconds: Sequence[float] = seconds) -> list[float]:
            return [*seconds, *[9.0] * len(runs)][: len(runs)]

        monkeypatch.setattr(where, "seconds_in_turns", turns)


def kinds(made: ModelProto) -> list[str]:
    return [each.op_type for each in made.graph.node]


@pytest.mark.parametrize("opset", [11, 13, 17, 21])
def test_what_is_faster_is_kept(opset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.5], [2.0, 1.0])
    made = network(opset)
    before = made.SerializeToString()
    new, report = optimization(made)
    assert made.SerializeToString() == before
    assert kinds(new) == ["Conv", "Conv", "Relu", "DepthToSpace", "Slice", "Conv", "DepthToSpace"]
    assert [value.name for value in new.graph.output] == ["y", "r"]
    onnx.checker.check_model(new, full_check=True)
    x = floats(1, 3, 8, 9)
    for y, wanted in zip(runtime(new, {"x": x}), runtime(made, {"x": x}), strict=True):
        close(y, wanted)
    assert report.changed and report.whole is not None and report.whole.error < 1e-5
    assert report.line() == f"tconv: 2e+03 -> 1e+03 ms (2.00x), error {report.whole.error:.1e}, 2 places folded"
    first = str(report.rows[0])
    assert first.startswith(
        "folded  t_node  ConvTranspose + Relu: Conv + DepthToSpace, 2 x 2 taps, Slice 1e+03 -> 500 ms (2.00x), error "
    )


def test_what_is_not_clearly_faster_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.96], [2.0, 1.0])
    made = network()
    new, report = optimization(made)
    assert kinds(new) == kinds(made) and not report.changed and report.whole is None
    assert [row.action for row in report.rows] == ["kept", "kept"]
    assert report.line() == ("tconv: the model stays as it was: of 2 places none is clearly faster in another way")


def test_a_whole_that_is_not_faster_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.5], [1.0, 1.0])
    new, report = optimization(network())
    assert kinds(new) == kinds(network()) and not report.changed
    assert [row.action for row in report.rows] == ["undone"] * 3
    assert report.whole is not None
    error = f"{report.whole.error:.1e}"
    assert report.line() == (f"tconv: the model stays as it was: not faster: 1e+03 -> 1e+03 ms (1.00x), error {error}")
    timed(monkeypatch, [1.0, 0.5], [2.0, 1.0])
    _, report = optimization(network(), tolerance=1e-12)
    assert report.line().startswith("tconv: the model stays as it was: the result differs by ")


def test_a_candidate_that_is_wrong_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.5], [2.0, 1.0])
    from tconv.onnx.folds import phases

    true = phases.phase_weight
    monkeypatch.setattr(phases, "phase_weight", lambda layer, axes: true(layer, axes) * 1.001)
    new, report = optimization(network())
    assert kinds(new) == kinds(network()) and [row.action for row in report.rows] == ["kept", "kept"]
    assert ", where the place itself has " in str(report)


def test_measured_in_earnest(capsys: pytest.CaptureFixture[str]) -> None:
    """FCN's upsampling by 8, which ONNX Runtime computes several times as fast as phases."""
    nodes = [node("ConvTranspose", "x w", strides=[8, 8], pads=[4, 4, 4, 4])]
    made = model(nodes, {"x": [1, 21, 24, 24]}, {"w": floats(21, 21, 16, 16)})
    new = optimize(made, seconds=1.0)
    printed = capsys.readouterr().out
    assert kinds(new)[0] == "Conv" and printed.startswith("tconv: ") and printed.endswith(", 1 place folded\n")


def test_nothing_to_fold(capsys: pytest.CaptureFixture[str]) -> None:
    made = model([node("Relu", "x")], {"x": [2, 3]}, {})
    assert kinds(optimize(made)) == ["Relu"]
    assert capsys.readouterr().out == "tconv: the model stays as it was: nothing in it folds\n"


def test_open_sizes_come_from_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.5], [2.0, 1.0])
    made = model([node("ConvTranspose", "x w", strides=[4])], {"x": ["n", 3, "w"]}, {"w": floats(3, 2, 8)})
    new, _ = optimization(made, floats(1, 3, 10))
    assert kinds(new) == ["Conv", "Reshape", "Transpose", "Reshape"]
    for size in (1, 7):
        x = floats(2, 3, size)
        close(runtime(new, {"x": x})[0], runtime(made, {"x": x})[0])


def test_graphs_within_nodes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.5], [2.0, 1.0])
    inner = onnx.helper.make_graph(
        [node("ConvTranspose", "x w", "inner", strides=[2, 2])], "then", [],
        [onnx.helper.make_tensor_value_info("inner", 1, None)],
    )  # fmt: skip
    both = onnx.helper.make_node("If", ["yes"], ["z"], "choice", then_branch=inner, else_branch=inner)
    nodes = [both, node("ConvTranspose", "x w", strides=[2, 2])]
    made = model(nodes, {"x": [1, 3, 5, 5]}, {"w": floats(3, 2, 2, 2), "yes": np.array(True)}, ["y", "z"])
    new, report = optimization(made)
    assert kinds(new) == ["If", "Conv", "DepthToSpace"]
    assert str(report.rows[-1]) == "kept    choice  If: graphs within it stay as they are"
    x = floats(1, 3, 5, 5)
    close(runtime(new, {"x": x})[0], runtime(made, {"x": x})[0])


WHOLE = model([node("Gather", "w x")], {"x": [2]}, {"w": floats(4, 3)}, kind=7)
OPEN = model([node("Relu", "x")], {"x": ["n", 3]}, {})
SMALL = model([node("Relu", "x")], {"x": [2, 3]}, {})
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: optimize(OPEN), "axis 0 of input 'x' (n x 3, float32) has no fixed size; give an example, as in "
     "example={'x': array}"),
    (lambda: optimize(WHOLE), "input 'x' (2, int64) takes whole numbers, and the file does not say which; give an "
     "example, as in example={'x': array}"),
    (lambda: optimize(SMALL, [floats(2, 3)] * 2), "the example has 2 arrays for 1 inputs: 'x' (2 x 3, float32)"),
    (lambda: optimize(SMALL, {"z": floats(2, 3)}), "'z' is no input of the model; its inputs are 'x' (2 x 3, float32)"),
    (lambda: optimize(SMALL, {}), "'x' is missing in the example; its inputs are 'x' (2 x 3, float32)"),
    (lambda: optimize(SMALL, floats(2, 4)), "input 'x' has shape (2, 4), and the model takes 'x' (2 x 3, float32)"),
    (lambda: optimize(SMALL, np.zeros((2, 3))), "input 'x' has dtype float64, and the model takes float32"),
    (lambda: optimize(b"junk"), "the model is no ONNX model; give a file that an exporter to ONNX wrote"),
    (lambda: optimize(b""), "the model is no ONNX model; give a file that an exporter to ONNX wrote"),
    (lambda: optimize(3), "a model must be a file name, the bytes of a file or an onnx.ModelProto, not int"),  # type: ignore[arg-type]
    (lambda: optimize(SMALL, threads=0), "threads 0 must be greater than 0"),
    (lambda: optimize(SMALL, seconds=-1), "seconds -1 must be greater than 0"),
    (lambda: optimize(SMALL, tolerance=0), "tolerance 0 must be greater than 0"),
    (lambda: optimize(model([node("Relu", "x")], {"x": [2]}, {}, opset=9)), "the model is written with opset 9, and 11 "
     "is the first that is folded; export it anew, or convert it with onnx.version_converter"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refusals(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_what_is_no_model_of_anybody() -> None:
    made = model([node("Relu", "nothing")], {"x": [2, 3]}, {})
    with pytest.raises(errors.OnnxError, match=r"^the model is no valid ONNX model: .*; export it anew$"):
        optimize(made)
    wrong = model([node("MatMul", "x w")], {"x": [2, 3]}, {"w": floats(4, 3)})
    with pytest.raises(errors.OnnxError, match=r"^ONNX Runtime refuses the model: "):
        optimize(wrong)
    gather = model([node("Gather", "w x")], {"x": [2]}, {"w": floats(4, 3)}, kind=7)
    with pytest.raises(errors.OnnxError, match=r"^ONNX Runtime cannot run the model on the example: "):
        optimize(gather, np.array([99, 99]))


def test_files_and_their_external_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [1.0, 0.5], [2.0, 1.0])
    path = tmp_path / "in.onnx"
    onnx.save_model(network(), str(path), save_as_external_data=True, location="in.data", size_threshold=0)
    new, _ = optimization(path)
    assert save(new, tmp_path / "out.onnx") == tmp_path / "out.onnx"
    x = floats(1, 3, 8, 9)
    (tmp_path / "kept.onnx").write_bytes(onnx.load_model(str(path)).SerializeToString())
    again = onnx.load_model(str(tmp_path / "out.onnx"))
    close(runtime(again, {"x": x})[0], runtime(onnx.load_model(str(tmp_path / "kept.onnx")), {"x": x})[0])
    (tmp_path / "in.data").unlink()
    with pytest.raises(
        errors.OnnxError, match=r"in.onnx keeps weights in another file that cannot be read: .*; copy it"
    ):
        optimize(path)
    with pytest.raises(FileNotFoundError):
        optimize(tmp_path / "none.onnx")


def test_weights_of_more_than_two_gigabytes_stand_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tconv.onnx import runtime as sessions
    from tconv.onnx import saving

    monkeypatch.setattr(saving, "LARGEST", 10)
    monkeypatch.setattr(sessions, "LARGEST", 10)
    save(network(), tmp_path / "large.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"large.onnx", "large.onnx.data"}
    x = floats(1, 3, 8, 9)
    found = sessions.Session(onnx.load_model(str(tmp_path / "large.onnx"))).run({"x": x})
    assert [each.shape for each in found] == [value.shape for value in runtime(network(), {"x": x})]
    with pytest.raises(errors.ImageFileError, match=r"large.onnx.data is there already; write to another name"):
        save(network(), tmp_path / "large.onnx")


def test_errors_between_arrays() -> None:
    a = np.array([1.0, -4.0], np.float32)
    inf = float("inf")
    assert largest_error([a], [a + np.float32(0.5)]) == 0.125
    assert largest_error([a], [a[:1]]) == largest_error([a], [a.astype(np.float64)]) == inf
    assert largest_error([np.array([1, 2])], [np.array([1, 3])]) == inf
    assert largest_error([np.array([1, 2])], [np.array([1, 2])]) == 0
    nan = np.array([np.nan, inf, 1.0], np.float32)
    assert largest_error([nan], [nan.copy()]) == 0 and largest_error([nan], [np.abs(a)[[0, 0, 0]]]) == inf
    assert largest_error([np.full(2, np.nan)], [np.full(2, np.nan)]) == 0
    assert largest_error([["a"]], [["a"]]) == 0 and largest_error([["a"]], [["b"]]) == inf


def test_a_report_without_places() -> None:
    assert str(Report()) == "tconv: the model stays as it was: nothing in it folds"


def test_turns_begin_with_another_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from tconv.onnx import runtime as sessions

    monkeypatch.setattr(sessions, "SPELL", 0.0)
    calls: list[str] = []
    times = sessions.seconds_in_turns([lambda: calls.append("a"), lambda: calls.append("b")], 0.0)
    assert "".join(calls) == "aabb" + "bbaa" + "aabb" and len(times) == 2 and min(times) >= 0


def test_a_place_that_the_runtime_refuses_alone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise errors.OnnxError("no")

    monkeypatch.setattr(trial, "Session", refuses)
    new, report = optimization(network())
    assert kinds(new) == kinds(network())
    assert str(report.rows[1]) == "kept    y_node  ConvTranspose: it cannot be measured alone: no"
