"""`torch.compile(model, backend="tconv")`."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nn.judge import Body, agree, close, folds, randomised
from torch import Tensor, nn

from tconv.nn import fold
from tconv.nn.backend import Backend, tconv

pytestmark = pytest.mark.usefixtures("captures")


@torch.no_grad()
@pytest.mark.parametrize("options", [None, {"winograd": False}, {"rest": "eager"}])
def test_the_backend_is_found_by_its_name(options: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tconv")
    model = randomised(Body())
    x = torch.randn(1, 3, 6, 6)
    close(torch.compile(model, backend="tconv", options=options)(x), model(x))
    assert [record.message for record in caplog.records if record.name == "tconv"] == [
        "graph 1: folded conv2d + batch_norm + relu"
    ]


@torch.no_grad()
def test_it_goes_with_the_options_of_torch_compile() -> None:
    model = randomised(Body())
    compiled = torch.compile(model, backend="tconv", fullgraph=True, dynamic=True)
    for size in (5, 6, 8):
        x = torch.randn(1, 3, size, size)
        close(compiled(x), model(x))


def test_gradients_go_through() -> None:
    model = randomised(Body())
    compiled = torch.compile(model, backend="tconv")
    results = []
    for each in (compiled, model):
        x = torch.ones(1, 3, 6, 6, requires_grad=True)
        each(x).sum().backward()
        results.append(x.grad)
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_other_peoples_captures_read_generators_as_ever() -> None:
    """What tconv changes in TorchDynamo holds within its own captures only."""
    generator = random.Random(0)
    model = randomised(Body())
    fold(model)(torch.ones(1, 3, 6, 6))
    compiled = torch.compile(lambda x: x + generator.random(), backend="eager", fullgraph=True)
    assert compiled(torch.zeros(1)).item() == pytest.approx(random.Random(0).random())


def test_unknown_options() -> None:
    bad: Any = torch.fx.symbolic_trace(torch.nn.Identity())
    with pytest.raises(
        ValueError, match=r"^option 'fast' is unknown to the backend tconv; it takes the options 'winograd' and 'rest'$"
    ):
        tconv(bad, [], options={"fast": True})
    with pytest.raises(ValueError, match=r"^mode 'max-autotune' is unknown to the backend tconv; it takes the options"):
        tconv(bad, [], mode="max-autotune")
    with pytest.raises(TypeError, match=r"^winograd 'yes' must be True or False$"):
        tconv(bad, [], options={"winograd": "yes"})
    with pytest.raises(ValueError, match=r"^rest 'onnx' is unknown; choose 'eager' or 'inductor'$"):
        tconv(bad, [], options={"rest": "onnx"})


NAMED = """
import torch
assert "tconv" in torch._dynamo.list_backends(()), torch._dynamo.list_backends(())
"""


def test_importing_tconv_is_not_needed() -> None:
    subprocess.run([sys.executable, "-c", NAMED], check=True, timeout=120)


def test_a_backend_anew_has_the_settings_and_met_nothing() -> None:
    backend = Backend(winograd=False, wanted=lambda name, module: False, alone=True)
    backend.graphs, backend.decided = 3, {"a": False}
    new = backend.anew(last=True)
    assert (new.winograd, new.wanted, new.alone, new.graphs, new.decided) == (False, backend.wanted, True, 0, {})
    assert new.last and not backend.last


class Vocoder(nn.Module):
    """Residual blocks on a signal, of which one map is a result, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.up = nn.Conv1d(4, 6, 5, padding=2), nn.ConvTranspose1d(6, 6, 4, 2, 1)
        self.one, self.two = nn.Conv1d(6, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1)
        self.shown, self.out = nn.Conv1d(6, 3, 3, padding=1), nn.Conv1d(6, 1, 7, padding=3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.up(F.leaky_relu(self.first(x)))
        x = (x + self.two(F.leaky_relu(self.one(x)))) / 2
        return torch.tanh(self.out(F.leaky_relu(x))).view(len(x), -1), self.shown(x)


@torch.no_grad()
def test_signals_lie_channels_last_where_nobody_can_tell() -> None:
    model, x = Vocoder().eval(), torch.randn(2, 4, 40)
    for last in (False, True):
        backend = Backend(alone=True, last=last)
        backend.know(model)
        compiled = torch.compile(model, backend=backend)
        for ours, theirs in zip(compiled(x), model(x), strict=True):
            assert ours.is_contiguous() and ours.shape == theirs.shape
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        layouts = {name.partition(" ")[0]: fold.last for name, fold in backend.folds.items()}
        inner = ("first", "up", "one", "two", "out")
        assert layouts == {name: last for name in inner} | {"shown": False}


@torch.no_grad()
def test_a_fold_that_loses_runs_as_it_is_written() -> None:
    model = randomised(Body())
    backend = Backend(decided={"conv2d + batch_norm + relu": False})
    compiled = torch.compile(model, backend=backend)
    x = torch.randn(1, 3, 6, 6)
    assert torch.equal(compiled(x), model(x))
    assert [fold.wanted for fold in backend.folds.values()] == [False]


@torch.no_grad()
def test_what_is_not_wanted_is_not_folded() -> None:
    model = randomised(Body())
    backend = Backend(wanted=lambda name, module: name != "conv")
    backend.know(model)
    x = torch.randn(1, 3, 6, 6)
    close(torch.compile(model, backend=backend)(x), model(x))
    assert backend.graphs == 1 and not backend.folds


@pytest.mark.filterwarnings("ignore:`torch.jit")  # PyTorch's own, when Inductor is imported
@torch.no_grad()
def test_inductor_runs_what_is_not_folded() -> None:
    """The folds stay tconv's, follow the weights, and serve other sizes."""

    class Around(Body):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x * 2 - 1).exp().mean(1)

    model, twin = (randomised(Around()) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    fold(model, rest="inductor")
    for size in (6, 7):
        agree(model, twin, torch.randn(1, 3, size, size))
    for each in (model, twin):
        each.conv.weight.mul_(2)
    agree(model, twin, torch.randn(1, 3, 7, 7), calls=3)
    assert folds(model) == ["conv + norm + relu"]
