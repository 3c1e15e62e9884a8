"""Under autocast a convolution computes in autocast's dtype: as layers, as functions, as an operator, and folded."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nn.judge import folds
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import tconv.nn
from tconv.nn import accelerate, fold, functional, packing, private
from tconv.nn.engine import Call, route
from tconv.nn.engines.cpu import ENGINE
from tconv.nn.operator import OPERATOR

BF16 = torch.bfloat16
SETTINGS: Any = ((2, 2), (0, 0), (0, 0), 1, (1, 1))


def autocast(dtype: torch.dtype = BF16) -> torch.autocast:
    return torch.autocast("cpu", dtype)


def near(y: Tensor, expected: Tensor, roundings: float = 2) -> None:
    """Within some roundings of y's dtype, relative to the largest value."""
    error = (y.double() - expected.double()).abs().max() / expected.abs().max()
    assert error <= roundings * torch.finfo(y.dtype).eps, error


@torch.no_grad()
@pytest.mark.parametrize("dtype", [BF16, torch.float16], ids=str)
def test_a_function_computes_in_the_dtype_that_autocast_names(dtype: torch.dtype) -> None:
    x, w, b = torch.randn(2, 4, 5, 5), torch.randn(4, 3, 2, 2), torch.randn(3)
    with autocast(dtype):
        y = functional.conv_transpose2d(x, w, b, 2)
    assert y.dtype is dtype
    near(y, F.conv_transpose2d(*(t.to(dtype).double() for t in (x, w, b)), stride=2), 0.51)


@torch.no_grad()
def test_weights_are_rounded_once_and_again_when_they_change() -> None:
    layer, x = tconv.nn.ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
    single = layer(x)
    with autocast():
        y = layer(x)
        numbers = (((2, 2), (0, 0), (0, 0), 1, (1, 1)), BF16)
        kept = packing.kept(layer.weight, layer.bias, numbers, x.numel())
        assert kept is not None and layer(x).equal(y)
        assert packing.kept(layer.weight, layer.bias, numbers, x.numel()) is kept
        layer.weight.mul_(2)
        expected = F.conv_transpose2d(*(t.to(BF16).double() for t in (x, layer.weight, layer.bias)), stride=2)
        near(layer(x), expected, 0.51)
        with torch.autocast("cpu", enabled=False):
            assert layer(x).dtype is torch.float32
    near(y, single, 4)


@torch.no_grad()
def test_float64_stays_and_its_mixtures_are_pytorchs() -> None:
    x, w = torch.randn(1, 4, 5, 5).double(), torch.randn(4, 3, 2, 2).double()
    with autocast():
        torch.testing.assert_close(functional.conv_transpose2d(x, w), F.conv_transpose2d(x, w))
        assert OPERATOR(x, w, None, *SETTINGS).dtype is torch.float64
        with pytest.raises(RuntimeError):
            functional.conv_transpose2d(x, w.float())


def test_routes() -> None:
    call = Call(torch.ones(1, 4, 5, 5), torch.ones(4, 3, 2, 2), None, SETTINGS)
    needing = call._replace(weight=torch.ones(4, 3, 2, 2, requires_grad=True))
    with autocast():
        assert route(call) == (ENGINE, "", False, BF16)
        reason = "gradients are needed under autocast; torch.no_grad() asks for none"
        assert route(needing) == (None, reason, True, None)


def test_training_under_autocast_is_pytorchs() -> None:
    layer, x = tconv.nn.ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
    twin = nn.ConvTranspose2d(4, 3, 2, 2)
    twin.load_state_dict(layer.state_dict())
    with autocast():
        ours, theirs = layer(x), twin(x)
    assert ours.equal(theirs)
    for each in (ours, theirs):
        each.float().square().sum().backward()
    assert layer.weight.grad is not None and twin.weight.grad is not None
    assert layer.weight.grad.equal(twin.weight.grad)


@torch.no_grad()
def test_the_operator_and_profilers() -> None:
    x, w, b = torch.randn(1, 4, 5, 5), torch.randn(4, 3, 2, 2), torch.randn(3)
    with autocast():
        y = OPERATOR(x, w, b, *SETTINGS)
        assert y.dtype is BF16 and y.equal(functional.conv_transpose2d(x, w, b, 2))
        with torch.profiler.profile() as seen:
            assert functional.conv_transpose2d(x, w, b, 2).equal(y)
    assert "tconv::conv_transpose" in {event.key for event in seen.key_averages()}


def model() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        *(nn.Conv2d(4, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Upsample(scale_factor=2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.SiLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1)),
        *(nn.PReLU(init=0.3), weight_norm(nn.Conv2d(16, 3, 3, padding=1))),
    ).eval()
    norm = made[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return made


@torch.no_grad()
def test_a_model_is_folded_and_as_near_as_it_was() -> None:
    ours, x = model(), torch.randn(2, 4, 17, 13)
    twin = copy.deepcopy(ours)
    exact = copy.deepcopy(ours).double()(x.double())
    fold(ours)
    with autocast():
        y, eager = ours(x), twin(x)
        assert y.dtype is eager.dtype is BF16 and y.stride() == eager.stride()
        assert {"0 + 1 + 2", "3 + 4", "7 + 8", "5 + 6"} <= set(folds(ours))
        errors = [float((each - exact).abs().max()) for each in (y, eager)]
        assert errors[0] <= 2 * errors[1]
        with torch.autocast("cpu", enabled=False):
            near(ours(x), twin(x), 1e3)
    assert ours(x).dtype is torch.float32
    with autocast(torch.float16):
        assert ours(x).dtype is torch.float16


@torch.no_grad()
def test_a_concatenation_of_two_precisions() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.conv = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(12, 6, 3, padding=1)
            self.nearest = nn.Upsample(scale_factor=2)

        def forward(self, x: Tensor, skip: Tensor) -> Tensor:
            found: Tensor = self.conv(torch.cat([self.nearest(x), self.up(x), skip], 1))
            return found

    ours, x, skip = Skip().eval(), torch.randn(1, 4, 9, 7), torch.randn(1, 4, 18, 14)
    twin = copy.deepcopy(ours)
    fold(ours)
    for kinds in ((torch.float32, torch.float32), (BF16, torch.float32), (BF16, BF16)):
        a, b = x.to(kinds[0]), skip.to(kinds[1])
        with autocast():
            y, expected = ours(a, b), twin(a, b)
        assert y.dtype is expected.dtype
        near(y, expected, 3)


@torch.no_grad()
def test_autocast_that_changes_within_a_model_is_left_alone() -> None:
    class Switching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                y = self.first(x).relu()
            found: Tensor = self.second(y).relu()
            return found

    ours, x = Switching().eval(), torch.randn(1, 4, 9, 7)
    twin = copy.deepcopy(ours)
    fold(ours)
    with autocast():
        y, expected = ours(x), twin(x)
    assert y.dtype is expected.dtype is BF16 and y.equal(expected)
    near(ours(x), twin(x), 20)


def test_accelerate_measures_under_autocast(capsys: pytest.CaptureFixture[str]) -> None:
    ours, x = model(), torch.randn(1, 4, 24, 24)
    twin = copy.deepcopy(ours)
    with torch.no_grad(), autocast():
        accelerate(ours, x, seconds=2)
        near(ours(x), twin(x), 8)
    assert "Sequential" in capsys.readouterr().out


def test_which_graphs_change_autocast() -> None:
    graph = torch.fx.Graph()
    graph.output(graph.placeholder("x"))
    assert not private.changes_autocast(graph)
    with graph.inserting_before():
        graph.call_function(torch.amp.autocast_mode._enter_autocast, ("cpu", None, True, None))
    assert private.changes_autocast(graph)
    assert private.autocast_dtype("cpu") is None and private.autocasting() == () and private.autocast_dtypes() == []
    with autocast():
        assert private.autocast_dtype("cpu") is BF16 and private.autocast_dtype("meta") is None
        assert private.autocasting() == ("cpu",) and private.autocast_dtypes() == [BF16]
        with private.without_autocast():
            assert private.autocast_dtype("cpu") is None and not private.autocast()
        assert private.autocast()
