"""`tconv.keras.accelerate` on both backends that it reaches, each in a process of its own, and its refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TRIAL = Path(__file__).with_name("trial.py")


def seen(backend: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(TRIAL), str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_copy_computes_the_same_by_tconv(backend: str, tmp_path: Path) -> None:
    report = seen(backend, tmp_path)
    assert report["backend"] == backend
    for name in ("functional", "sequential", "volumes", "in_time"):
        error, same_names = report[name]
        assert error < 1e-5
        assert same_names
    assert report["calls"] == [0, 3]
    assert report["learns"]
    assert report["loads"] < 1e-5
    assert report["errors"] == [
        "model 'NAME' has the class Own, whose code decides what its layers are; build it with "
        "tconv.keras.Conv2DTranspose in place of Keras's layer, or call it within tconv.keras.patched()",
        "model 'NAME' is not built and has no weights yet; call it once, or build(input_shape), before",
        "model 'NAME' has no Conv1DTranspose, Conv2DTranspose or Conv3DTranspose of Keras; there is nothing to make "
        "faster",
    ]


def test_another_backend_is_refused_with_what_works(tmp_path: Path) -> None:
    assert seen("numpy", tmp_path)["refused"] == (
        "Keras runs on its backend 'numpy', which tconv does not reach; set KERAS_BACKEND=torch or KERAS_BACKEND=jax "
        "before Keras is imported: the model and its weights stay as they are"
    )
