"""docs/onnx.md says which operators are computed, and its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from onnx_files.making import floats, model, node

from tconv.onnx.importing.table import OPERATORS

TEXT = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text()
OWN = {"GroupNorm", "Silu"}  # which the importer sees in several operators of the standard


def test_all_operators_are_listed() -> None:
    listed = re.search(r"Computed are:\n\n(.*?)\.\n\n", TEXT, re.DOTALL)
    assert listed and listed[1].replace("\n", " ").split(", ") == sorted({*OPERATORS, "Constant"} - OWN)


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = model(
        [node("ConvTranspose", "image w", strides=[4, 4])], {"image": [1, 3, 256, 256]}, {"w": floats(3, 1, 4, 4)}
    )
    Path("model.onnx").write_bytes(made.SerializeToString())
    names = {"image": np.zeros((1, 3, 256, 256), np.float32)}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, names)
    assert names["y"].shape == (1, 1, 1024, 1024) and Path("faster.onnx").exists()
