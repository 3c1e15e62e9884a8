"""The engine for GPUs within PyTorch: gradients, autocast, vmap, torch.compile, profilers, folds and `accelerate`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from gpu.place import DEVICE, REAL, error, tf32
from nn.judge import folds
from torch import Tensor, nn

import tconv.nn
from tconv.nn import explain
from tconv.nn.engine import Call, engine_for
from tconv.nn.operator import OPERATOR, ConvTranspose

SETTINGS: Any = ((2, 2), (1, 1), (0, 0), 1, (1, 1))


def tensors(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Input, weight and bias of a layer with kernel 4 and stride 2."""
    shapes = (2, 4, 3, 5), (4, 3, 4, 4), (3,)
    x, weight, bias = (torch.randn(shape).to(DEVICE, dtype) for shape in shapes)
    return x, nn.Parameter(weight, requires_grad=False), bias  # other weights are packed when they are met again


@pytest.fixture(autouse=True)
def exactly() -> Any:
    with tf32(False):
        yield


def test_gradients_of_both_orders() -> None:
    ours, theirs = tensors(), tensors()
    for mine, other in zip(ours, theirs, strict=True):
        other.copy_(mine)
        mine.requires_grad_()
        other.requires_grad_()
    for run in (ConvTranspose.apply, OPERATOR):
        y, expected = run(*ours, *SETTINGS), torch.conv_transpose2d(*theirs, 2, 1)
        assert error(y, expected) < 1e-5
        firsts = [
            torch.autograd.grad(each.pow(2).sum(), own, create_graph=True)
            for each, own in ((y, ours), (expected, theirs))
        ]
        for mine, other in zip(*firsts, strict=True):
            assert error(mine, other) < 1e-4
        seconds = [
            torch.autograd.grad(first[0].sum(), own[1]) for first, own in zip(firsts, (ours, theirs), strict=True)
        ]
        assert error(seconds[0][0], seconds[1][0]) < 1e-4


@pytest.mark.parametrize("last", [False, True])
def test_the_gradient_of_a_bias_is_summed_in_float32(last: bool) -> None:
    engine: Any = engine_for(DEVICE.type)

    def of_bias(grad: Tensor) -> Any:
        of_input, of_weight, found = engine.gradients(grad, Call(grad, grad, None, SETTINGS), [True] * 3)
        assert of_input is of_weight is None  # they are PyTorch's
        return found

    for shape in ((2, 5, 7, 3), (3, 70, 40), (1, 3, 4, 5, 6)):
        grad = torch.randn(shape).to(DEVICE, torch.float16)
        if last:
            grad = grad.movedim(1, -1).contiguous().movedim(-1, 1)
        found = of_bias(grad)
        expected = grad.double().sum([0, *range(2, grad.dim())])
        assert found.dtype is torch.float16 and error(found, expected) < 1e-3
        assert found.equal(of_bias(grad))
    with_gaps = torch.ones(2, 3, 4, 5, device=DEVICE)[:, :, 1:]
    assert of_bias(with_gaps) is None and of_bias(with_gaps[:0]) is None


def test_a_layer_is_trained() -> None:
    layer = tconv.nn.ConvTranspose2d(4, 3, 4, 2, 1).to(DEVICE)
    x, optimiser = tensors()[0], torch.optim.SGD(layer.parameters(), 0.1)
    for _ in range(2):
        y = ConvTranspose.apply(x, layer.weight, layer.bias, *SETTINGS)
        y.square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
        with torch.no_grad():
            assert error(layer(x), torch.conv_transpose2d(x, layer.weight, layer.bias, 2, 1)) < 1e-5


@torch.no_grad()
def test_changed_weights_are_noticed() -> None:
    layer, x = tconv.nn.ConvTranspose2d(4, 3, 4, 2, 1).to(DEVICE), tensors()[0]
    before = layer(x)
    assert layer(x).equal(before)
    layer.weight.mul_(2)
    assert not layer(x).equal(before)
    layer.weight.div_(2)
    assert layer(x).equal(before)
    layer.weight.data.mul_(2)  # which PyTorch does not count, and nobody can look at without waiting
    assert layer(x).equal(before) == REAL
    assert not tconv.nn.refresh(layer)(x).equal(before)
    layer.weight.data = layer.weight.data / 2
    assert layer(x).equal(before)


@torch.no_grad()
def test_autocast() -> None:
    layer, x = tconv.nn.ConvTranspose2d(4, 3, 4, 2, 1).to(DEVICE), tensors()[0]
    with torch.autocast(DEVICE.type, torch.float16):
        y, through = layer(x), OPERATOR(x, layer.weight, layer.bias, *SETTINGS)
        assert "in float16 as autocast asks" in explain(layer, x)
    # Through the dispatcher weights are rounded for one call, for which they are not packed.
    assert y.dtype is through.dtype is torch.float16 and error(through, y) < 2e-3 and error(y, layer(x)) < 2e-3


@torch.no_grad()
def test_vmap_and_profilers() -> None:
    x, weight, bias = tensors()
    y = torch.vmap(lambda x: OPERATOR(x, weight, bias, *SETTINGS))(torch.stack([x, 2 * x]))
    assert error(y[1], torch.conv_transpose2d(2 * x, weight, bias, 2, 1)) < 1e-5
    with torch.profiler.profile() as seen:
        tconv.nn.functional.conv_transpose2d(x, weight, bias, 2, 1)
    assert "tconv::conv_transpose" in {event.key for event in seen.key_averages()}


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"] if REAL else ["eager"])
def test_compiled(mode: str) -> None:
    torch._dynamo.reset()
    layer, x = tconv.nn.ConvTranspose2d(4, 3, 4, 2, 1).to(DEVICE), tensors()[0]
    settings: Any = {"mode": mode} if REAL else {"backend": "aot_eager"}
    compiled: Any = torch.compile(nn.Sequential(layer, nn.ReLU()), fullgraph=True, **settings)
    with torch.no_grad():
        for _ in range(3):
            assert error(compiled(x).clone(), layer(x).relu()) < 1e-5
            layer.weight.mul_(1.5)


class Decoder(nn.Module):
    """A part of a U-Net, with everything that folds."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(4)
        norm.register_buffer("running_mean", torch.randn(4))
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2), norm, nn.ReLU())
        self.conv = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.nearest = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1), nn.ReLU())
        self.shuffle = nn.Sequential(nn.Conv2d(4, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.shuffle(self.nearest(self.conv(torch.cat([skip, self.up(x)], 1))))
        return y


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32] if REAL else [torch.float32], ids=str)
def test_a_model_is_folded(dtype: torch.dtype) -> None:
    torch._dynamo.reset()
    model = Decoder().eval().to(DEVICE, dtype)
    x, skip = torch.randn(1, 8, 3, 3).to(DEVICE, dtype), torch.randn(1, 4, 6, 6).to(DEVICE, dtype)
    twin = copy.deepcopy(model)
    tconv.nn.fold(model)
    for _ in range(2):
        assert error(model(x, skip), twin(x, skip)) < (1e-2 if dtype is torch.float16 else 1e-5)
    found = {"up.0 + 1 + 2", "cat + up.0 + 1 + 2", "nearest.0 + 1 + 2", "shuffle.0 + 1", "conv.0 + 1"}
    assert set(folds(model)) == found
    for p in (*model.parameters(), *twin.parameters()):
        p.mul_(1.25)
    for _ in range(3):
        assert error(model(x, skip), twin(x, skip)) < (1e-2 if dtype is torch.float16 else 1e-5)


@torch.no_grad()
def test_a_model_is_accelerated(capsys: pytest.CaptureFixture[str]) -> None:
    torch._dynamo.reset()
    model = nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 4, 1)).eval().to(DEVICE)
    x = torch.randn(1, 8, *((64, 64) if REAL else (2, 2)), device=DEVICE)
    expected = model(x)
    tconv.nn.accelerate(model, x, seconds=5 if REAL else 0.5, forwards=4)
    assert error(model(x), expected) < 1e-4
    assert capsys.readouterr().out.startswith("tconv: Sequential")
    assert any("0 + 1" in row.name for row in tconv.nn.report(model).rows)
