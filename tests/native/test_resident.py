"""The promise about memory, measured in a process of its own; not under sanitizers, which take memory themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRATCH = 8  # MiB: of two threads, each below 4 MiB


@pytest.mark.parametrize("kind", ["kept", "lent"])
def test_32_mib_of_weights_take_at_most_64_more(kind: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "1"}
    environment.pop("TCONV_BACKEND", None)
    command = [sys.executable, str(HERE / "resident.py"), kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    grown = {name: float(mib) for name, mib in (line.rsplit(": ", 1) for line in done.stdout.splitlines())}
    assert len(grown) == 11 and max(grown.values()) <= 64 + SCRATCH, grown
