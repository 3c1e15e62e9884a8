"""Kernels compiled for cards that are not there: what makes them fast is in the machine code, or the test fails.

Stores and the loads of matrix products are 16 bytes wide, products are on tensor cores, nothing is spilled, and shared
memory is within limits. Whether they are fast, only a card can say.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from nn.triton.gate import Compiled, compile_plan

from tconv import Geometry
from tconv.benchmark.suite import SUITE
from tconv.nn.engines.triton.cards import known
from tconv.nn.engines.triton.choices import Choice, candidates
from tconv.nn.engines.triton.plan import Plan, plan
from tconv.nn.engines.triton.task import Task

PROCESSORS = {"sm_80": 108, "sm_86": 84, "sm_89": 128, "sm_90": 132, "sm_100": 148, "gfx942": 304}
PRODUCTS = {
    "sm_80": r"mma\.sync\..*",
    "sm_86": r"mma\.sync\..*",
    "sm_89": r"mma\.sync\..*",
    "sm_90": r"wgmma\.mma_async\..*",
    "sm_100": r"tcgen05\.mma\..*",
    "gfx942": r"v_mfma_.*",
}
WIDE_STORE = r"st\.global\.v4\.b32|(global|buffer)_store_dwordx[24]"  # AMD's warps have 64 lanes
STORE = r"st\.global.*|(global|buffer)_store_.*"
WIDE_LOAD = r"cp\.async\.c[ag]\.shared\.global 16|ld\.global\.v4\.b32|(global|buffer)_load_dwordx4"
LOAD = r"cp\.async\.c[ag].*|ld\.global.*|(global|buffer)_load_.*"

K2, K4, K3 = Geometry((2, 2), 2), Geometry.from_torch((4, 4), 2, 1), Geometry.from_torch((3, 3), 2, 1, 1)
K2_3D, K9 = Geometry((2, 2, 2), 2), Geometry.from_torch((9, 9), 2, 4, 1)


def task(geometry: Geometry, size: tuple[int, ...], ins: int, outs: int, last: bool, dtype: str = "float16") -> Task:
    tf32 = dtype == "tf32"
    return Task(geometry, size, 16, ins, outs, 1, "float32" if tf32 else dtype, tf32, last, last, True, "relu")


# Sizes, channels and strides of all are multiples of 16 bytes, as those of nearly all wide layers are.
WIDE = {
    "k2 last": task(K2, (64, 64), 128, 64, True),
    "k2 first": task(K2, (64, 64), 128, 64, False),
    "k4 last": task(K4, (64, 64), 256, 128, True, "bfloat16"),
    "k4 first": task(K4, (64, 64), 256, 128, False),
    "k3 last": task(K3, (64, 64), 128, 64, True),
    "k3 first": task(K3, (64, 64), 128, 64, False),
    "k2 3-D first": task(K2_3D, (32, 32, 32), 64, 32, False),
    "k4 last large": task(K4, (32, 32), 512, 256, True),
    "k2 last tf32": task(K2, (64, 64), 128, 64, True, "tf32"),
    "k4 first tf32": task(K4, (64, 64), 128, 64, False, "tf32"),
    "weights": Task(K4, (8, 8), 1, 1024, 256, input_last=True, output_last=True),
}
# What is not multiplied on tensor cores, or not stored in whole vectors.
OTHER = {
    "exact float32": task(K2, (64, 64), 128, 64, True, "float32"),
    "few": task(K9, (64, 64), 56, 1, True),
    "depthwise last": Task(K4, (64, 64), 16, 64, 64, 64, input_last=True, output_last=True),
    "depthwise first": Task(K4, (64, 64), 16, 64, 64, 64),
    "depthwise 3-D": Task(Geometry.from_torch((4, 4, 4), 2, 1), (32, 32, 32), 1, 64, 64, 64),
    "audio": Task(Geometry.from_torch(16, 8, 4), (800,), 1, 256, 128),
}
FAST = [("sm_90", name) for name in ("k2 last", "k4 first", "k2 first", "weights")]
FAST += [("gfx942", "k2 last"), ("sm_90", "depthwise last"), ("sm_90", "few")]
ALL = [(a, name) for a in PROCESSORS for name in (*WIDE, *OTHER)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was compiled before is taken for what is compiled now."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def compiled(task: Task, architecture: str, choice: Choice | None = None) -> list[Compiled]:
    card = known(architecture, PROCESSORS[architecture])
    found = plan(task, card, choice)
    assert isinstance(found, Plan)
    kernels = compile_plan(found, architecture)
    for kernel in kernels:
        assert kernel.spilled == 0, (found.describe(), kernel)
        assert kernel.shared <= card.shared_memory, (found.describe(), kernel)
    return kernels


def check(architecture: str, name: str) -> None:
    kernels = compiled((WIDE | OTHER)[name], architecture)
    main = next(kernel for kernel in kernels if kernel.kernel in ("cells", "depthwise"))
    if name != "exact float32" and main.kernel == "cells":
        assert main.has(PRODUCTS[architecture]) > 0, main
    if name in WIDE:
        for kernel in kernels:
            assert 0 < kernel.has(STORE) == kernel.has(WIDE_STORE), kernel
            wide = kernel.has(WIDE_LOAD)
            assert wide > 0 and kernel.has(LOAD) - wide <= 16, kernel  # all but the bias


@pytest.mark.parametrize(("architecture", "name"), FAST)
def test_machine_code(architecture: str, name: str) -> None:
    check(architecture, name)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "name"), [each for each in ALL if each not in FAST])
def test_machine_code_of_all_architectures(architecture: str, name: str) -> None:
    check(architecture, name)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "tf32"])
@pytest.mark.parametrize("case", SUITE, ids=[case.name for case in SUITE])
def test_published_layers_spill_nothing(case: object, dtype: str) -> None:
    for last in (False, True):
        layer = next(each for each in SUITE if each is case)
        counts = 16 * layer.batch, layer.in_channels, layer.out_channels, layer.groups
        kind = ("float32", True) if dtype == "tf32" else ("float16", False)
        compiled(Task(layer.geometry, layer.in_size, *counts, *kind, last, last), "sm_90")


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_all_candidates_compile(name: str) -> None:
    for choice in candidates(WIDE[name], known("sm_90", 132)):
        found = plan(WIDE[name], known("sm_90", 132), choice)
        assert isinstance(found, Plan)
        for kernel in compile_plan(found, "sm_90"):
            assert kernel.shared <= known("sm_90").shared_memory
