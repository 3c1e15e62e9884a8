"""bench/gpu.py from one end to the other, on the CPU in Triton's interpreter; no time means anything here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import pytest
import torch

from tconv.nn.engines.triton.choice import Choice

SCRIPT = Path(__file__).parents[3] / "bench" / "gpu.py"


# A machine with a GPU has PyTorch, Triton and NumPy, and perhaps nothing else.
LACKING = ("PIL", "scipy", "skimage", "tifffile", "timm", "cyclopts", "rich", "safetensors", "matplotlib", "onnx")
BARE = f"""
import runpy, sys
sys.modules |= dict.fromkeys({LACKING})
sys.path.insert(0, {str(SCRIPT.parent)!r})
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def run(*options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, "-c", BARE, *options], env=environment, capture_output=True, text=True, check=False
    )


def test_a_result_that_is_not_finite_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    error = import_module("on_gpu.layers").error
    right, wrong = torch.ones(2, 3), torch.tensor([[1.0, 1, 1], [float("nan"), 1, 1]])
    assert (error(right, right), error(right, 1.5 * right), error(right, wrong)) == (0, 0.5, float("inf"))


def test_layers_and_training(tmp_path: Path) -> None:
    options = ["--sections", "layers", "training", "--dtypes", "float16", "--without-compile"]
    done = run("--dry-run", "-o", str(tmp_path), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("gpu-dry-run-*.json")
    found = json.loads(path.read_text())
    rows = {row["layer"]: row for row in found["rows"]}
    assert set(rows) == {"U-Net up4", "DCGAN L5", "bilinear x2 256ch", "HiFi-GAN V1 u4"}
    for name, row in rows.items():
        contenders = {"torch", "tconv"} | ({"torch_cl", "tconv_cl"} if name != "HiFi-GAN V1 u4" else set())
        assert set(row["device"]) == set(row["enqueued"]) == contenders and not row["failed"]
        assert row["error"] < 4e-3 and row["floor"] > 0
    assert len(found["steps"]) == 4 and all(set(step["device"]) == {"torch", "tconv"} for step in found["steps"])
    page = path.with_suffix(".md").read_text()
    assert "## Layers in float16" in page and "## Forward and backward" in page and "wrong on none" in page
    assert "triton: " in page and "compiled ahead: 7 of 7 tasks" in done.stdout


@pytest.mark.slow
def test_networks_compilers_and_every_precision(tmp_path: Path) -> None:
    done = run("--dry-run", "-o", str(tmp_path), "--dtypes", "float16", "tf32", "float32", "--seconds", "600")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("*.json")
    found = json.loads(path.read_text())
    assert len(found["rows"]) == 12 and not any(row["failed"] for row in found["rows"])
    assert sum("compiled" in row["device"] for row in found["rows"]) == 6
    for network in found["networks"]:
        assert set(network["device"]) == {"torch", "torch_cl", "compiled", "tconv"} and not network["failed"]
        assert network["error"] < 0.02


@pytest.mark.slow
def test_tuning_writes_a_table(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    older = {"an older layer 7": asdict(Choice())}
    (tables / "sm_90-132.json").write_text(json.dumps({"card": "", "made": "", "choices": older}))
    done = run("--dry-run", "--tune", "-o", str(tmp_path), "--tables", str(tables), "--dtypes", "float16")
    assert done.returncode == 0, done.stdout + done.stderr
    table = json.loads((tables / "sm_90-132.json").read_text())
    assert len(table["choices"]) == 15 and older.items() <= table["choices"].items() and "Triton" in table["made"]
    assert sum("bfloat16" in key for key in table["choices"]) == 7
    (path,) = tmp_path.glob("*.json")
    tuned = json.loads(path.read_text())["tuned"]
    assert len(tuned) == 7 and all(not each["wrong"] and each["tried"] >= 1 for each in tuned)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seconds", "0"], "error: --seconds 0 must be at least 1\n"),
        (
            ["--dry-run"],
            "error: --dry-run means nothing: its files belong elsewhere; name a folder with -o (and --tables)\n",
        ),
        (["--dry-run", "--tune", "-o", "x"], "its files belong elsewhere; name a folder with -o (and --tables)\n"),
    ],
)
def test_options_that_mean_nothing(options: list[str], words: str) -> None:
    done = run(*options)
    assert done.returncode == 2 and words in done.stderr


def test_without_a_gpu_it_says_so() -> None:
    done = run()
    assert (
        done.returncode == 1
        and done.stderr == "bench/gpu.py: PyTorch sees no GPU here; --dry-run runs it without one\n"
    )
