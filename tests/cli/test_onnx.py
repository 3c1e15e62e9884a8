"""`tconv onnx`: faster files, times, and what is refused without touching anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from cli.calling import called
from onnx_files.making import close, floats, model, node, runtime

Tconv: TypeAlias = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def tconv(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tconv:
    """Run `tconv LINE` beside models of fixed and of open sizes, one with external data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCONV_DEBUG", raising=False)
    nodes = [node("ConvTranspose", "x w", strides=[8], pads=[4, 4])]
    weights = {"w": floats(3, 2, 16)}
    fixed = model(nodes, {"x": [1, 3, 30]}, weights)
    Path("fixed.onnx").write_bytes(fixed.SerializeToString())
    Path("open.onnx").write_bytes(model(nodes, {"x": ["n", 3, "w"]}, weights).SerializeToString())
    onnx.save_model(fixed, "apart.onnx", save_as_external_data=True, location="apart.data", size_threshold=0)
    two = model([node("Add", "a b")], {"a": [2], "b": ["n"]}, {})
    Path("two.onnx").write_bytes(two.SerializeToString())
    Path("junk.onnx").write_bytes(b"junk")
    np.save("x.npy", floats(1, 3, 20))
    np.savez("both.npz", a=floats(2), b=floats(1))

    def run(line: str) -> tuple[int, str, str]:
        return called(["onnx", *line.split()], capsys)

    return run


def test_a_faster_file(tconv: Tconv) -> None:
    status, out, err = tconv("optimize fixed.onnx -o out.onnx --seconds 0.5 --report")
    assert (status, err) == (0, "") and out.startswith("tconv: ") and "\nwrote out.onnx" in out
    assert "y_node  ConvTranspose: Conv + Transpose, 2 taps, Slice " in out
    x = floats(1, 3, 30)
    close(*(runtime(onnx.load_model(name), {"x": x})[0] for name in ("out.onnx", "fixed.onnx")))
    status, out, _ = tconv("optimize apart.onnx -o more.onnx --seconds 0.5 --threads 1")
    assert status == 0 and out.count("\n") == 2


@pytest.mark.parametrize("options", ["--shape x=1x3x20", "--shape 2x3x9", "--example x.npy"])
def test_sizes_for_a_model_that_leaves_them_open(tconv: Tconv, options: str) -> None:
    assert tconv(f"optimize open.onnx -o out.onnx --seconds 0.2 {options}")[0] == 0
    x = floats(2, 3, 7)
    close(*(runtime(onnx.load_model(name), {"x": x})[0] for name in ("out.onnx", "open.onnx")))


def test_several_inputs(tconv: Tconv) -> None:
    for options in ("--shape b=2", "--shape a=2 --shape b=1", "--example both.npz"):
        status, out, _ = tconv(f"optimize two.onnx -o out.onnx --again {options}")
        assert (status, out) == (
            0,
            "tconv: the model stays as it was: nothing in it folds\n"
            "wrote out.onnx, the same model; tconv onnx bench two.onnx times it on tconv's engine\n",
        )


def test_times(tconv: Tconv) -> None:
    status, out, err = tconv("bench fixed.onnx --seconds 0.2 --threads 1")
    assert (status, err) == (0, "")
    rows = [line.split("  ")[0] for line in out.splitlines() if "error" in line and not line.startswith("tconv: ")]
    kept = "the model stays as it was" in out
    assert rows == ["ONNX Runtime", *([] if kept else ["tconv.onnx.optimize"]), "tconv.onnx.load"]


REFUSED = {
    "optimize fixed.onnx": "say where to write: -o FILE",
    "optimize fixed.onnx -o fixed.onnx --again": "fixed.onnx is the input itself; write to another name",
    "optimize apart.onnx -o ./apart.onnx --again": "apart.onnx is the input itself; write to another name",
    "optimize fixed.onnx -o open.onnx": "open.onnx is there already; write to another name, or let --again replace it",
    "optimize fixed.onnx -o out.pt": "out.pt: write to a name that ends in .onnx",
    "optimize junk.onnx -o out.onnx": "junk.onnx is no ONNX model; give a file that an exporter to ONNX wrote",
    "optimize none.onnx -o out.onnx": "none.onnx: there is no such file or folder",
    "optimize . -o out.onnx": ".: this is a folder; give a file",
    "optimize open.onnx -o out.onnx": "axis 0 of input 'x' (n x 3 x w, float32) has no fixed size; give an example, "
    "--shape x=1x3x224x224 or --example FILE.npz",
    "optimize fixed.onnx -o out.onnx --seconds 0": "--seconds 0.0 must be greater than 0",
    "optimize fixed.onnx -o out.onnx --threads 0": "--threads 0 must be greater than 0",
    "bench fixed.onnx --threads 1.5": "--threads 1.5 must be a whole number",
    "optimize open.onnx -o out.onnx --shape z=1x3x9": "--shape 'z=1x3x9' is of no input; write NAME=1x3x224x224, the "
    "inputs are 'x' (n x 3 x w, float32)",
    "optimize open.onnx -o out.onnx --shape x=1x2x9": "input 'x' has shape (1, 2, 9), and the model takes 'x' (n x 3 x "
    "w, float32)",
    "optimize open.onnx -o out.onnx --shape x=1xax9": "--shape '1xax9' is not an integer; write one, or one per axis "
    "as in 2,1",
    "optimize open.onnx -o out.onnx --example none.npy": "none.npy: there is no such file or folder",
    "optimize open.onnx -o out.onnx --example both.npz": "'a' is no input of the model; its inputs are 'x' (n x 3 x w, "
    "float32)",
    "optimise fixed.onnx": "unknown command 'optimise'; did you mean optimize? the commands are optimize, bench",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refusals_leave_everything_as_it_was(tconv: Tconv, line: str) -> None:
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert tconv(line) == (2, "", f"tconv: {REFUSED[line]}\n")
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_an_example_that_holds_no_arrays(tconv: Tconv) -> None:
    status, _, err = tconv("optimize open.onnx -o out.onnx --example junk.onnx")
    assert status == 2 and err.startswith("tconv: --example junk.onnx holds no arrays: ")
    assert err.endswith("; save them with numpy.savez\n")


def test_external_data_is_an_input(tconv: Tconv) -> None:
    Path("out.onnx").symlink_to("apart.data")
    before = Path("apart.data").read_bytes()
    status, _, err = tconv("optimize apart.onnx -o out.onnx --again")
    assert (status, err) == (2, "tconv: out.onnx is the input itself; write to another name\n")
    assert Path("apart.data").read_bytes() == before


def test_help(tconv: Tconv) -> None:
    out: Any = tconv("--help")[1]
    assert " optimize " in out and " bench " in out
    assert "tconv onnx optimize model.onnx -o faster.onnx --report" in tconv("optimize --help")[1]
    assert "tconv onnx bench model.onnx" in tconv("bench --help")[1]
