"""What only a process of its own can show: accesses beyond an array, children forked in the middle of a call, memory
that runs out."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from native.ways import BACKENDS

from tconv import native

HERE = Path(__file__).parent


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / program), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("backend", native.backends())
def test_no_access_beyond_an_array(backend: str) -> None:
    done = run("guarded.py", backend, TCONV_BACKEND=backend)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fenced ")


def test_an_access_beyond_an_array_would_be_noticed() -> None:
    done = run("guarded.py", "overread")
    assert done.returncode != 0 and not done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_child_forked_in_the_middle_of_a_call_computes(threads: str) -> None:
    done = run("forks.py", OMP_NUM_THREADS=threads)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("forked 36\n")


@pytest.mark.parametrize("backend", native.backends())
def test_memory_that_runs_out(backend: str) -> None:
    """Fixed thresholds: else the C library keeps what was freed, and gives it out where the system would refuse."""
    done = run("starved.py", TCONV_BACKEND=backend, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "starved 4\n"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries cannot fill memory that is fresh")
@pytest.mark.parametrize("backend", [name for name in native.backends() if name in BACKENDS])
def test_lanes_that_no_one_wants_are_not_subnormal(backend: str) -> None:
    done = run("subnormals.py", backend, TCONV_BACKEND=backend, MALLOC_PERTURB_="127")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("normal ")
