"""bench/models.py runs, and its models compute the same in every contender."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "models.py"


def run(out: Path, *options: str) -> str:
    command = [sys.executable, BENCH, "--rounds", "1", "--in-turns", "0", "-o", out, *options]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return out.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fsrcnn", "hifigan", "stylegan2"])
def test_models(model: str, tmp_path: Path) -> None:
    contenders = ["torch", "torch_cl", "onnxruntime", "tconv"]
    text = run(tmp_path / "models.md", "--models", model, "--folds", "--contenders", *contenders)
    rows = re.findall(r"^\| (\w+) \| [\d.]+ \| [\d.]+ \|.*\| ([\d.e+-]+) \| \d+ \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == contenders
    assert all(float(error) < 1e-4 for _, error in rows)
    assert ("Upsampling parts, geometric mean: " in text) == (model in ("fsrcnn", "hifigan"))


@pytest.mark.slow
def test_folds(tmp_path: Path) -> None:
    text = run(tmp_path / "folds.md", "--models", "--folds", "nearest + conv", "transposed + Tanh")
    rows = re.findall(r"^\| (nearest \+ conv|transposed \+ Tanh) \|( [\d.]+ \|){6} ([\d.e-]+) \|$", text, re.MULTILINE)
    assert len(rows) == 2 and all(float(error) < 1e-5 for *_, error in rows)


@pytest.mark.slow
def test_in_turns(tmp_path: Path) -> None:
    text = run(tmp_path / "turns.md", "--models", "--folds", "--in-turns", "2")
    rows = re.findall(r"^\| 64 channels, 48 x 48 \| (torch|swapped) \|(?: [\d.]+ \|){5}$", text, re.MULTILINE)
    assert rows == ["torch", "swapped"]
