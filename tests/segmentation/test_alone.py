"""One process on a processor trains without Accelerate, and to the same weights."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tconv.segmentation.train import Settings, loop, train
from tconv.segmentation.train.alone import Alone, is_alone

QUICK = Settings(epochs=2, features=(4, 8), size=32, batch=1, accumulate=2, held_out=0.25, refine=False)


def test_the_weights_are_those_of_accelerate(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(cells, tmp_path / "alone", QUICK)
    monkeypatch.setattr(loop, "is_alone", lambda: False)
    train(cells, tmp_path / "together", QUICK)
    one, two = (torch.load(tmp_path / name / "last.pt")["model"] for name in ("alone", "together"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=1e-5)


def test_accelerate_is_not_needed(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    train(cells, tmp_path / "run", replace(QUICK, epochs=1))


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"])
def test_who_is_launched_with_others_is_not_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert is_alone()
    monkeypatch.setenv(name, "2")
    assert not is_alone()


def test_gradients_are_added_up() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    alone = Alone(accumulate=2)
    optimiser = alone.prepare(torch.optim.SGD([weight], 1.0))
    for factor, expected in ((2.0, 0.0), (4.0, -3.0)):
        with alone.accumulate(torch.nn.Identity()):
            alone.backward((weight * factor).sum())
            optimiser.step()
            optimiser.zero_grad()
        assert float(weight.detach()) == expected
    assert optimiser.param_groups[0]["lr"] == 1.0 and weight.grad is None
