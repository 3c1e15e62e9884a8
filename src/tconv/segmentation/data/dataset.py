"""Images and masks of a split as tensors: normalised, in memory where they fit, read again where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tconv.arrays import Array
from tconv.segmentation.data.augment import Augmentation, generator
from tconv.segmentation.data.findings import Item
from tconv.segmentation.data.legend import IGNORED, Legend
from tconv.segmentation.data.pixels import Raster, unit

CACHE_BYTES = 2**30  # images that take more are read from their files in every epoch
SAMPLE = 200  # images that the normalisation is measured on
NEW = 5  # times that an image is seen before crops are changed
BAND = 2**20  # pixels that are measured at a time


@dataclass(frozen=True)
class Normal:
    """The normalisation of images: mean and standard deviation per channel, of pixels as `pixels.unit` gives them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: Array) -> Tensor:
        """(height, width, channels) of any dtype -> (channels, height, width), float32."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(((unit(image) - mean) / std).transpose(2, 0, 1)))

    def filled(self, raster: Raster) -> Array:
        """The pixels of an image, the mean where there are none: nothing that a network could see."""
        if raster.valid is None:
            return raster.pixels
        kind = raster.pixels.dtype
        mean = np.array(self.mean) * (1 if kind.kind == "f" else np.iinfo(kind).max)
        mean = mean if kind.kind == "f" else np.rint(mean).clip(0, np.iinfo(kind).max)
        filled: Array = np.where(raster.valid[..., None], raster.pixels, mean.astype(kind))
        return filled


def measure(items: Sequence[Item], channels: int) -> Normal:
    """Mean and deviation of the images' pixels, measured on 200 of them at most; pixels that are none do not count."""
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    for item in items[:: -(-len(items) // SAMPLE)]:
        raster = item.pair.raster().fitted(channels, item.pair.image)
        flat = (raster.pixels if raster.valid is None else raster.pixels[raster.valid]).reshape(-1, channels)
        count += len(flat)
        for start in range(0, len(flat), BAND):
            pixels = unit(flat[start : start + BAND])
            total += pixels.sum(axis=0, dtype=np.float64)
            squares += np.square(pixels, dtype=np.float64).sum(axis=0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-10))
    return Normal(tuple(float(m) for m in mean), tuple(float(s) for s in std))


class Samples:
    """The pairs of one side of the split; `samples[n]` is (image array, class indices as uint8).

    Pixels that are none (NaN, nodata) are the mean in the image, and left out in the classes.
    """

    def __init__(self, items: Sequence[Item], legend: Legend, normal: Normal) -> None:
        """Pairs as `check` found them, the meaning of mask values, and the normalisation of `measure`."""
        self.items, self.legend, self.normal = list(items), legend, normal
        size = sum(int(np.prod(item.shape)) for item in items)
        self._cache: dict[int, tuple[Array, Array]] | None = {} if size <= CACHE_BYTES else None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, n: int) -> tuple[Array, Array]:
        if self._cache is not None and n in self._cache:
            return self._cache[n]
        pair = self.items[n].pair
        raster = pair.raster().fitted(len(self.normal.mean), pair.image)
        classes = self.legend.classes(pair.values())
        if raster.valid is not None:
            classes[~raster.valid] = IGNORED
        sample = self.normal.filled(raster), classes
        if self._cache is not None:
            self._cache[n] = sample
        return sample

    def pixels(self) -> Array:
        """How many pixels of all samples are of which class, int64; known without reading them."""
        places = dict(zip(self.legend.values, range(len(self.legend.values)), strict=True))
        counts = np.zeros(len(places), np.int64)
        for item in self.items:
            for value, count in item.counts.items():
                if value in places:
                    counts[places[value]] += count
        return counts

    def whole(self, n: int) -> tuple[Tensor, Tensor]:
        """The n-th image, normalised, (channels, height, width), and its classes (height, width), int64."""
        image, classes = self[n]
        return self.normal(image), torch.from_numpy(classes).long()


@dataclass(frozen=True)
class Batches:
    """The batches of an epoch, the same wherever they are made.

    Attributes:
        samples: to choose from.
        augmentation: how crops are made.
        batch: crops per step and process.
        seed: of the order and the crops.
        processes: that share a step; each makes its own part of it.
        rank: of this process among them.
        accumulate: steps that make one change of the weights; an epoch has a multiple of it.
        length: steps per epoch, or None for as many as the images make.
    """

    samples: Samples
    augmentation: Augmentation
    batch: int
    seed: int
    processes: int = 1
    rank: int = 0
    accumulate: int = 1
    length: int | None = None

    def steps(self) -> int:
        """Per epoch; what is left over waits for another epoch's order."""
        if self.length is not None:
            return -(-self.length // self.accumulate) * self.accumulate
        return max(1, len(self.samples) // (self.batch * self.processes * self.accumulate)) * self.accumulate

    def numbers(self, epoch: int, step: int) -> list[tuple[int, int]]:
        """(place in the epoch, image) of this process's crops in a step; small sets are gone through repeatedly."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.samples))
        first = (step * self.processes + self.rank) * self.batch
        return [(place, int(order[place % len(order)])) for place in range(first, first + self.batch)]

    def make(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """(batch, channels, size, size) float32 and (batch, size, size) int64."""
        crops, augmentation = [], self._augmentation(epoch)
        for place, number in self.numbers(epoch, step):
            image, classes = self.samples[number]
            read = partial(self._normal, image)
            crops.append(augmentation.crop(read, classes, generator(self.seed, epoch, place)))
        return torch.stack([image for image, _ in crops]), torch.stack([classes for _, classes in crops])

    def _augmentation(self, epoch: int) -> Augmentation:
        """Images are new to begin with: changes, against learning them by heart, would only make the beginning slow."""
        seen = epoch * self.steps() * self.batch * self.processes / len(self.samples)
        return self.augmentation if seen >= NEW else self.augmentation.plain()

    def _normal(self, image: Array, rows: slice, columns: slice) -> Tensor:
        """A window of an image as it was read; only what a crop sees is normalised."""
        return self.samples.normal(image[rows, columns])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches from step `start` on; the next ones are made while one is used."""
        with ThreadPoolExecutor(1) as pool:
            steps = range(start, self.steps())
            ahead = [pool.submit(self.make, epoch, step) for step in steps[:2]]
            for step in steps:
                ready = ahead.pop(0)
                if step + 2 < self.steps():
                    ahead.append(pool.submit(self.make, epoch, step + 2))
                yield ready.result()
