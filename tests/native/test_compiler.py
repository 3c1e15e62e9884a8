"""A compiler that cannot build the core is refused in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "cmake" / "compiler.cmake"
CURE = "Install a newer one and name it, as in `CXX=g++-12 pip install .`."


def checked(compiler: str, version: str, *more: str) -> str:
    """What CMake says of such a compiler, on one line."""
    cmake = shutil.which("cmake", path=os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]))
    assert cmake, "cmake is missing: pip install cmake"
    made_up = {"ID": compiler, "VERSION": version, "": "/usr/bin/c++"}
    settings = [f"-DCMAKE_CXX_COMPILER{'_' if key else ''}{key}={value}" for key, value in made_up.items()]
    done = subprocess.run([cmake, *settings, *more, "-P", CHECK], capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stderr) and not done.stdout
    return " ".join(done.stderr.partition(":\n")[2].split())


@pytest.mark.parametrize(
    ("compiler", "version"),
    [
        ("GNU", "12.2.0"),
        ("GNU", "15.1.0"),
        ("Clang", "14.0.6"),
        ("AppleClang", "15.0.0.15000309"),
        ("IntelLLVM", "2025.1"),
    ],
)
def test_good(compiler: str, version: str) -> None:
    assert checked(compiler, version) == ""


@pytest.mark.parametrize(
    ("compiler", "version", "words"),
    [
        ("GNU", "11.3.0", "tconv needs GCC 12 or later, and this is GNU 11.3.0 (/usr/bin/c++): it has no "
         f"__builtin_shufflevector. {CURE}"),
        ("Clang", "13.0.1", "tconv needs Clang 14 or later, and this is Clang 13.0.1 (/usr/bin/c++): it lacks "
         f"parts of C++20. {CURE}"),
        ("AppleClang", "14.0.3", "tconv needs Xcode 15 or later, and this is AppleClang 14.0.3 (/usr/bin/c++): it "
         "lacks parts of C++20."),
    ],
)  # fmt: skip
def test_too_old(compiler: str, version: str, words: str) -> None:
    assert checked(compiler, version) == words


def test_windows() -> None:
    assert checked("MSVC", "19.44", "-DWIN32=1") == (
        "tconv cannot be built on Windows yet; use it in WSL, or on Linux."
    )
