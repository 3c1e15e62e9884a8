"""What the core knows of XLA's foreign function interface is what jaxlib says in its own header."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import jax

ROOT = Path(__file__).parents[2]


def test_structs_are_those_of_the_header() -> None:
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    source = ROOT / "tests" / "native" / "cpp" / "xla_layout.cpp"
    places = [f"-I{ROOT / 'cpp'}", f"-isystem{jax.ffi.include_dir()}"]
    done = subprocess.run(
        [*compiler, "-std=c++20", "-fsyntax-only", "-Wno-invalid-offsetof", *places, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
