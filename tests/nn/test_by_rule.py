"""What is folded without measuring on an engine that leaves convolutions of stride 1 to PyTorch."""

from __future__ import annotations

import pytest
import torch
from nn.judge import agree, folded, folds
from torch import Tensor, nn

import tconv.nn
from tconv.nn.engines.cpu import Cpu

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def leaves_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cpu, "convolves", False)


def layers() -> list[nn.Module]:
    return [
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(4, 8, 2, 2), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2)),
    ]


@torch.no_grad()
def test_norms_join_convolutions_and_what_upsamples_is_folded() -> None:
    model, twin = folded(nn.Sequential(*layers()))
    agree(model, twin, torch.randn(1, 3, 6, 5))
    assert folds(model) == ["0 + 1", "3 + 4 + 5", "6 + 7 + 8", "11 + 12"]


class Skip(nn.Module):
    """A convolution of a `cat` that holds an upsampled map."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.conv = nn.Upsample(scale_factor=2), nn.Conv2d(7, 4, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.conv(torch.cat([self.up(x), skip], 1)).relu()
        return y


@torch.no_grad()
def test_a_split_convolution_is_for_accelerate_to_measure(fast: None, capsys: pytest.CaptureFixture[str]) -> None:
    x, skip = torch.randn(1, 4, 5, 6), torch.randn(1, 3, 10, 12)
    model, twin = folded(Skip())
    agree(model, twin, x, skip)
    assert folds(model) == []
    tconv.nn.accelerate(model, (x, skip), seconds=2, forwards=20)
    rows = {row.name: row.action for row in tconv.nn.report(model).rows}
    assert rows.get("up + conv + relu") == "folded", rows
    torch.testing.assert_close(model(x, skip), twin(x, skip), rtol=1e-4, atol=1e-4)
    assert capsys.readouterr().out
