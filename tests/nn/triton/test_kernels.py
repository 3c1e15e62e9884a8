"""The kernels without a GPU: in Triton's interpreter, which has to be chosen before Triton is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("marked", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_kernels_in_the_interpreter(marked: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    options = ["-q", "-p", "no:cacheprovider", "-o", "python_files=interpreted_*.py", "-m", marked]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/nn/triton/interpreted_kernels.py"],
        cwd=ROOT,
        env=inherited | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
