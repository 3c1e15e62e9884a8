"""`load` with acceleration: whole exported models on the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files.making import close, exported, floats, model, node, runtime
from torch import nn

import tconv
from tconv import errors
from tconv.onnx import load
from tconv.onnx.compare import Times, compared


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


def test_a_file_on_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(1, 3, 16, 16)
    made = exported(network(), x)
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    module = tconv.onnx.load(str(path), seconds=2.0)
    assert capsys.readouterr().out.startswith("tconv: OnnxModel")
    assert tconv.nn.report(module).graphs > 0
    for _ in range(2):
        close(module(x.numpy()), runtime(made, {"x0": x.numpy()})[0], 1e-4)
    folds = [row.name for row in tconv.nn.report(module).rows if row.kind == "fold"]
    assert any("interpolate" in name for name in folds) and any(name.startswith("2 + 3") for name in folds)


def test_a_file_of_the_exporter_that_captures(tmp_path: Path) -> None:
    from tconv.segmentation import UNet, export_onnx

    torch.manual_seed(0)
    network, x = UNet(in_channels=3, out_channels=2, features=[4, 8]), torch.randn(1, 3, 32, 32)
    export_onnx(network, x, tmp_path / "unet.onnx")
    module = load(tmp_path / "unet.onnx", accelerate=False)
    with torch.no_grad():
        close(module(x.numpy()), network(x).numpy())
    # Its batch norms are folded by the exporter; all other layers are called as they were.
    assert module.load_state_dict(network.state_dict(), strict=False).missing_keys == []


def test_the_example_where_sizes_are_open() -> None:
    made = exported(network(), torch.randn(1, 3, 8, 8), dynamic_axes={"x0": {0: "n", 2: "h", 3: "w"}})
    with pytest.raises(errors.OnnxError) as caught:
        load(made)
    assert str(caught.value) == (
        "axis 0 of input 'x0' (n x 3 x h x w, float32) has no fixed size; give an example, as in example={'x0': array}"
    )
    x = floats(1, 3, 8, 8)
    module = load(made, example=x, seconds=1.0)
    for shape in ((1, 3, 8, 8), (2, 3, 12, 9)):
        x = floats(*shape)
        close(module(x), runtime(made, {"x0": x})[0], 1e-4)


def test_settings_are_those_of_accelerate() -> None:
    made = exported(network(), torch.randn(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"^tolerance 0 must be greater than 0$"):
        load(made, tolerance=0)
    with pytest.raises(TypeError, match=r"^winograd 1 must be True or False$"):
        load(made, winograd=1)  # type: ignore[arg-type]


def test_what_is_not_computed_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(model([node("Det", "x")], {"x": [2, 2]}, {}).SerializeToString())
    with pytest.raises(errors.UnsupportedOperatorError) as caught:
        load(path)
    assert str(caught.value) == f"{path} holds what tconv does not compute: Det; run it with ONNX Runtime"


def test_three_ways_of_a_model() -> None:
    made = exported(network(), torch.randn(1, 3, 8, 8))
    times = compared(made, {"x0": floats(1, 3, 8, 8)}, 1, 0.5)
    kept = times.missing.startswith("tconv: the model stays as it was")
    optimized = [] if kept else ["tconv.onnx.optimize"]  # the same file is not timed as another way
    assert [name for name, _, _ in times.rows] == ["ONNX Runtime", *optimized, "tconv.onnx.load"]
    assert times.rows[0][2] == 0 and max(error for _, _, error in times.rows) < 1e-4
    assert kept or times.missing == ""
    unknown = compared(model([node("Det", "x")], {"x": [2, 2]}, {}), {"x": floats(2, 2)}, None, 0.1)
    assert [name for name, _, _ in unknown.rows] == ["ONNX Runtime"]
    assert unknown.missing.startswith("tconv: the model stays as it was: nothing in it folds\n")
    assert unknown.missing.endswith("Det; run it with ONNX Runtime")


def test_times_as_text() -> None:
    rows: Any = (("ONNX Runtime", 0.002, 0.0), ("tconv.onnx.load", 0.001, 1e-6))
    assert str(Times(rows, "more")) == (
        "ONNX Runtime                2.00 ms    1.00x  error 0.0e+00\n"
        "tconv.onnx.load             1.00 ms    2.00x  error 1.0e-06\n"
        "more"
    )


def test_whole_numbers_as_inputs() -> None:
    made = model([node("Gather", "w x")], {"x": [2]}, {"w": floats(4, 3)}, kind=7)
    module = load(made, example=np.array([3, 0]), seconds=0.5)
    np.testing.assert_array_equal(module(np.array([-1, 2])), runtime(made, {"x": np.array([-1, 2])})[0])
