"""What bench/folds.py races: the patterns that `tconv.nn.fold` folds, and layers of PyTorch and tconv in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from zoo import Entry


class Up(nn.Module):
    """A level of a U-Net's way up: the skip beside the upsampled map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.cat((skip, self.up(x)), dim=1)


def alternating(width: int) -> nn.Sequential:
    """PyTorch's layers and tconv's in turns, to see whether their threads are in one another's way."""
    turns = [
        (nn.Conv2d(width, width, 3, 1, 1), nn.ConvTranspose2d(width, width, 2, 2), nn.MaxPool2d(2)) for _ in range(4)
    ]
    return nn.Sequential(*(layer for turn in turns for layer in turn)).to(memory_format=torch.channels_last)


def _entry(model: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Entry:
    return Entry("", "", lambda: (model(), tuple(torch.randn(shape) for shape in shapes)))


def _pattern(*layers: Callable[[], nn.Module], shape: tuple[int, ...]) -> Entry:
    return _entry(lambda: nn.Sequential(*(layer() for layer in layers)), shape)


def _up() -> nn.Module:
    return nn.ConvTranspose2d(128, 64, 4, 2, 1)


FOLDS = {
    "nearest + conv": _pattern(
        lambda: nn.Upsample(scale_factor=2), lambda: nn.Conv2d(128, 128, 3, 1, 1), shape=(1, 128, 64, 64)
    ),
    "conv + pixel shuffle": _pattern(
        lambda: nn.Conv2d(64, 256, 3, 1, 1), lambda: nn.PixelShuffle(2), shape=(1, 64, 96, 96)
    ),
    "transposed + batch norm": _pattern(_up, lambda: nn.BatchNorm2d(64), shape=(4, 128, 32, 32)),
    "conv + batch norm": _pattern(
        lambda: nn.Conv2d(64, 64, 3, 1, 1), lambda: nn.BatchNorm2d(64), shape=(4, 64, 64, 64)
    ),
    **{
        f"transposed + {act.__name__}": _pattern(_up, act, shape=(4, 128, 32, 32))
        for act in (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.SiLU, nn.GELU)
    },
    "transposed + conv": _pattern(
        lambda: nn.ConvTranspose2d(64, 64, 2, 2, bias=False), lambda: nn.Conv2d(64, 3, 3, 1, 1), shape=(1, 64, 96, 96)
    ),
    "cat(skip, transposed)": _entry(lambda: Up(64), (1, 128, 64, 64), (1, 64, 128, 128)),
}

IN_TURNS = {
    f"{width} channels, {size} x {size}": _entry(partial(alternating, width), (1, width, size, size))
    for width, size in ((64, 48), (256, 32))
}
