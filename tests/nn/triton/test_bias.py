"""The kernel that sums the gradient of a bias, compiled for cards that are not there; its sums: tests/gpu."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

WIDE_LOAD = r"ld\.global\.v4\.b32|(?:global|buffer)_load_dwordx4"
LOAD = r"ld\.global\.\S+|(?:global|buffer)_load_\S+"
FAST = [("sm_90", False)]
ALL = [(a, last) for a in ("sm_80", "sm_89", "sm_90", "sm_100", "gfx942") for last in (False, True)]


@pytest.mark.parametrize(
    ("architecture", "last"),
    [*FAST, *(pytest.param(*each, marks=pytest.mark.slow) for each in ALL if each not in FAST)],
)
def test_a_gradient_is_read_16_bytes_at_a_time(
    architecture: str, last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from tconv.nn.engines.triton.bias import OPTIONS, TILE
    from tconv.nn.engines.triton.kernels.summing import summing

    columns = 64 if last else 4
    constants = {"BP": TILE // columns, "BC": columns, "CHANNELS": 16, "PLACES": 16, "LAST": last, "WIDE": False}
    types = {"grad": "*fp16", "partial": "*fp32"} | dict.fromkeys(summing.arg_names[2:6], "i32")
    aligned: dict[Any, Any] = {(0,): [["tt.divisibility", 16]], (1,): [["tt.divisibility", 16]]}
    amd = architecture.startswith("gfx")
    target = GPUTarget("hip", architecture, 64) if amd else GPUTarget("cuda", int(architecture[3:]), 32)
    source = ASTSource(summing, types | dict.fromkeys(constants, "constexpr"), constexprs=constants, attrs=aligned)
    compiled: Any = triton.compile(source, target=target, options=OPTIONS)
    text = compiled.asm["amdgcn" if amd else "ptx"]
    loads = re.findall(LOAD, text)
    assert loads and all(re.fullmatch(WIDE_LOAD, each) for each in loads)
    assert compiled.metadata.shared <= 4096
