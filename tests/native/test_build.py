"""The stub is the generated one; instruction sets do not leak out of their files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tconv import native

ROOT = Path(__file__).parents[2]
X86 = ["avx2", "avx512", "avx512bf16", "amxbf16"]


def test_stub_is_current(tmp_path: Path) -> None:
    stub = tmp_path / "_core.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "--quiet", "-m", "tconv.native._core", "-o", str(stub)]
    subprocess.run(command, check=True)
    assert stub.read_text() == (ROOT / "src/tconv/native/_core.pyi").read_text(), f"regenerate: {' '.join(command)}"


@pytest.mark.parametrize("name", ["portable", *(X86 if "sse4.2" in native.cpu_features() else [])])
def test_isa_objects_share_nothing(name: str, tmp_path: Path) -> None:
    """A weak symbol compiled for AVX-512 could be the one the linker keeps for every CPU; -O2 would hide it."""
    flags = {
        "portable": [],
        "avx2": ["-mavx2", "-mfma", "-mf16c"],
        "avx512": ["-mavx512f", "-mfma"],
        "avx512bf16": (pairs := ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512bf16", "-mfma"]),
        "amxbf16": [*pairs, "-mamx-tile", "-mamx-bf16"],
    }[name]
    compiled = tmp_path / f"{name}.o"
    source = ROOT / "cpp" / "isa" / f"{name}.cpp"
    subprocess.run(["g++", "-std=c++20", "-O0", "-Wno-psabi", *flags, "-c", source, "-o", compiled], check=True)
    symbols = subprocess.run(["nm", "-C", compiled], check=True, capture_output=True, text=True).stdout.splitlines()
    weak = [line for line in symbols if any(f" {kind} " in line for kind in "WVu")]
    assert not weak
    assert sum(" R " in line or " D " in line for line in symbols) == 1  # the one exported Backend, or its addition
