"""Scores of images of any size: whole, or in overlapping tiles whose scores are blended.

A tile's border lacks what lies beyond it. So tiles overlap, a margin at each inner edge is thrown away, and the rest of
the overlap is a smooth transition from one tile to the next: the weights of all tiles at a pixel add up to 1. Tile
corners are multiples of the network's coarsest stride, so that its pooling falls on the same pixels in every tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv import errors
from tconv.arrays import Array

Window = Callable[[slice], Tensor]
Read = Callable[[slice, slice], Tensor]
Finish = Callable[[Tensor], Tensor]

TILE = 512  # pixels per side, where nothing else is asked for
WHOLE = 2**20  # pixels up to which an image goes through the network in one piece, if memory allows


@dataclass(frozen=True)
class Cut:
    """One tile's place on an axis.

    Attributes:
        start, stop: what is read.
        first, last: what of it counts; the rest is margin.
        before, after: how much of what counts is shared with the neighbours.
    """

    start: int
    stop: int
    first: int
    last: int
    before: int
    after: int

    @property
    def weights(self) -> Array:
        """Of what counts, (last - first,), float32; with the neighbours' they add up to 1."""
        weights = np.ones(self.last - self.first, np.float32)
        weights[: self.before] = _ramp(self.before)
        weights[len(weights) - self.after :] = _ramp(self.after)[::-1]
        return weights

    @property
    def counting(self) -> slice:
        """What counts, in the tile's own numbers."""
        return slice(self.first - self.start, self.last - self.start)


def _ramp(count: int) -> Array:
    """A smooth way from 0 to 1; and 1 minus it is itself turned round."""
    ramp = (np.arange(count, dtype=np.float32) + 0.5) / max(count, 1)
    return ramp * ramp * (3 - 2 * ramp)


@dataclass(frozen=True)
class Strip:
    """What a row of tiles gives: blended from left to right, not yet with the rows above and below.

    Attributes:
        above, below: scores of the rows that are shared with the neighbours, weighted, (classes, n, width); n is 0 at
            the image's border.
        inner: the rows between, finished.
    """

    above: Array
    inner: Array
    below: Array


@dataclass(frozen=True)
class Tiling:
    """How an axis is cut.

    Attributes:
        tile: pixels per side of a tile.
        margin: pixels at an inner edge that are read and thrown away.
        stride: of the network's coarsest map; tile and margin are multiples of it.
        whole: pixels up to which an image is not cut.
    """

    tile: int = TILE
    margin: int = 96
    stride: int = 32
    whole: int = WHOLE

    def __post_init__(self) -> None:
        if self.margin < 0 or self.tile < 2 * self.margin + 2 * self.stride:
            least = 2 * self.margin + 2 * self.stride
            raise errors.TconvError(f"tile {self.tile} is too small for margin {self.margin}; give at least {least}")
        if self.tile % self.stride or self.margin % self.stride:
            raise errors.TconvError(
                f"tile {self.tile} and margin {self.margin} must be multiples of {self.stride}, the network's stride"
            )

    def cuts(self, size: int) -> list[Cut]:
        """Tiles that cover an axis of `size` pixels: one if it fits, else neighbours that overlap."""
        if size <= self.tile:
            return [Cut(0, size, 0, size, 0, 0)]
        blend = self.stride  # pixels over which one tile passes into the next
        step = self.tile - 2 * self.margin - blend
        starts = list(range(0, size - self.tile, step // self.stride * self.stride))
        starts.append(-(-(size - self.tile) // self.stride) * self.stride)
        # A passage lies in the middle of an overlap.
        seams = [(here + there + self.tile - blend) // 2 for here, there in pairwise(starts)]
        return [
            Cut(start, min(start + self.tile, size), first, last, blend * (first > 0), blend * (last < size))
            for start, first, last in zip(starts, [0, *seams], [*(s + blend for s in seams), size], strict=True)
        ]


def tiling_of(model: Any, tile: int = TILE, memory: int | None = None) -> Tiling:
    """The tiling for a network: a margin as wide as what a pixel's score depends on noticeably.

    Args:
        model: which says its `stride`, its `reach` and how many numbers it holds per pixel (`floats`).
        tile: pixels per side that are asked for; the least that the margin allows is taken where this is less.
        memory: bytes that a tile may take, default as many as it needs.
    """
    stride = int(model.stride)
    margin = -(-int(model.reach) // stride) * stride
    least, whole = 2 * margin + 4 * stride, WHOLE
    if memory is not None:
        whole = min(WHOLE, int(memory / (4 * model.floats)))
        tile = min(tile, isqrt(whole) // stride * stride)
    return Tiling(-(-max(tile, least) // stride) * stride, margin, stride, whole)


@torch.no_grad()
def scores(model: Any, image: Tensor) -> Tensor:
    """The scores of a whole image, in one piece.

    Args:
        model: in evaluation mode.
        image: (channels, height, width), normalised; of any size.

    Returns:
        (classes, height, width), in the memory of the processor.
    """
    height, width = image.shape[1:]
    short = max(0, model.stride - height), max(0, model.stride - width)
    if any(short):
        image = F.pad(image, (0, short[1], 0, short[0]), mode="replicate")
    device = next(model.parameters()).device
    found: Tensor = model(image[None].to(device))[0].cpu()
    return found[:, :height, :width]


def image_scores(model: Any, read: Read, shape: tuple[int, int], tiling: Tiling, finish: Finish) -> Tensor:
    """The finished scores of an image: in one piece if it is small, else in tiles.

    Args:
        model: in evaluation mode.
        read: the normalised pixels of a window, (rows, columns) -> (channels, height, width).
        shape: of the image, (height, width).
        tiling: as `tiling_of` gives it.
        finish: what becomes of scores: `as_scores` or `as_classes`.

    Returns:
        (classes, height, width), or (height, width) of classes.
    """
    height, width = shape
    if height * width <= tiling.whole:
        return finish(scores(model, read(slice(0, height), slice(0, width))))
    columns = tiling.cuts(width)

    def strip(row: Cut) -> Strip:
        return strip_of(model, lambda where: read(slice(row.start, row.stop), where), row, columns, finish)

    return torch.cat([torch.from_numpy(band) for band in bands(map(strip, tiling.cuts(height)), finish)], dim=-2)


def as_scores(found: Tensor) -> Tensor:
    """(classes, rows, columns) as they are."""
    return found


def as_classes(found: Tensor) -> Tensor:
    """Scores (classes, rows, columns) as class indices (rows, columns), uint8."""
    # argmax along the first axis takes as long as half a small network.
    best, classes = found[0], torch.zeros(found.shape[1:], dtype=torch.uint8)
    for number in range(1, len(found)):
        classes.masked_fill_(found[number] > best, number)
        best = torch.maximum(best, found[number])
    return classes


def strip_of(model: Any, window: Window, row: Cut, columns: list[Cut], finish: Finish) -> Strip:
    """What the tiles of a row give.

    Args:
        model: in evaluation mode.
        window: the row's normalised pixels by columns: slice -> (channels, row.stop - row.start, width).
        row, columns: as `Tiling.cuts` gives them.
        finish: what becomes of scores that are blended: `as_scores` or `as_classes`.
    """
    above, inner, below = [], [], []
    held = torch.zeros(0)
    for column in columns:
        found = scores(model, window(slice(column.start, column.stop)))[:, row.counting, column.counting]
        found = found * torch.from_numpy(np.outer(row.weights, column.weights))
        found[:, :, : column.before] += held
        last = found.shape[2] - column.after
        held = found[:, :, last:].clone()
        found = found[:, :, :last]
        lowest = found.shape[1] - row.after
        above.append(found[:, : row.before].clone())  # a view would keep the whole tile in memory
        inner.append(finish(found[:, row.before : lowest]))
        below.append(found[:, lowest:].clone())
    return Strip(*(torch.cat(parts, dim=-1).numpy() for parts in (above, inner, below)))


def bands(strips: Iterable[Strip], finish: Finish) -> Iterator[Array]:
    """Finished rows from top to bottom, of strips that come from top to bottom; one strip is held."""
    held: Array | None = None
    for strip in strips:
        if held is not None:
            yield finish(torch.from_numpy(strip.above + held)).numpy()
        yield strip.inner
        held = strip.below
