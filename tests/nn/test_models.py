"""bench/models.py runs, and its models compute the same in every contender."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "bench" / "models.py"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fsrcnn", "hifigan", "stylegan2"])
def test_models(model: str) -> None:
    contenders = ["torch", "torch_cl", "onnxruntime", "tconv"]
    command = [sys.executable, MODELS, "--models", model, "--seconds", "0", "--contenders", *contenders]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\| (\w+) \| [\d.]+ \| [\d.]+ \| ([\d.e+-]+) \| \d+ \|$", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == contenders
    assert all(float(error) < 1e-4 for _, error in rows)
    assert ("Upsampling parts, geometric mean: " in done.stdout) == (model != "stylegan2")
