"""Backends: how wide their vectors are, and a program on one that is forced by name, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tconv import native

TESTS = Path(__file__).parent.parent


def lanes() -> int:
    """Numbers of float32 in a vector of the active backend."""
    return {"portable": 4, "avx2": 8}.get(native.active(), 16)


def exercise(program: str, backend: str) -> None:
    """Run it with the backend's name as its argument; in the end it prints "ran" and how much."""
    environment = {**os.environ, "TCONV_BACKEND": backend, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", program, backend]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ran ")
