"""The same U-Net with each way to upsample: quality, checkerboards, size, speed, memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from tconv.arrays import Array
from tconv.segmentation.blocks import UPS
from tconv.segmentation.card import Card
from tconv.segmentation.checkpoint import load
from tconv.segmentation.train import Settings, train
from tconv.segmentation.unet import UNet
from tconv.segmentation.wholly import wholly

SHAPE = (256, 256)  # of the images that are timed and looked at for checkerboards
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """What one way to upsample gives.

    Attributes:
        up: its name.
        mean_iou: on the held-out images.
        checkerboard: the part of the spread of the scores that repeats with the period of the upsampling; see
            `checkerboard`.
        parameters: numbers that were learned.
        seconds: median of one inference on 256 x 256 pixels.
        megabytes: of all maps that the layers give in that inference, float32.
        training: seconds per epoch.
    """

    up: str
    mean_iou: float
    checkerboard: float
    parameters: int
    seconds: float
    megabytes: float
    training: float


def compare(
    folder: Path, out: Path, settings: Settings, ups: Sequence[str] = UPS, tell: Callable[[str], object] | None = None
) -> list[Row]:
    """Train with each `up`, from the same seed on the same crops; runs are folders in `out` with their names.

    A run that is there already is taken as it is, so that an interrupted comparison goes on.
    """
    rows = []
    for up in ups:
        if tell:
            tell(up)
        run = out / up
        result = train(folder, run, replace(settings, model="unet", up=up), resume=(run / "last.pt").exists())
        model, card = load(run)
        seconds, megabytes = cost(model, card)
        rows.append(Row(
            up, result.confusion.mean_iou, checkerboard(model, card), sum(p.numel() for p in model.parameters()),
            seconds, megabytes, median(row["seconds"] for row in result.progress.history),
        ))  # fmt: skip
    return rows


@torch.no_grad()
def checkerboard(model: nn.Module, card: Card) -> float:
    """Which part of the scores' variance has the period of the coarsest upsampling, where the image has no structure.

    On an even image, scores away from the border differ between pixels only by what upsampling puts there. Their mean
    over each of the stride**2 phases is taken; the variance of these means, relative to the mean square of the scores.
    """
    assert isinstance(model, UNet)
    stride = 1 << len(model.features)
    side = 16 * stride
    scores: Array = model(torch.zeros(1, card.channels, side, side))[0].numpy()
    inner = scores[:, side // 2 - 2 * stride : side // 2 + 2 * stride, side // 2 - 2 * stride : side // 2 + 2 * stride]
    phases = inner.reshape(len(inner), 4, stride, 4, stride).mean(axis=(1, 3))
    return float(phases.var(axis=(1, 2)).mean() / np.square(inner).mean())


@torch.no_grad()
def cost(model: nn.Module, card: Card) -> tuple[float, float]:
    """Median seconds of an inference on 256 x 256 pixels, and megabytes of all maps that its layers give."""
    image, sizes = torch.zeros(1, card.channels, *SHAPE), list[int]()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.append(4 * prod(output.shape))

    hooks = [layer.register_forward_hook(note) for layer in model.modules() if not list(layer.children())]
    model(image)
    for hook in hooks:
        hook.remove()
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        model(image)
        times.append(perf_counter() - start)
    return median(times), sum(sizes) / 2**20


def figure(rows: Sequence[Row], path: Path) -> None:
    """Bars per way to upsample: quality, checkerboards, speed."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(11, 3.2), layout="constrained", facecolor="#fcfbf8")
    panels = (
        ("Mean IoU", [row.mean_iou for row in rows]),
        ("Checkerboard, part of the scores", [row.checkerboard for row in rows]),
        ("Inference, ms", [1e3 * row.seconds for row in rows]),
    )
    names = [row.up for row in rows]
    for axes, (title, values) in zip(drawn.subplots(1, len(panels), sharey=True), panels, strict=True):
        axes.barh(names, values, color=["#b8430f" if name == "transposed" else "#9b9a95" for name in names])
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_facecolor("none")
        axes.spines[["top", "right"]].set_visible(False)
        axes.invert_yaxis() if axes.get_subplotspec().is_first_col() else None
    with wholly(path) as part:
        drawn.savefig(part, dpi=110)
