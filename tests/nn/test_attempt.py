"""How `accelerate` chooses: what is measured, what is taken back, and that measuring leaves no trace."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import numpy as np
import pytest
import torch
from nn.judge import QUICK, Body, randomised, same, state
from torch import Tensor, nn

import tconv.nn
from tconv.nn import attempt
from tconv.nn.capture import captured
from tconv.nn.comparison import Comparison, largest_error
from tconv.nn.folding import trial
from tconv.nn.folding.chain import Folded

pytestmark = pytest.mark.usefixtures("captures")


@torch.no_grad()
def test_what_is_not_faster_is_taken_back(slow: None, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = randomised(Body()), torch.randn(1, 3, 6, 6)
    before = state(model)
    tconv.nn.accelerate(model, x, **QUICK)
    assert state(model) == before and captured(model) is None
    out = capsys.readouterr().out
    assert out.startswith("tconv: Body stays as it was, ") and out.count("\n") == 1
    report = tconv.nn.report(model)
    assert report.reasons["conv + norm + relu"].startswith("not used: ") and report.speed == 1 and report.error == 0


def nudged(self: Any, x: Tensor, *sources: Tensor) -> Tensor:
    """A fold that is wrong."""
    return self.by_steps(x, *sources) + 0.5


@torch.no_grad()
def test_a_fold_that_is_wrong_is_not_used(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folded, "folded", nudged)
    model, twin = randomised(Body()), None
    twin, x = copy.deepcopy(model), torch.randn(1, 3, 6, 6)
    tconv.nn.accelerate(model, x, **QUICK)
    torch.testing.assert_close(model(x), twin(x), rtol=1e-4, atol=1e-5)
    assert tconv.nn.report(model).reasons["conv + norm + relu"].startswith("not used: ")


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_more_than_the_tolerance(fast: None, dtype: torch.dtype) -> None:
    """Its results differ by what it rounds off: they are held to single precision, by parts and as a whole."""
    torch.manual_seed(0)
    model = randomised(nn.Sequential(nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU())).to(dtype)
    x = torch.randn(1, 8, 12, 12, dtype=dtype)
    exact = copy.deepcopy(model).float()(x.float())
    rounded = largest_error(exact, model(x).float())
    tconv.nn.accelerate(model, x, tolerance=1e-9, **QUICK)
    report = tconv.nn.report(model)
    assert [row.action for row in report.rows if row.name == "0 + 1 + 2"] == ["folded"] and report.error > 1e-9
    assert model(x).dtype == dtype and largest_error(exact, model(x).float()) <= 2 * rounded


@torch.no_grad()
@pytest.mark.parametrize(("finer", "kind"), [(torch.float32, "single"), (torch.float64, "double")])
def test_half_precision_that_finer_numbers_do_not_explain(
    finer: torch.dtype, kind: str, fast: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "finer", lambda _: finer)

    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.norm = nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.dtype == finer:
                raise ValueError("half precision only")
            return torch.relu(self.norm(self.up(x)))

    model, x = randomised(Picky()).bfloat16(), torch.randn(1, 8, 12, 12, dtype=torch.bfloat16)
    with caplog.at_level("INFO", "tconv"):
        tconv.nn.accelerate(model, x, tolerance=1e-9, **QUICK)
    told = f"the model does not run in {kind} precision, which would tell what is rounded off: half precision only"
    assert captured(model) is None and told in caplog.messages


@torch.no_grad()
def test_a_result_that_is_wrong_is_taken_back(
    fast: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever each fold's own comparison said: the whole result decides."""
    monkeypatch.setattr(Folded, "folded", nudged)
    monkeypatch.setattr(trial.Trial, "wanted", lambda *_: True)
    model, x = randomised(Body()), torch.randn(1, 3, 6, 6)
    before, twin = state(model), copy.deepcopy(model)
    tconv.nn.accelerate(model, x, **QUICK)
    assert state(model) == before and torch.equal(model(x), twin(x))
    reason = tconv.nn.report(model).reasons["(model)"]
    assert re.fullmatch(r"(folded|channels-last weights): the result differs by \S+ of its largest value", reason)
    assert "stays as it was, folded: the result differs by " in capsys.readouterr().out
    tconv.nn.accelerate(model, x, tolerance=1e3, **QUICK)
    assert captured(model) is not None


class Indices(Body):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).argmax()


@torch.no_grad()
def test_a_whole_number_that_differs_is_told(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial.Trial, "wanted", lambda *_: True)
    monkeypatch.setattr(Folded, "folded", lambda self, x, *tensors: -self._folded(x, *tensors))
    model = randomised(Indices())
    tconv.nn.accelerate(model, torch.randn(1, 3, 6, 6), **QUICK)
    reason = tconv.nn.report(model).reasons["(model)"]
    assert reason.endswith(
        "the result differs in a whole number, such as an index that hangs on rounding, in a shape, or "
        "in what is finite"
    )


class Unsteady(Body):
    """Two calls never agree, whatever the seeds."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.body(x) * self.calls


@torch.no_grad()
def test_unsteady_models_are_judged_by_their_parts(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    model = randomised(Unsteady())
    tconv.nn.accelerate(model, torch.randn(1, 3, 6, 6), **QUICK)
    report = tconv.nn.report(model)
    assert not report.steady and captured(model) is not None
    assert capsys.readouterr().out.endswith("; two runs of the model differ, so its parts were compared\n")
    assert str(report).endswith("unsteady  two runs of the model as it was differ; each fold was compared for itself")


class Noisy(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + torch.randn(1) + random.random() + float(np.random.rand())


@torch.no_grad()
def test_random_numbers_are_the_same_in_all_runs_and_afterwards(fast: None) -> None:
    model, x = randomised(Noisy()), torch.randn(1, 3, 6, 6)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    tconv.nn.accelerate(model, x, **QUICK)
    assert tconv.nn.report(model).steady
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


class Traces(Body):
    """Counts in a buffer, and keeps a running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.body(x)


def test_measuring_leaves_no_trace(fast: None) -> None:
    model, x = randomised(Traces()).train(), torch.randn(2, 3, 6, 6)
    model.norm.eval()
    before, tensors = state(model), copy.deepcopy(model.state_dict())
    tconv.nn.accelerate(model, x, **QUICK)
    tconv.nn.restore(model)
    same(dict(model.state_dict()), dict(tensors))
    assert state(model) == before and torch.is_grad_enabled() and all(p.grad is None for p in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize("better", [False, True])
def test_the_faster_layout_stays(better: bool, fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt.Race, "comparison", lambda self, a: Comparison(1, 0.5 if a.last == better else 0.6, 0))
    model, x = nn.Sequential(nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3)), torch.randn(1, 4, 6, 6)
    before, expected = state(model.eval()), model(x)
    tconv.nn.accelerate(model, x, **QUICK)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) == better
    whole = [row.text for row in tconv.nn.report(model).rows if row.action == "whole"]
    assert whole[0].startswith("channels-last weights: ") == better
    y = model(x)
    assert y.is_contiguous(memory_format=torch.channels_last) == better
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert state(tconv.nn.restore(model)) == before


@torch.no_grad()
@pytest.mark.parametrize("better", [False, True])
def test_signals_lie_channels_last_where_that_is_faster(
    better: bool, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt.Race, "comparison", lambda self, a: Comparison(1, 0.5 if a.last == better else 0.6, 0))
    model = nn.Sequential(nn.Conv1d(4, 8, 3, padding=1), nn.LeakyReLU(), nn.ConvTranspose1d(8, 4, 4, 2, 1), nn.Tanh())
    before, x = state(model.eval()), torch.randn(2, 4, 60)
    expected = model(x)
    tconv.nn.accelerate(model, x, **QUICK)
    whole = [row.text for row in tconv.nn.report(model).rows if row.action == "whole"]
    assert whole[0].startswith("channels-last signals: ") == better
    y = model(x)
    assert y.is_contiguous()
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert state(tconv.nn.restore(model)) == before


class Flat(nn.Module):
    """Asks for the layout that it was written for, as many classifiers do."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.conv = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.up(x)).view(len(x), -1)


@torch.no_grad()
def test_a_model_that_needs_its_layout_keeps_it(fast: None) -> None:
    model, x = Flat().eval(), torch.randn(2, 4, 5, 5)
    expected = model(x)
    tconv.nn.accelerate(model, x, **QUICK)
    reason = tconv.nn.report(model).reasons["(model)"]
    assert reason.startswith("channels-last weights: view size is not compatible")
    assert model.up.weight.is_contiguous() and captured(model) is not None
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_there_may_be_no_time_for_another_layout(fast: None) -> None:
    model, x = randomised(Body()), torch.randn(1, 3, 6, 6)
    tconv.nn.accelerate(model, x, seconds=1e-9)
    assert tconv.nn.report(model).reasons["(model)"] == (
        "channels-last weights: there was no time left to try, of 1e-09 s"
    )
    assert captured(model) is not None


@torch.no_grad()
def test_measuring_keeps_to_its_budget(fast: None) -> None:
    runs: list[int] = []

    class Watched(Body):
        def forward(self, x: Tensor) -> Tensor:
            torch.compiler.disable(lambda: runs.append(1))()
            return self.body(x)

    tconv.nn.accelerate(randomised(Watched()), torch.randn(1, 3, 6, 6), forwards=1)
    assert len(runs) < 30


@torch.no_grad()
def test_an_interruption_leaves_all_as_it_was(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    for place in ("measure", "try_out"):
        monkeypatch.setattr(attempt.Race, place, interrupt)
        model = randomised(Body()).train()
        before = state(model)
        with pytest.raises(KeyboardInterrupt):
            tconv.nn.accelerate(model, torch.randn(1, 3, 6, 6), **QUICK)
        assert state(model) == before


class Breaks(Body):
    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        print(end="")
        return y * 2


@torch.no_grad()
def test_graph_breaks_are_reported(fast: None) -> None:
    model = randomised(Breaks())
    tconv.nn.accelerate(model, torch.randn(1, 3, 6, 6), **QUICK)
    report = tconv.nn.report(model)
    assert report.graphs >= 2 and sum(report.graph_breaks.values()) >= 1
    assert re.search(r"\ncaptured  \d graphs, \d+ breaks, [\d.]+ s in all\nbreak     ", str(report))
    assert "<p>Graph breaks:</p><ul><li>" in report._repr_html_()
