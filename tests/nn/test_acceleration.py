"""`accelerate`, `restore` and `patched` on models as people write them."""

from __future__ import annotations

import copy
import pickle
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv.nn
from tconv.nn import acceleration, attempt, comparison
from tconv.nn.comparison import Comparison


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison finds the new faster: what is tested must not depend on the machine's mood."""
    monkeypatch.setattr(comparison, "SECONDS", 0)
    monkeypatch.setattr(Comparison, "faster", True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No comparison finds the new faster."""
    monkeypatch.setattr(comparison, "SECONDS", 0)
    monkeypatch.setattr(Comparison, "faster", False)


class Net(nn.Module):
    """Two transposed convolutions, one of them shared, a parametrised one, and a functional caller."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.again = self.up
        self.normed = nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(4, 3, 4, 2, 1))
        self.weight = nn.Parameter(torch.randn(3, 2, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.up(x).relu()).relu()
        return F.conv_transpose2d(self.normed(x), self.weight)


def state(model: nn.Module) -> Any:
    """All that must be as before: types, attributes, parameters' identity and memory layout."""
    return [
        (name, type(m), sorted(vars(m)), [(k, id(p), p.stride()) for k, p in m._parameters.items() if p is not None])
        for name, m in model.named_modules()
    ]


def comparable(state: Any) -> Any:
    """PyTorch makes a new class for each parametrised layer, and so do we: those are compared by name."""
    return [(name, kind.__name__, *rest) for name, kind, *rest in state]


@torch.no_grad()
@pytest.mark.parametrize("with_example", [False, True])
def test_accelerate_and_restore(with_example: bool, fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = Net().eval(), torch.randn(1, 4, 6, 6)
    before, expected, keys = state(model), model(x), list(model.state_dict())
    assert tconv.nn.accelerate(model, x if with_example else None) is model
    assert type(model.up) is tconv.nn.ConvTranspose2d and isinstance(model.normed, tconv.nn.ConvTranspose2d)
    assert isinstance(model.up, nn.ConvTranspose2d) and list(model.state_dict()) == keys
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["replaced", "up"], ["replaced", "normed"]]
    assert sum(line.startswith("folded") for line in lines) == 2
    if with_example:
        assert " ms (" in lines[0] and "error " in lines[0] and lines[-1].startswith("whole     (model)  Net  ")
    restored = tconv.nn.restore(model)
    assert comparable(state(restored)) == comparable(before)
    torch.testing.assert_close(model(x), expected, rtol=0, atol=0)


@torch.no_grad()
def test_what_is_not_faster_is_taken_back(slow: None, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = Net().eval(), torch.randn(1, 4, 6, 6)
    before = state(model)
    with pytest.warns(
        UserWarning, match="^accelerate changed nothing in Net: no layer that tconv makes faster was found"
    ):
        tconv.nn.accelerate(model, x)
    assert comparable(state(model)) == comparable(before)
    assert "skipped   up  ConvTranspose2d  not faster: " in capsys.readouterr().out


@torch.no_grad()
@pytest.mark.parametrize("better", [False, True])
def test_the_faster_layout_stays(
    better: bool, fast: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(old: Any, new: Any, call: Any, gradients: bool = False) -> Comparison:
        last = isinstance(new, nn.Module) and any(p.dim() == 4 and not p.is_contiguous() for p in new.parameters())
        return Comparison(1, 0.5 if last == better else 0.6, 0)

    monkeypatch.setattr(attempt, "compare", compare)
    model, x = (
        nn.Sequential(nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval(),
        torch.randn(1, 4, 6, 6),
    )
    before, expected = state(model), model(x)
    tconv.nn.accelerate(model, x)
    assert (
        model[0].weight.is_contiguous() != better
        and model[0].weight.is_contiguous(memory_format=torch.channels_last) == better
    )
    assert ("channels-last weights: " in capsys.readouterr().out) == better
    y = model(x)
    assert y.is_contiguous(memory_format=torch.channels_last) == better
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert comparable(state(tconv.nn.restore(model))) == comparable(before)


@torch.no_grad()
@pytest.mark.parametrize("with_example", [False, True])
def test_what_the_filter_leaves_alone_is_not_folded(
    with_example: bool, fast: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU())

    model = nn.Sequential(block(), block()).eval()
    x = torch.randn(1, 4, 5, 5) if with_example else None
    tconv.nn.accelerate(model, x, filter=lambda name, layer: name.startswith("1") and max(layer.kernel_size) < 4)
    done = [row.split()[1:4] for row in capsys.readouterr().out.splitlines() if row.startswith(("folded", "replaced"))]
    assert [names[0] for names in done] == ["1.2", "1.0", "1.2"]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_an_example_that_does_not_fit_leaves_the_model_as_it_was(mode: str, fast: None) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 3), nn.ReLU())
    before = state(model)
    with pytest.raises(RuntimeError, match="channels"):
        tconv.nn.accelerate(model, torch.randn(1, 3, 5, 5), mode=mode)
    assert state(model) == before


@torch.no_grad()
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_lazy_layers_take_their_shapes_from_the_example(
    mode: str, fast: None, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nn.Sequential(nn.LazyConvTranspose2d(4, 2, 2), nn.LazyConv2d(4, 3), nn.ReLU())
    tconv.nn.accelerate(model, torch.randn(1, 3, 5, 5), mode=mode)
    assert isinstance(model[0], tconv.nn.ConvTranspose2d) and model[0].weight.shape == (3, 4, 2, 2)


@torch.no_grad()
def test_the_layout_alone_may_be_faster(
    fast: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = attempt.compare
    monkeypatch.setattr(attempt, "compare", lambda old, new, *more: replace(compare(old, new, *more), after=1e-9))
    model = nn.Sequential(nn.Conv2d(4, 4, 3, 2), nn.Sigmoid()).eval()
    tconv.nn.accelerate(model, torch.randn(1, 4, 9, 9))
    assert "whole     (model)  Sequential  " in capsys.readouterr().out
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


class Flat(nn.Module):
    """Asks for the layout that it was written for, as many classifiers do."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.up(x)).view(len(x), -1)


@torch.no_grad()
def test_a_model_that_needs_its_layout_keeps_it(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = Flat().eval(), torch.randn(2, 4, 5, 5)
    expected = model(x)
    tconv.nn.accelerate(model, x)
    rows = capsys.readouterr().out
    assert "kept      (model)  Flat  the layout of its weights; channels-last ones fail: view size is not" in rows
    assert "replaced  up  " in rows and "whole     (model)  Flat  " in rows and model.up.weight.is_contiguous()
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("winograd", [False, True])
def test_winograds_algorithm_is_a_choice(
    winograd: bool, fast: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1)).to(memory_format=torch.channels_last).eval()
    x = torch.randn(1, 32, 40, 40)
    expected = model(x)
    with nullcontext() if winograd else pytest.warns(UserWarning, match="changed nothing"):
        tconv.nn.accelerate(model, x, winograd=winograd)
    assert ("folded    0  fold" in capsys.readouterr().out) == winograd
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_root_may_be_the_layer(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    layer = nn.ConvTranspose1d(4, 4, 2)
    assert type(tconv.nn.accelerate(layer, torch.ones(1, 4, 5))) is tconv.nn.ConvTranspose1d
    assert capsys.readouterr().out.startswith("replaced  (model)  ConvTranspose1d  ")
    assert type(tconv.nn.restore(layer)) is nn.ConvTranspose1d


def test_a_models_own_tconv_layers_stay(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(tconv.nn.ConvTranspose2d(4, 4, 2), nn.ConvTranspose2d(4, 4, 2))
    tconv.nn.accelerate(model, strict=True)
    assert "kept      0  ConvTranspose2d  it is tconv's already" in capsys.readouterr().out
    tconv.nn.restore(model)
    assert type(model[0]) is tconv.nn.ConvTranspose2d and type(model[1]) is nn.ConvTranspose2d


def test_twice_is_as_once(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.ReLU())
    tconv.nn.accelerate(model)
    tconv.nn.accelerate(model)
    assert type(tconv.nn.restore(model)[0]) is nn.ConvTranspose2d
    capsys.readouterr()


class Own(nn.ConvTranspose2d):
    """Somebody's subclass."""


def test_skipped_with_a_reason_and_strict(capsys: pytest.CaptureFixture[str]) -> None:
    layers = {
        "mine": Own(4, 4, 2),
        "lazy": nn.LazyConvTranspose2d(4, 2),
        "f16": nn.ConvTranspose2d(4, 4, 2).half(),
        "far": nn.ConvTranspose2d(4, 4, 2, device="meta"),
        "out": nn.ConvTranspose2d(4, 4, 2),
        "good": nn.ConvTranspose2d(4, 4, 2),
    }
    model = nn.ModuleDict(layers)
    tconv.nn.accelerate(model, mode="training", filter=lambda name, layer: name != "out")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines[:5]] == [
        f"its type {Own.__module__}.Own is not exactly torch.nn's",
        "its type torch.nn.modules.conv.LazyConvTranspose2d is not exactly torch.nn's",
        "the weight has dtype torch.float16; the engine takes torch.float32 and torch.float64",
        "the weight is on meta; the engine computes on the CPU",
        "the filter leaves it alone",
    ]
    assert lines[5] == "replaced  good  ConvTranspose2d"
    tconv.nn.restore(model)
    with pytest.raises(acceleration.AccelerateError, match=r"^strict: mine: its type .*; the model is as before$"):
        tconv.nn.accelerate(model, mode="training", strict=True)
    assert type(model["good"]) is nn.ConvTranspose2d
    with pytest.raises(
        acceleration.AccelerateError, match=r"^strict: there is no transposed convolution; the model is as"
    ):
        tconv.nn.accelerate(nn.Linear(2, 2), strict=True)
    with pytest.raises(ValueError, match=r"^mode 'test' is unknown; choose 'inference' or 'training'$"):
        tconv.nn.accelerate(model, mode="test")
    with pytest.raises(TypeError, match=r"^filter 'up' must be a function of a layer's name and the layer$"):
        tconv.nn.accelerate(model, filter="up")


def test_training_mode_keeps_gradients_optimiser_and_hooks(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.BatchNorm2d(4), nn.ReLU())
    other, x = copy.deepcopy(model), torch.randn(2, 4, 6, 6)
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    optimisers = [torch.optim.SGD(m.parameters(), 0.1) for m in (model, other)]
    tconv.nn.accelerate(model, x, mode="training")
    assert model.training and torch.equal(model[1].running_mean, other[1].running_mean)  # the example left no trace
    assert all(p.grad is None for p in model.parameters())
    calls.clear()
    for _ in range(3):
        losses = [m(x).square().mean() for m in (model, other)]
        for optimiser, loss in zip(optimisers, losses, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-5)
    assert len(calls) == 3
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(x), other.eval()(x), rtol=1e-4, atol=1e-5)
    capsys.readouterr()


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@torch.no_grad()
def test_the_old_weight_norm(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    """HiFi-GAN's: a hook computes the weight before each call, and may be removed later."""
    model = nn.Sequential(nn.utils.weight_norm(nn.ConvTranspose1d(8, 4, 16, 8, 4)), nn.LeakyReLU(0.1)).eval()
    x = torch.randn(1, 8, 20)
    expected = model(x)
    tconv.nn.accelerate(model, x)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    model[0].weight_g.mul_(2)
    torch.testing.assert_close(model(x), type(model).forward(model, x), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model(x), expected)
    nn.utils.remove_weight_norm(model[0])
    assert model(x).shape == expected.shape
    capsys.readouterr()


def test_removing_a_parametrisation_leaves_a_tconv_layer(capsys: pytest.CaptureFixture[str]) -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(4, 3, 4, 2, 1))
    model = tconv.nn.accelerate(nn.Sequential(layer))
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is tconv.nn.ConvTranspose2d
    assert type(tconv.nn.restore(model)[0]) is nn.ConvTranspose2d
    capsys.readouterr()


@torch.no_grad()
def test_data_parallel_copies_and_pickles(capsys: pytest.CaptureFixture[str]) -> None:
    model, x = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU()).eval(), torch.randn(1, 4, 6, 6)
    expected = model(x)
    tconv.nn.accelerate(model)
    for other in (nn.DataParallel(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(x), expected, rtol=1e-4, atol=1e-5)
    copied = tconv.nn.restore(copy.deepcopy(model))
    assert type(copied[0]) is nn.ConvTranspose2d and type(model[0]) is tconv.nn.ConvTranspose2d
    capsys.readouterr()


@torch.no_grad()
def test_patched_reaches_functional_callers(engine: None) -> None:
    model, x = Net().eval(), torch.randn(1, 4, 6, 6)
    expected = model(x)
    calls: list[Any] = []
    original = tconv.nn.functional.compute
    with tconv.nn.patched(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tconv.nn.functional, "compute", lambda *a: calls.append(a) or original(*a))
        y = model(x)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert len(calls) == 4
    model(x)
    assert len(calls) == 4
    with tconv.nn.patched():
        assert torch.add(x, 1).shape == x.shape
