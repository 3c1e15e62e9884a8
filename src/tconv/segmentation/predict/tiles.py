"""Scores of images of any size: whole, or in overlapping tiles whose scores are blended.

A tile's border lacks what lies beyond it. So tiles overlap, a margin at each inner edge is thrown away, and the rest of
the overlap is a smooth transition from one tile to the next: the weights of all tiles at a pixel add up to 1. Tile
corners are multiples of the network's coarsest stride, so that its pooling falls on the same pixels in every tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.fcn import COARSEST, FCN
from tconv.segmentation.unet import UNet

Window = Callable[[slice], Tensor]
Finish = Callable[[Tensor], Tensor]


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
    """

    tile: int = 512
    margin: int = 96
    stride: int = 32

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


def stride_of(model: nn.Module) -> int:
    """The stride of a network's coarsest map."""
    if isinstance(model, UNet):
        return 1 << len(model.features)
    return COARSEST if isinstance(model, FCN) else 1


def tiling_of(model: nn.Module, tile: int = 512) -> Tiling:
    """The tiling for a network: a margin as wide as what a pixel's score depends on noticeably."""
    stride = stride_of(model)
    margin = -(-reach_of(model) // stride) * stride
    tile = -(-max(tile, 2 * margin + 4 * stride) // stride) * stride
    return Tiling(tile, margin, stride)


def reach_of(model: nn.Module) -> int:
    """How far, in pixels, a U-Net's score looks: all its 3x3 convolutions on the way down and up, and the pooling."""
    if not isinstance(model, UNet):
        return 5 * COARSEST  # 62 down, 56 up, and what pooling and upsampling round to
    levels = len(model.features)
    down = sum(2 << level for level in range(levels))
    bottom = 3 << len(model.features)
    extra = 0 if model.up == "transposed" else sum(2 << level for level in range(1, levels + 1))
    return 2 * down + bottom + extra


@torch.no_grad()
def scores(model: nn.Module, image: Tensor) -> Tensor:
    """The scores of a whole image, in one piece.

    Args:
        model: in evaluation mode.
        image: (channels, height, width), normalised; of any size.

    Returns:
        (classes, height, width).
    """
    height, width = image.shape[1:]
    least = stride_of(model)
    short = max(0, least - height), max(0, least - width)
    if any(short):
        image = F.pad(image, (0, short[1], 0, short[0]), mode="replicate")
    found: Tensor = model(image[None])[0]
    return found[:, :height, :width]


def tiled_scores(model: nn.Module, image: Tensor, tiling: Tiling) -> Tensor:
    """The scores of an image, in tiles; arguments and result as `scores`."""
    columns = tiling.cuts(image.shape[2])

    def strip(row: Cut) -> Strip:
        return strip_of(model, lambda where: image[:, row.start : row.stop, where], row, columns, as_scores)

    return torch.cat([torch.from_numpy(band) for band in bands(map(strip, tiling.cuts(image.shape[1])), as_scores)], 1)


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


def strip_of(model: nn.Module, window: Window, row: Cut, columns: list[Cut], finish: Finish) -> Strip:
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
