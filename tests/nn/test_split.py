"""A convolution of a `cat` that holds an upsampled map, as two layers and their sum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv.nn
from tconv.nn.capture import captured

pytestmark = pytest.mark.usefixtures("captures")

AFTER: dict[str, Callable[[], list[nn.Module]]] = {
    "nothing": list,
    "norm": lambda: [nn.BatchNorm2d(6)],
    "norm, relu": lambda: [nn.BatchNorm2d(6), nn.ReLU(True)],
    "silu": lambda: [nn.SiLU()],
    "gelu": lambda: [nn.GELU()],
    "norm, one slope": lambda: [nn.BatchNorm2d(6), nn.PReLU()],
    "leaky": lambda: [nn.LeakyReLU(0.2)],
}


class Step(nn.Module):
    """A step of a U-Net that upsamples by its neighbours; `place` is that of the upsampled map in the `cat`."""

    def __init__(self, after: list[nn.Module], place: int = 1, scale: int = 2, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 6, 3, padding=1, groups=groups)
        self.after = nn.Sequential(*after)
        self.place, self.scale = place, scale

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        parts = list(skips)
        parts.insert(self.place, F.interpolate(x, size=[self.scale * n for n in x.shape[2:]]))
        return self.after(self.conv(torch.cat(parts, dim=1)))


def ready(model: Step) -> Step:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias)
    return model.eval()


def inputs(scale: int = 2) -> tuple[Tensor, ...]:
    big = [scale * n for n in (5, 7)]
    return torch.randn(2, 6, 5, 7), torch.randn(2, 4, *big), torch.randn(2, 2, *big)


def titles(model: nn.Module) -> list[str]:
    found = captured(model)
    assert found is not None
    return list(found.backend.folds)


@torch.no_grad()
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("last", [False, True])
def test_it_is_the_model(after: str, last: bool) -> None:
    model, given = ready(Step(AFTER[after]())), inputs()
    if last:
        model = model.to(memory_format=torch.channels_last)
    tconv.nn.fold(model)
    for _ in range(3):  # the first as the weights were met, then with others: as written, and derived anew
        torch.testing.assert_close(model(*given), Step.forward(model, *given), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model(*given), Step.forward(model, *given), rtol=1e-4, atol=1e-5)
        model.conv.weight.mul_(1.5)
    assert len(titles(model)) == 1 and titles(model)[0].startswith("interpolate + conv")


@torch.no_grad()
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_upsampled_map_lies_anywhere(place: int) -> None:
    model, given = ready(Step([nn.BatchNorm2d(6)], place, 3)), inputs(3)
    tconv.nn.fold(model)
    torch.testing.assert_close(model(*given), Step.forward(model, *given), rtol=1e-4, atol=1e-5)
    assert titles(model) == ["interpolate + conv + after.0"]


@torch.no_grad()
def test_other_sizes_fold_too_and_groups_do_not() -> None:
    model = ready(Step([]))
    tconv.nn.fold(model)
    for size in (5, 6, 8, 9, 12):
        given = torch.randn(1, 6, size, 4), torch.randn(1, 6, 2 * size, 8)
        torch.testing.assert_close(model(*given), Step.forward(model, *given), rtol=1e-4, atol=1e-5)
    found = captured(model)
    assert found is not None and found.backend.graphs < 5  # sizes
    grouped, given = ready(Step([], groups=2)), inputs()
    tconv.nn.fold(grouped)
    torch.testing.assert_close(grouped(*given), Step.forward(grouped, *given), rtol=1e-4, atol=1e-5)
    assert not any(title.startswith("interpolate") for title in titles(grouped))


class Written(Step):
    """Writes to the small map once it is upsampled."""

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        up = F.interpolate(x, scale_factor=2)
        x.mul_(0.5)
        return self.conv(torch.cat([up, *skips], dim=1)) + x.sum()


@torch.no_grad()
def test_what_is_written_in_between_is_not_folded() -> None:
    model, given = ready(Written([])), inputs()
    expected = Written.forward(model, given[0].clone(), *given[1:])
    tconv.nn.fold(model)
    torch.testing.assert_close(model(given[0].clone(), *given[1:]), expected, rtol=1e-4, atol=1e-5)
    found = captured(model)
    assert found is not None and "what it reads is written to in between" in found.backend.skipped.values()
