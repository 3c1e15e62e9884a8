"""`accelerate` on models as people write them."""

from __future__ import annotations

import collections
import copy
import logging
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nn.judge import QUICK, Body, agree, close, randomised, state
from torch import Tensor, nn

import tconv.nn
from tconv.nn import acceleration
from tconv.nn.capture import captured
from tconv.nn.comparison import Comparison

pytestmark = pytest.mark.usefixtures("captures")


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


@torch.no_grad()
def test_accelerate_with_an_example_and_restore(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = Net().eval(), torch.randn(1, 4, 6, 6)
    before, expected, keys = state(model), model(x), list(model.state_dict())
    assert tconv.nn.accelerate(model, x, **QUICK) is model
    out, err = capsys.readouterr()
    assert re.fullmatch(r"tconv: Net: [\d.]+ -> [\d.]+ ms \([\d.]+x\), error \d.*, 4 parts folded\n", out) and not err
    assert type(model.up) is nn.ConvTranspose2d and list(model.state_dict()) == keys
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    report = tconv.nn.report(model)
    assert [row.name for row in report.rows if row.action == "folded"] == [
        "up + relu",
        "up + relu (2)",
        "normed",
        "conv_transpose2d",
    ]
    assert report.error < 1e-4 and report.speed > 0 and report.steady and report.graphs >= 1 and not report.graph_breaks
    assert state(tconv.nn.restore(model)) == before
    torch.testing.assert_close(model(x), expected, rtol=0, atol=0)


@torch.no_grad()
def test_accelerate_without_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    model, x = Net().eval(), torch.randn(1, 4, 6, 6)
    before, expected = state(model), model(x)
    tconv.nn.accelerate(model)
    text = "2 layers replaced, what folds is folded when the model first runs"
    assert capsys.readouterr().out == f"tconv: Net: {text}\n"
    assert type(model.up) is tconv.nn.ConvTranspose2d and isinstance(model.normed, tconv.nn.ConvTranspose2d)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    running = captured(model)
    assert running is not None and len(running.backend.folds) == 4
    assert state(tconv.nn.restore(model)) == before


class Takes(Body):
    def forward(self, x: Tensor, scale: float = 1.0, *, other: Tensor | None = None) -> Tensor:
        y = self.body(x) * scale
        return y if other is None else y + other.mean()


T = torch.linspace(-1, 1, 108).view(1, 3, 6, 6)
FORMS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "tensor": (T, (T,), {}),
    "tuple": ((T, 2.0), (T, 2.0), {}),
    "dict": ({"x": T, "other": T}, (), {"x": T, "other": T}),
    "UserDict": (collections.UserDict({"x": T, "scale": 3.0}), (), {"x": T, "scale": 3.0}),
    "pair": (((T,), {"other": T}), (T,), {"other": T}),
    "pair with a UserDict": (((T, 2.0), collections.UserDict(other=T)), (T, 2.0), {"other": T}),
}


@torch.no_grad()
@pytest.mark.parametrize("name", FORMS)
def test_forms_of_examples(name: str, fast: None) -> None:
    example, args, kwargs = FORMS[name]
    model = randomised(Takes())
    twin = copy.deepcopy(model)
    tconv.nn.accelerate(model, example, **QUICK)
    assert captured(model) is not None
    close(model(*args, **kwargs), twin(*args, **kwargs))


class Codec(nn.Module):
    """Has no forward: its users call `encode` and `decode`."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Body(), nn.Sequential(nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())
        self.quant = nn.Conv2d(4, 4, 1)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor, gain: float = 1.0) -> Tensor:
        return self.decoder(self.quant(z)) * gain


@torch.no_grad()
def test_a_method(fast: None) -> None:
    """The modules that the method calls are captured; the others are as before."""
    model, z = randomised(Codec()), torch.randn(1, 4, 6, 6)
    twin = copy.deepcopy(model)
    tconv.nn.accelerate(model, {"z": z, "gain": 2.0}, method="decode", **QUICK)
    assert captured(model.decoder) is not None and captured(model.encoder) is captured(model) is None
    close(model.decode(z, 2.0), twin.decode(z, 2.0))
    assert "decoder.0 + 1" in [row.name for row in tconv.nn.report(model).rows if row.action == "folded"]
    tconv.nn.restore(model)
    assert captured(model.decoder) is None
    with pytest.raises(AttributeError, match="'Codec' object has no attribute 'sample'"):
        tconv.nn.accelerate(model, z, method="sample", **QUICK)


OUTPUTS: dict[str, Callable[[Tensor], Any]] = {
    "dict": lambda y: {"y": y, "names": {"a"}},
    "nested": lambda y: [(y, None), {"n": 3, "s": y.sum()}],
    "integers": lambda y: y.argmax(1),
    "half": lambda y: y.half(),
    "nothing": lambda y: None,
    "not finite": lambda y: torch.where(y > 0, torch.inf, torch.nan),
    "string": lambda y: "text",
}


class Gives(Body):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.body(x))


@torch.no_grad()
@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs(name: str, fast: None) -> None:
    model, x = randomised(Gives(OUTPUTS[name])), torch.randn(1, 3, 6, 6)
    twin = copy.deepcopy(model)
    tconv.nn.accelerate(model, x, **QUICK)
    assert tconv.nn.report(model).steady and captured(model) is not None
    agree(model, twin, x)


@torch.no_grad()
@pytest.mark.parametrize("with_example", [False, True])
def test_what_the_filter_leaves_alone_is_not_folded(with_example: bool, fast: None) -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU())

    model, x = nn.Sequential(block(), block()).eval(), torch.randn(1, 4, 5, 5)
    expected = model(x)
    options = QUICK if with_example else {}
    tconv.nn.accelerate(model, x if with_example else None, filter=lambda name, layer: name.startswith("1"), **options)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    running = captured(model)
    assert running is not None and [*running.backend.folds] == ["1.0 + 1", "1.2 + 3"]
    assert type(model[0][2]) is nn.ConvTranspose2d


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_an_example_that_fails_leaves_all_as_it_was(mode: str, fast: None) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 3), nn.ReLU())
    before = state(model)
    with pytest.raises(RuntimeError, match="channels"):
        tconv.nn.accelerate(model, torch.randn(1, 3, 5, 5), mode=mode)
    assert state(model) == before and torch.is_grad_enabled()
    with pytest.raises(LookupError, match="is not accelerated"):
        tconv.nn.report(model)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_lazy_layers_take_their_shapes_from_the_example(mode: str, fast: None) -> None:
    model = nn.Sequential(nn.LazyConvTranspose2d(4, 2, 2), nn.LazyConv2d(4, 3), nn.ReLU())
    tconv.nn.accelerate(model, torch.randn(1, 3, 5, 5), mode=mode, **QUICK)
    assert model[0].weight.shape == (3, 4, 2, 2) and isinstance(model[0], nn.ConvTranspose2d)


@torch.no_grad()
def test_the_root_may_be_the_layer(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    layer, x = nn.ConvTranspose1d(4, 4, 2), torch.ones(1, 4, 5)
    expected = layer(x)
    tconv.nn.accelerate(layer, x, strict=True, **QUICK)
    torch.testing.assert_close(layer(x), expected)
    assert [row.name for row in tconv.nn.report(layer).rows if row.action == "folded"] == ["conv_transpose1d"]
    assert type(tconv.nn.accelerate(layer, strict=True)) is tconv.nn.ConvTranspose1d
    assert type(tconv.nn.restore(layer)) is nn.ConvTranspose1d
    tconv.nn.accelerate(tconv.nn.ConvTranspose1d(4, 4, 2), strict=True)


@torch.no_grad()
def test_twice_is_as_once(fast: None) -> None:
    model, x = nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.ReLU()).eval(), torch.randn(1, 4, 5, 5)
    before, expected = state(model), model(x)
    tconv.nn.accelerate(model)
    tconv.nn.accelerate(model, x, **QUICK)
    tconv.nn.accelerate(model)
    torch.testing.assert_close(model(x), expected)
    assert state(tconv.nn.restore(model)) == before


@torch.no_grad()
def test_one_line_and_a_logger(
    fast: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tconv")
    model = randomised(Body())
    tconv.nn.accelerate(model, torch.randn(1, 3, 6, 6), **QUICK)
    report = tconv.nn.report(model)
    out, err = capsys.readouterr()
    assert out == report.line() + "\n" and not err
    logged = [record.getMessage() for record in caplog.records if record.name == "tconv"]
    assert [str(row) for row in report.rows] == logged[-len(report.rows) :]
    assert "graph 1: folded conv + norm + relu" in logged


class Own(nn.ConvTranspose2d):
    """Somebody's subclass."""


def test_strict_word_by_word(fast: None) -> None:
    model = nn.ModuleDict({"mine": Own(4, 4, 2), "good": nn.ConvTranspose2d(4, 4, 2)})
    reason = f"its type {Own.__module__}.Own is not exactly torch.nn's"
    with pytest.raises(acceleration.AccelerateError) as error:
        tconv.nn.accelerate(model, mode="training", strict=True)
    assert str(error.value) == f"strict: mine: {reason}; the model is as before"
    assert type(model["good"]) is nn.ConvTranspose2d
    with pytest.raises(acceleration.AccelerateError) as error:
        tconv.nn.accelerate(nn.Linear(2, 2), strict=True)
    assert str(error.value) == "strict: there is no transposed convolution; the model is as before"


def test_strict_with_an_example(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.BatchNorm2d(4), nn.ReLU()).eval(), torch.ones(1, 4, 5, 5)
    tconv.nn.accelerate(model, x, strict=True, **QUICK)
    monkeypatch.setattr(Comparison, "faster", False)
    with pytest.raises(acceleration.AccelerateError, match=r"^strict: 0: .*; the model is as before$"):
        tconv.nn.accelerate(model, x, strict=True, **QUICK)
    assert captured(model) is None


def test_wrong_arguments() -> None:
    model: Any = nn.Sequential(nn.ConvTranspose2d(4, 4, 2))
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"mode": "test"}, ValueError, "mode 'test' is unknown; choose 'inference' or 'training'"),
        ({"filter": "up"}, TypeError, "filter 'up' must be a function of a layer's name and the layer"),
        (
            {"method": "decode"},
            TypeError,
            "method 'decode' needs an example: what it calls is only known once it is called",
        ),
        ({"tolerance": 0}, ValueError, "tolerance 0 must be greater than 0"),
        ({"seconds": -1.5}, ValueError, "seconds -1.5 must be greater than 0"),
        ({"forwards": 0}, ValueError, "forwards 0 must be greater than 0"),
        ({"tolerance": float("nan")}, ValueError, "tolerance nan must be greater than 0"),
        ({"rest": "onnx"}, ValueError, "rest 'onnx' is unknown; choose 'eager' or 'inductor'"),
    ]
    for arguments, kind, text in wrong:
        with pytest.raises(kind) as error:
            tconv.nn.accelerate(model, **arguments)
        assert str(error.value) == text
        assert captured(model) is None


def test_training_mode_keeps_gradients_optimiser_and_hooks(fast: None) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.BatchNorm2d(4), nn.ReLU())
    other, x = copy.deepcopy(model), torch.randn(2, 4, 6, 6)
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    optimisers = [torch.optim.SGD(m.parameters(), 0.1) for m in (model, other)]
    tconv.nn.accelerate(model, x, mode="training")
    assert type(model[0]) is tconv.nn.ConvTranspose2d and captured(model) is None
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
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), other.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.parametrizations.spectral_norm:FutureWarning")
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_the_old_norms_where_gradients_are_on(norm: str, mode: Any, fast: None) -> None:
    """A hook computes the weight before each call: such models cannot be copied, and need not be."""
    model = nn.Sequential(getattr(nn.utils, norm)(nn.ConvTranspose1d(8, 4, 16, 8, 4)), nn.LeakyReLU(0.1))
    x = torch.randn(1, 8, 20)
    model(x).sum().backward()
    expected = model.eval()(x).detach()
    tconv.nn.accelerate(model, x, mode=mode, **QUICK)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
        getattr(nn.utils, f"remove_{norm}")(model[0])
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_copies_and_pickles_are_not_accelerated(fast: None) -> None:
    model, x = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU()).eval(), torch.randn(1, 4, 6, 6)
    expected = model(x)
    tconv.nn.accelerate(model, x, **QUICK)
    for other in (nn.DataParallel(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(x), expected, rtol=1e-4, atol=1e-5)
    copied = copy.deepcopy(model)
    with pytest.raises(LookupError, match=r"copies are not accelerated with their model$"):
        tconv.nn.report(copied)
    tconv.nn.accelerate(copied, x, **QUICK)
    assert captured(copied) is not None


@torch.no_grad()
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(kind: Any, fast: None) -> None:
    model, x = Net().eval().to(kind), torch.randn(1, 4, 6, 6).to(kind)
    twin = copy.deepcopy(model)
    tconv.nn.accelerate(model, x, **QUICK)
    exact = copy.deepcopy(twin).double()(x.double())
    own = float((twin(x).double() - exact).abs().max())
    assert model(x).dtype is kind
    assert float((model(x).double() - exact).abs().max()) <= 2 * own + 1e-3 * float(exact.abs().max())


@pytest.mark.filterwarnings("ignore:Complex modules")
@torch.no_grad()
def test_the_report_says_why_no_engine_takes_a_model(fast: None) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 2, 2, 2), nn.Tanh()).to(torch.complex64).eval()
    tconv.nn.accelerate(model, torch.randn(1, 4, 1, 1, dtype=torch.complex64), **QUICK)
    first, *_ = tconv.nn.report(model).rows
    says = "has dtype torch.complex64; the engine takes torch.float32, torch.float64, torch.bfloat16 and torch.float16"
    assert (first.action, first.text) == ("kept", f"its layers run on PyTorch: the weight {says}")


@torch.no_grad()
def test_what_no_engine_takes_is_left(fast: None) -> None:
    model, x = Net().eval().to("meta"), torch.randn(1, 4, 6, 6).to("meta")
    before, expected = state(model), model(x)
    tconv.nn.accelerate(model, x, **QUICK)
    tconv.nn.accelerate(model)
    close(model(x), expected)
    assert state(tconv.nn.restore(model)) == before
