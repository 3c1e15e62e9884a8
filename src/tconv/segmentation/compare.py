"""The same U-Net with each way to upsample: quality, checkerboards, size, speed, memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tconv import outputs
from tconv.arrays import Array
from tconv.outputs import wholly
from tconv.segmentation.blocks import UPS
from tconv.segmentation.card import Card
from tconv.segmentation.checkpoint import load
from tconv.segmentation.train import Settings, train

SHAPE = (256, 256)  # of the images that are timed and looked at for checkerboards
ROUNDS = 9


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
    outputs.check_folder(out, [folder, folder / "images" / "any", folder / "masks" / "any"])
    results = []
    for up in ups:
        if tell:
            tell(up)
        run = out / up
        results.append(train(folder, run, replace(settings, model="unet", up=up), resume=(run / "last.pt").exists()))
    models = [load(out / up)[0] for up in ups]
    seconds = times(models, results[0].card)
    return [
        Row(
            up, result.confusion.mean_iou, checkerboard(model, result.card),
            sum(p.numel() for p in model.parameters()), spent, megabytes(model, result.card),
            median(row["seconds"] for row in result.progress.history),
        )
        for up, result, model, spent in zip(ups, results, models, seconds, strict=True)
    ]  # fmt: skip


@torch.no_grad()
def checkerboard(model: Any, card: Card) -> float:
    """Which part of the scores' variance has the period of the coarsest upsampling, where the image has no structure.

    On an even image, scores away from the border differ between pixels only by what upsampling puts there. Their mean
    over each of the stride**2 phases is taken; the variance of these means, relative to the mean square of the scores.
    """
    stride = model.stride
    side = 16 * stride
    scores: Array = model(torch.zeros(1, card.channels, side, side))[0].numpy()
    inner = scores[:, side // 2 - 2 * stride : side // 2 + 2 * stride, side // 2 - 2 * stride : side // 2 + 2 * stride]
    phases = inner.reshape(len(inner), 4, stride, 4, stride).mean(axis=(1, 3))
    return float(phases.var(axis=(1, 2)).mean() / np.square(inner).mean())


@torch.no_grad()
def megabytes(model: nn.Module, card: Card) -> float:
    """Of all maps that the layers give in an inference on 256 x 256 pixels."""
    sizes = list[int]()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.append(4 * prod(output.shape))

    hooks = [layer.register_forward_hook(note) for layer in model.modules() if not list(layer.children())]
    model(torch.zeros(1, card.channels, *SHAPE))
    for hook in hooks:
        hook.remove()
    return sum(sizes) / 2**20


@torch.no_grad()
def times(models: Sequence[nn.Module], card: Card) -> list[float]:
    """Median seconds of an inference on 256 x 256 pixels, measured in turns, so that what disturbs one disturbs all."""
    image = torch.zeros(1, card.channels, *SHAPE)
    rounds = []
    for _ in range(1 + ROUNDS):  # the first one packs weights
        row = []
        for model in models:
            start = perf_counter()
            model(image)
            row.append(perf_counter() - start)
        rounds.append(row)
    return [median(column) for column in zip(*rounds[1:], strict=True)]


def figure(rows: Sequence[Row], path: Path) -> None:
    """Bars per way to upsample, one panel per measure."""
    from matplotlib.figure import Figure

    panels: tuple[tuple[str, list[float], str], ...] = (
        ("Mean IoU", [row.mean_iou for row in rows], "{:.3f}"),
        ("Checkerboard, part of the scores", [row.checkerboard for row in rows], "{:.1e}"),
        ("Parameters", [row.parameters for row in rows], "{:,.0f}"),
        ("Inference, ms", [1e3 * row.seconds for row in rows], "{:.1f}"),
        ("Maps in an inference, MB", [row.megabytes for row in rows], "{:.0f}"),
        ("Training, s per epoch", [row.training for row in rows], "{:.1f}"),
    )
    drawn = Figure(figsize=(11, 5.2), layout="constrained", facecolor="#fcfbf8")
    names = [row.up for row in rows]
    colours = ["#b8430f" if name == "transposed" else "#b9b6ae" for name in names]
    for axes, (title, values, form) in zip(drawn.subplots(2, 3, sharey=True).flat, panels, strict=True):
        bars = axes.barh(names, values, color=colours, height=0.7)
        axes.bar_label(bars, [form.format(value) for value in values], padding=4, fontsize=9)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_facecolor("none")
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
        axes.margins(x=0.25)
    drawn.axes[0].invert_yaxis()  # shared by all
    with wholly(path) as part:
        drawn.savefig(part, dpi=110)
