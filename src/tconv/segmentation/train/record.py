"""What a training leaves to look at: metrics.csv, curves.png, a picture of samples per epoch, TensorBoard's files."""

from __future__ import annotations

import csv
from math import isnan
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from tconv import errors, extras
from tconv.arrays import Array
from tconv.names import shown
from tconv.outputs import wholly
from tconv.segmentation.card import Card
from tconv.segmentation.data.dataset import Samples
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.masks import GREY
from tconv.segmentation.data.pixels import Raster
from tconv.segmentation.data.sheet import coloured, overlay, reduced, sheet, visible
from tconv.segmentation.evaluate import classes_of
from tconv.segmentation.memory import budget
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.predict.tiles import tiling_of
from tconv.segmentation.train.probe import Probe
from tconv.segmentation.train.state import Progress

SHOWN = 4  # held-out images per picture
DRAWING = 0.03  # of the time, at most
RIGHT, WRONG = (236, 233, 226), (184, 67, 15)


def finish_epoch(progress: Progress, confusion: Confusion) -> bool:
    """Enter an epoch into the history and go on to the next; whether it was the best so far."""
    row = {
        "epoch": progress.epoch + 1,
        "loss": progress.losses / max(progress.step, 1),
        "mean_iou": confusion.mean_iou,
        "mean_dice": confusion.mean_dice,
        "accuracy": confusion.accuracy,
        "seconds": progress.busy,
        "waiting": progress.waited / max(progress.busy, 1e-9),
        "iou": listed(confusion.iou),
    }
    progress.history.append(row)
    better = confusion.mean_iou > progress.best or not progress.best_epoch
    if better:
        progress.best, progress.best_epoch = confusion.mean_iou, progress.epoch + 1
    progress.epoch, progress.step = progress.epoch + 1, 0
    progress.losses = progress.waited = progress.busy = 0.0
    return better


def epoch_line(row: dict[str, Any]) -> str:
    """A row of the history in words."""
    return (
        f"epoch {row['epoch']}: loss {row['loss']:.4f}, mean IoU {row['mean_iou']:.4f}, {row['seconds']:.1f} s, "
        f"{row['waiting']:.1%} of them waiting for data" + (f"; {row['note']}" if "note" in row else "")
    )


def listed(values: Array) -> list[float | None]:
    """Numbers for JSON, which has no NaN."""
    return [None if isnan(value) else float(value) for value in values]


class Recorder:
    """Writes into a run folder: the table after every epoch; pictures after the first epoch and the last, and between
    them as often as drawing takes no more than a thirtieth of the time."""

    def __init__(self, run: Path, card: Card, probe: Probe, tensorboard: bool = False) -> None:
        self.run, self.card, self.probe = run, card, probe
        self._board: Any = _tensorboard(run) if tensorboard else None
        self._begun, self._drawing, self._drawn = perf_counter(), 0.0, 0

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._board:
            self._board.close()

    def epoch(self, progress: Progress, model: nn.Module) -> None:
        """After an epoch: the table, and, if there is time, the curves and the samples."""
        write_csv(self.run / "metrics.csv", progress.history, self.card.classes)
        if self._board:
            for name in ("loss", "mean_iou", "mean_dice", "accuracy"):
                self._board.add_scalar(name, progress.history[-1][name], progress.epoch)
            for name, value in zip(self.card.classes, progress.history[-1]["iou"], strict=True):
                if value is not None:
                    self._board.add_scalar(f"iou/{name}", value, progress.epoch)
        if self._drawing <= DRAWING * (perf_counter() - self._begun):
            self._draw(progress, model)

    def last(self, progress: Progress, model: nn.Module) -> None:
        """At the end of the training: the pictures, unless they show the last epoch already."""
        if progress.history and self._drawn != progress.epoch:
            self._draw(progress, model)

    def _draw(self, progress: Progress, model: nn.Module) -> None:
        started = perf_counter()
        write_curves(self.run / "curves.png", progress.history)
        title = f"Held-out images after epoch {progress.epoch}"
        picture = samples_picture(model, self.probe.shown(SHOWN), self.card, title)
        with wholly(self.run / "samples" / f"epoch_{progress.epoch:03}.png") as part:
            picture.save(part, compress_level=1)
        if self._board:
            self._board.add_image("samples", np.asarray(picture), progress.epoch, dataformats="HWC")
        self._drawing += perf_counter() - started
        self._drawn = progress.epoch


def write_csv(path: Path, history: list[dict[str, Any]], classes: tuple[str, ...]) -> None:
    """One row per epoch; the IoU of a class that was absent is an empty cell."""
    plain = [name for name in history[0] if name not in ("iou", "note")]
    with wholly(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*plain, *(f"iou {name}" for name in classes)])
        for row in history:
            ious = ["" if value is None else f"{value:.4f}" for value in row["iou"]]
            table.writerow([_cell(row[name]) for name in plain] + ious)


def write_curves(path: Path, history: list[dict[str, Any]]) -> None:
    """Loss, and mean IoU on the held-out images, over the epochs."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.4), layout="constrained", facecolor="#fcfbf8")
    lines = (("loss", "Training loss", "#1d1d1f"), ("mean_iou", "Mean IoU, held-out images", "#b8430f"))
    for axes, (name, title, colour) in zip(figure.subplots(1, 2), lines, strict=True):
        axes.plot(epochs, [row[name] for row in history], color=colour, marker="o" if len(epochs) < 30 else "", ms=3)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_facecolor("none")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(bottom=0, top=1 if name == "mean_iou" else None)
    with wholly(path) as part:
        figure.savefig(part, dpi=110)


def samples_picture(model: nn.Module, samples: Samples, card: Card, title: str) -> Any:
    """Image, truth, prediction and error of a few samples, as a Pillow image."""
    model.eval()
    tiling = tiling_of(model, memory=budget())
    rows, names = [], []
    for n in np.unique(np.linspace(0, len(samples) - 1, SHOWN).astype(int)):
        image, truth = samples[n]
        found = classes_of(model, image, samples.normal, tiling)
        right = (found == truth)[truth != IGNORED]
        # Reduced before it is drawn, as a photograph of many megapixels is shown in a few hundred pixels.
        picture = reduced(visible(Raster(image)))
        truth, found = reduced(truth, nearest=True), reduced(found, nearest=True)
        grey = picture.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)  # colours would mix with a veil
        wrong = np.where((found != truth)[..., None], WRONG, RIGHT).astype(np.uint8)
        wrong[truth == IGNORED] = GREY
        rows.append((picture, coloured(truth, card.palette), overlay(grey, found, card.palette), wrong))
        names.append([f"{shown(samples.items[n].pair.name)}: {right.mean():.1%} right" if right.size else ""])
    legend = list(zip(card.classes, card.palette, strict=True))
    return sheet(("image", "truth", "prediction", "error"), rows, legend, title, names)


def _cell(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise errors.TconvError(f"--tensorboard needs tensorboard: {extras.cure('tensorboard')}") from error
    return SummaryWriter(str(run / "tensorboard"))
