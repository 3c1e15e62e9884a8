"""What is measured after every epoch: held-out images, or parts of them where all would take as long as the training.

The parts are the same in all epochs, so that numbers can be compared; the finished model is measured on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.arrays import Array
from tconv.segmentation.data.dataset import Samples
from tconv.segmentation.metrics import Confusion

PART = 0.3  # of the pixels that an epoch learns from: going forward takes a third of a step
LEAST = 2**18  # pixels that are measured even where an epoch is shorter
SIDE = 2  # a window of a large image, in crops

Move = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class View:
    """A held-out image or a window of it: the number of the image, its pixels and its classes."""

    number: int
    image: Array
    classes: Array


class Views(Samples):
    """Views as samples."""

    def __init__(self, views: list[View], samples: Samples) -> None:
        super().__init__([samples.items[view.number] for view in views], samples.legend, samples.normal)
        self.views = views

    def __getitem__(self, n: int) -> tuple[Array, Array]:
        return self.views[n].image, self.views[n].classes


class Probe:
    """Held-out images in memory, in batches of equal sizes."""

    def __init__(self, held_out: Samples, size: int, batch: int, learned: int, seed: int) -> None:
        """What is looked at.

        Args:
            held_out: where it is taken from.
            size: pixels per side of the training's crops; windows have twice that.
            batch: crops per step; no batch here has more pixels.
            learned: pixels that an epoch learns from.
            seed: of the choice.
        """
        self.samples = held_out
        self.room = max(batch * size * size, 1)
        budget, looked = max(PART * learned, LEAST), 0
        self.views = list[View]()
        rng = np.random.default_rng([seed, 1])
        for n in rng.permutation(len(held_out)).tolist():
            image, classes = held_out[n]
            where = window(classes, SIDE * size, rng) if classes.size > (SIDE * size) ** 2 else ...
            self.views.append(View(n, image[where], classes[where]))
            looked += self.views[-1].classes.size
            if looked >= budget:
                break
        self.views.sort(key=lambda view: (view.classes.shape, view.number))

    @property
    def part(self) -> float:
        """Of all held-out pixels."""
        looked = sum(view.classes.size for view in self.views)
        return looked / sum(item.shape[0] * item.shape[1] for item in self.samples.items)

    def every(self, step: int) -> Probe:
        """With every so many of the views, beginning with the first."""
        found = copy(self)
        found.views = self.views[::step]
        return found

    def shown(self, count: int) -> Samples:
        """Some of the views as samples, to be drawn."""
        places = np.unique(np.linspace(0, len(self.views) - 1, count).astype(int))
        return Views([self.views[n] for n in places], self.samples)

    def batches(self) -> Iterator[list[View]]:
        """Views of one shape, as many as there is room for."""
        for shape, views in groupby(self.views, key=lambda view: view.classes.shape):
            group, most = list(views), max(1, self.room // (shape[0] * shape[1]))
            for first in range(0, len(group), most):
                yield group[first : first + most]

    @torch.no_grad()
    def predicted(self, model: Any, accelerator: Any = None, move: Move | None = None) -> Iterator[tuple[View, Array]]:
        """Every view with the classes that a model finds, (height, width) uint8; each process sees its share.

        With `move`, the images are moved, and so are the classes that are found.
        """
        rank, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
        device = accelerator.device if accelerator else torch.device("cpu")
        model.eval()
        for n, views in enumerate(self.batches()):
            if n % processes == rank:
                images = torch.stack([self.samples.normal(view.image) for view in views])
                images = move(images) if move else images
                found = whole_scores(model, images.to(device, memory_format=torch.channels_last))
                yield from zip(views, found.argmax(dim=1).to(torch.uint8).cpu().numpy(), strict=True)

    def measure(self, model: Any, classes: int, accelerator: Any = None, move: Move | None = None) -> Confusion:
        """The confusion matrix over all views, the same in every process.

        Args:
            model: scores (batch, classes, height, width); put into evaluation mode.
            classes: how many there are.
            accelerator: of Accelerate, where several processes share the work.
            move: what is done to images and truth first, such as to mirror them, on their last two axes.
        """
        plain = accelerator.unwrap_model(model) if accelerator else model
        found = Confusion.empty(classes)
        for view, predicted in self.predicted(plain, accelerator, move):
            truth = move(torch.from_numpy(view.classes)).numpy() if move else view.classes
            found += Confusion.of(truth, predicted, classes)
        if accelerator and accelerator.num_processes > 1:
            counts = accelerator.reduce(torch.from_numpy(found.counts.copy()).to(accelerator.device), "sum")
            found = Confusion(np.asarray(counts.cpu()))
        return found


def whole_scores(model: Any, images: Tensor) -> Tensor:
    """(batch, channels, height, width) -> (batch, classes, height, width), also where a network needs larger images."""
    height, width = images.shape[2:]
    short = max(0, model.stride - height), max(0, model.stride - width)
    if any(short):
        images = F.pad(images, (0, short[1], 0, short[0]), mode="replicate")
    scores: Tensor = model(images)
    return scores[:, :, :height, :width]


def window(classes: Array, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A window with at most `side` pixels per side, around a pixel of a class that is chosen first, so that rare ones
    are seen."""
    values = np.unique(classes)
    rows, columns = np.nonzero(classes == rng.choice(values))
    at = rng.integers(len(rows))
    places = []
    for centre, length in ((rows[at], classes.shape[0]), (columns[at], classes.shape[1])):
        first = int(np.clip(centre - side // 2, 0, max(0, length - side)))
        places.append(slice(first, min(first + side, length)))
    return places[0], places[1]
