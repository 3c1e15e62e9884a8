"""Segmentation from Python and in notebooks: a training gives a run, and runs predict a mask for an image.

run = tconv.segmentation.train("data", "run", minutes=2)
mask = tconv.segmentation.predict("photo.jpg", run)
"""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tconv import errors
from tconv.segmentation.card import Card
from tconv.segmentation.data.masks import mask_picture
from tconv.segmentation.ensemble import Part, assemble, is_model, load_parts

if TYPE_CHECKING:
    from PIL.Image import Image

    from tconv.segmentation.train.settings import Settings

CURVES, METRICS, SAMPLES = "curves.png", "metrics.csv", "samples"


class Mask(np.ndarray[Any, np.dtype[np.uint8]]):
    """Class indices, (height, width) uint8: an array that notebooks show in the classes' colours.

    Attributes:
        classes: a name per class.
        palette: red, green and blue per class.
    """

    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()

    def __array_finalize__(self, source: Any) -> None:
        self.classes, self.palette = getattr(source, "classes", ()), getattr(source, "palette", ())

    def _repr_png_(self) -> bytes | None:
        """The picture; none of what was computed from a mask and is no mask itself."""
        if self.ndim != 2 or self.dtype != np.uint8 or not self.palette:
            return None
        written = io.BytesIO()
        mask_picture(np.asarray(self), self.palette).save(written, format="PNG")
        return written.getvalue()


class Run:
    """A run folder of `train`.

    Attributes:
        path: of the folder.
    """

    def __init__(self, path: str | Path) -> None:
        """The run in a folder.

        Raises:
            FileNotFoundError: there is no finished epoch in it.
        """
        self.path = Path(path)
        if not (self.path.is_dir() and is_model(self.path)):
            raise FileNotFoundError(f"{path}: there is no run; give a folder that `train` wrote to")

    @cached_property
    def parts(self) -> list[Part]:
        """The networks, in evaluation mode, each with its card: one, or one per fold."""
        return load_parts([self.path])

    @property
    def card(self) -> Card:
        """What the network is; of folds, that of the first."""
        return self.parts[0][1]

    @property
    def classes(self) -> tuple[str, ...]:
        """A name per class."""
        return self.card.classes

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What the best epoch reached on held-out images: mean_iou, epoch, and iou per class."""
        return self.card.metrics

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """A row per epoch, as in metrics.csv; what is not known is left out."""
        if not (self.path / METRICS).exists():
            return []
        with (self.path / METRICS).open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]

    @property
    def figures(self) -> dict[str, Image]:
        """Pillow images: "curves", and "samples" with the held-out images after the last epoch that was drawn."""
        from PIL import Image

        found = {"curves": [self.path / CURVES], "samples": sorted((self.path / SAMPLES).glob("epoch_*.png"))}
        figures = {}
        for name, paths in found.items():
            if paths and paths[-1].exists():
                with Image.open(paths[-1]) as image:
                    figures[name] = image.copy()
        return figures

    def predict(self, image: Any) -> Mask:
        """The mask of an image: see `predict`."""
        return predict(image, self)

    def __repr__(self) -> str:
        reached = self.metrics.get("mean_iou")
        quality = f", mean IoU {reached:.3f}" if reached is not None else ""
        return f"Run({str(self.path)!r}: {self.card.model}, {len(self.classes)} classes{quality})"

    def _repr_html_(self) -> str:
        """A table of the classes and the curves."""
        ious = self.metrics.get("iou", [None] * len(self.classes))
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(name)}</td><td>{'-' if iou is None else f'{iou:.3f}'}</td></tr>"
            for name, iou in zip(self.classes, ious, strict=True)
        )
        table = f"<table><tr><th style='text-align:left'>class</th><th>IoU, held-out images</th></tr>{rows}</table>"
        curves = self.path / CURVES
        picture = (
            f"<img src='data:image/png;base64,{b64encode(curves.read_bytes()).decode()}'>" if curves.exists() else ""
        )
        return f"<div><code>{escape(repr(self))}</code>{table}{picture}</div>"


def train(
    folder: str | Path,
    run: str | Path,
    settings: Settings | None = None,
    *,
    minutes: float | None = None,
    start: str | Path | Run | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Run:
    """Train on a folder of images and masks.

    Args:
        folder: in a layout that `tconv segment check-data` knows.
        run: folder to write to; made if missing.
        settings: `tconv.segmentation.Settings`; what is None in them is chosen from the data and the machine; default
            all of it, or with `resume` as they were.
        minutes: that the whole may take; default those of the settings.
        start: a run or a checkpoint to start from, also of other classes, channels or sizes.
        resume: go on with the training in `run`.
        quiet: print nothing.

    Returns:
        The run, with its metrics and figures; `settings.folds` networks in one, if there are folds.

    Raises:
        TconvError: too little data, a run folder in use, a loss that is not a number; the message says what to do.
    """
    from tconv.segmentation import report
    from tconv.segmentation.train.folds import cross_validate
    from tconv.segmentation.train.loop import Task, stored
    from tconv.segmentation.train.loop import train as begin_training
    from tconv.segmentation.train.record import epoch_line
    from tconv.segmentation.train.settings import Settings
    from tconv.segmentation.train.state import Progress

    def begin(task: Task) -> None:
        lines = report.data(task.found, len(task.training), len(task.held_out))
        print("\n".join((*lines, *task.said)), flush=True)

    def tell(progress: Progress, step: int, steps: int) -> None:
        if step == 0:
            print(epoch_line(progress.history[-1]), flush=True)

    wanted = settings or Settings.of(stored(Path(run)) if resume else {})
    if minutes is not None:  # which takes the place of the epochs of a training that goes on
        wanted = replace(wanted, minutes=minutes, epochs=wanted.epochs if settings else None)
    source = start.path if isinstance(start, Run) else None if start is None else Path(start)
    say: tuple[Any, Any] = (None, None) if quiet else (begin, tell)
    several = wanted.folds > 1 and not wanted.fold
    run_training: Any = cross_validate if several else begin_training
    run_training(Path(folder), Path(run), wanted, resume, *say, start=source)
    return Run(run)


def predict(image: Any, run: Any, *, flips: str | None = None) -> Mask:
    """The mask of an image.

    Args:
        image: a path, a Pillow image, or an array (height, width) or (height, width, channels) as `read_image` gives
            it: uint8, uint16, or float32 in the range that was trained on; of any size.
        run: a run, its folder, a checkpoint, or several of these, whose probabilities are averaged.
        flips: "none", "horizontal" or "both": mirror images whose probabilities are averaged too; default what was
            found to be best on held-out images.

    Returns:
        Class indices, (height, width) uint8. `run.classes` has their names.

    Raises:
        FileNotFoundError: no such image or run.
        ImageFileError: an image that cannot be read, or with other channels than the run was trained on.
        TconvError: runs that do not fit together.
    """
    from tconv.segmentation.predict.whole import classes_of

    model, card = assemble(_parts(run), flips)
    found = classes_of(model, card, image).view(Mask)
    found.classes, found.palette = card.classes, card.palette
    return found


def _parts(run: Any) -> list[Part]:
    """The networks of what `predict` takes as a run."""
    if isinstance(run, Run):
        return run.parts
    if isinstance(run, str | Path):
        return load_parts([run])
    if isinstance(run, Sequence) and run:
        return [part for each in run for part in _parts(each)]
    raise errors.ArgumentTypeError(f"run is a {type(run).__name__}; give a Run, a path, or a list of them")
