"""Group and instance norms with their activations, in one pass of the engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv.nn
from tconv.nn.capture import captured
from tconv.nn.engine import RefusedError
from tconv.nn.engines.cpu import ENGINE

pytestmark = pytest.mark.usefixtures("captures")

NORMS: dict[str, Callable[[], nn.Module]] = {
    "group": lambda: nn.GroupNorm(4, 8),
    "group without parameters": lambda: nn.GroupNorm(2, 8, affine=False),
    "instance": lambda: nn.InstanceNorm2d(8),
    "instance with parameters": lambda: nn.InstanceNorm2d(8, affine=True),
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "silu": nn.SiLU,
    "leaky": lambda: nn.LeakyReLU(0.2, inplace=True),
    "one slope": nn.PReLU,
    "a slope per channel": lambda: nn.PReLU(8),
    "behind dropout": lambda: nn.Sequential(nn.Dropout(0.3), nn.ReLU()),
}


class Block(nn.Module):
    def __init__(self, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.norm, self.activation = norm, activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(x * 2))


@torch.no_grad()
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_model(norm: str, activation: str) -> None:
    model, x = Block(NORMS[norm](), ACTIVATIONS[activation]()).eval(), torch.randn(2, 8, 6, 5)
    for p in model.parameters():
        nn.init.uniform_(p, 0.1, 1)
    tconv.nn.fold(model)
    for given in (x, x.to(memory_format=torch.channels_last)):
        expected = Block.forward(model, given)
        torch.testing.assert_close(model(given), expected, rtol=1e-4, atol=1e-5)
        assert model(given).stride() == expected.stride()
    for p in model.parameters():
        p.mul_(2)
    torch.testing.assert_close(model(x), Block.forward(model, x), rtol=1e-4, atol=1e-5)  # at once: nothing is derived
    found = captured(model)
    assert found is not None and len(found.backend.folds) == 1


class Residual(nn.Module):
    """As in the decoder of a diffusion model: a sum, divided by one."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, 8), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.conv(F.silu(self.norm(x)))) / 1.0


@torch.no_grad()
def test_a_division_by_one_is_left_out() -> None:
    model, x = nn.Sequential(Residual(), Residual()).eval(), torch.randn(1, 8, 6, 5)
    expected = model(x)
    tconv.nn.fold(model)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


def test_the_engine_refuses_what_is_no_norm() -> None:
    with pytest.raises(RefusedError, match=r"^no group norm of 3 groups for shape \(1, 8, 4\), torch.float32$"):
        ENGINE.normalise(torch.ones(1, 8, 4), None, None, 3, 1e-5)
    with pytest.raises(RefusedError, match=r"torch.int64$"):
        ENGINE.normalise(torch.ones(1, 8, 4, dtype=torch.int64), None, None, 2, 1e-5)
