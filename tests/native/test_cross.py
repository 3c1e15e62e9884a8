"""The core as C++ programs, without Python: backends agree with the reference, here and on aarch64; threads, forks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tconv import native

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, **kwargs: Any) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **kwargs)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_here(tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]))
    assert cmake, "cmake is missing: pip install cmake"
    run(cmake, "-S", ROOT / "tests/native/cpp", "-B", tmp_path, "-DTCONV_QUICK=ON")
    run(cmake, "--build", tmp_path, "--parallel", "2")
    backends = [name for name in native.backends() if name != "reference"]
    # Tiles that fit nothing; and those of AMX as plain loops, where the products beside them can be computed.
    by_hand = ["tiles by hand"] if "avx512bf16" in backends else []
    programs = {"agree": ["odd", *by_hand], "codes": ["odd"], "gradients": ["odd"], "norms": ["odd"]}
    for program, others in programs.items():
        tried = [line.partition(":")[0] for line in run(tmp_path / program).splitlines()]
        assert tried == [*backends, *others]
    assert run(tmp_path / "parts") == "parts: as the relation says\n"
    assert run(tmp_path / "races", timeout=60) == "races: each task once\n"


@pytest.mark.slow
def test_aarch64() -> None:
    """Fails, and says what to install, where the cross compiler or qemu is missing."""
    assert "\nportable: " in run("make", "cross-aarch64", cwd=ROOT)
