"""What the machine can do at best, for layers in single and in half precision."""

from __future__ import annotations

from typing import Any

import pytest

from tconv.benchmark import floor
from tconv.benchmark.suite import select


@pytest.mark.parametrize("half", ["", "bfloat16"])
def test_rates(half: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "GEMM_SIZES", (64,))
    copied: list[int] = []
    copies = floor._copies
    monkeypatch.setattr(floor, "_copies", lambda n, threads: copied.append(n) or copies(n, threads))
    (case,) = select(["U-Net up4"])
    machine = floor.Floor(1, half)
    machine.prepare(case)
    assert set(machine.turn()) == {"gemm", "copy"} and min(machine.turn().values()) > 0
    assert copied == [case.bytes // (4 if half else 2)]  # as much is read as written


def test_products_of_half_precision_or_of_widened_numbers() -> None:
    """A processor without products of halves multiplies faster what was widened."""
    works: list[Any] = list(floor._half_products("bfloat16", 32))
    assert all(amount == 2 * 32**3 for _, amount in works)
    kinds = [str(run().dtype).removeprefix("torch.") for run, _ in works]
    assert kinds == ["bfloat16"] * 2 + ["float32"] * 3
