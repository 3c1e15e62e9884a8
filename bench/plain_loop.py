"""What one writes in half an hour: a U-Net in plain PyTorch, AdamW, random crops and flips, cross-entropy, for a time.

    python bench/plain_loop.py DATA TEST --minutes 1 --size 96 --batch 7 --features 16,32,64
    python bench/plain_loop.py DATA TEST --minutes 1 3 10 --size 96 --batch 7 --smp resnet18

It uses nothing of tconv but for reading files and for the measure. After each of the times, a line of JSON has the mean
IoU on TEST; measuring it counts for none of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv.segmentation.data.check import check
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.data.pixels import read_image
from tconv.segmentation.encoders import know_torchvision
from tconv.segmentation.metrics import Confusion

COARSEST = 32  # images are extended to multiples of it


class PlainUNet(nn.Module):
    """The tutorial's U-Net, of torch.nn alone."""

    def __init__(self, channels: int, classes: int, features: tuple[int, ...]) -> None:
        super().__init__()
        before = (channels, *features)
        self.downs = nn.ModuleList(_block(a, b) for a, b in zip(before, features, strict=False))
        self.bottom = _block(features[-1], 2 * features[-1])
        wide = (2 * features[-1], *reversed(features))
        pairs = list(zip(wide, reversed(features), strict=False))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.joins = nn.ModuleList(_block(2 * b, b) for _, b in pairs)
        self.last = nn.Conv2d(features[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.downs:
            skips.append(down(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for up, join in zip(self.ups, self.joins, strict=True):
            x = join(torch.cat((skips.pop(), up(x)), 1))
        scores: Tensor = self.last(x)
        return scores


def _block(a: int, b: int) -> nn.Module:
    layers = [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))


def load(folder: Path) -> tuple[list[Tensor], list[Tensor], int]:
    """Images (channels, height, width) of 0 to 1, masks (height, width), and how many classes there are."""
    found = check(folder)
    assert found.legend is not None
    images, masks = [], []
    for item in found.items:
        pixels = read_image(item.pair.image).astype(np.float32) / 255
        images.append(torch.from_numpy(pixels.transpose(2, 0, 1).copy()))
        masks.append(torch.from_numpy(found.legend.classes(read_mask(item.pair.mask)).astype(np.int64)))
    return images, masks, len(found.legend.values)


def batch(images: list[Tensor], masks: list[Tensor], size: int, count: int, rng: Any) -> tuple[Tensor, Tensor]:
    """Random crops, each mirrored at random on both axes."""
    crops, truths = [], []
    for n in rng.integers(len(images), size=count):
        top, left = (rng.integers(max(1, length - size + 1)) for length in masks[n].shape)
        axes = [axis for axis in (1, 2) if rng.integers(2)]
        crops.append(images[n][:, top : top + size, left : left + size].flip(axes))
        truths.append(masks[n][top : top + size, left : left + size].flip([axis - 1 for axis in axes]))
    return torch.stack(crops), torch.stack(truths)


def train(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    begun = perf_counter()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images, masks, classes = load(options.data)
    model: Any = _network(options, len(images[0]), classes).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), options.rate)
    steps = 0
    for minutes in sorted(options.minutes):
        model.train()
        while perf_counter() - begun < 60 * minutes:
            crops, truth = batch(images, masks, options.size, options.batch, rng)
            loss = F.cross_entropy(model(crops.contiguous(memory_format=torch.channels_last)), truth, ignore_index=255)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
        spent = perf_counter() - begun
        reached = measured(model.eval(), options.test, classes)
        yield {"minutes": minutes, "mean_iou": reached, "seconds": spent, "steps": steps}
        begun = perf_counter() - spent


def _network(options: argparse.Namespace, channels: int, classes: int) -> nn.Module:
    if options.smp is None:
        return PlainUNet(channels, classes, tuple(int(count) for count in options.features.split(",")))
    know_torchvision()
    import segmentation_models_pytorch as smp

    model: nn.Module = smp.Unet(options.smp, encoder_weights=None, in_channels=channels, classes=classes)
    return model


@torch.no_grad()
def measured(model: nn.Module, folder: Path, classes: int) -> float:
    """The mean IoU on a folder of images."""
    total = Confusion.empty(classes)
    for image, truth in zip(*load(folder)[:2], strict=True):
        height, width = truth.shape
        padded = F.pad(image[None], (0, -width % COARSEST, 0, -height % COARSEST), mode="replicate")
        found = model(padded)[0, :, :height, :width].argmax(0)
        total += Confusion.of(truth.numpy(), found.numpy(), classes)
    return total.mean_iou


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--features", default="16,32,64")
    parser.add_argument("--smp", help="an encoder of segmentation-models-pytorch, without weights")
    for row in train(parser.parse_args()):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
