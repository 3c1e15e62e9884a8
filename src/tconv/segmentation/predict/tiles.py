"""Scores of images of any size: whole, or in overlapping tiles whose scores are blended.

A tile's border lacks what lies beyond it. So tiles overlap, a margin at each inner edge is thrown away, and the rest of
the overlap is a smooth transition from one tile to the next: the weights of all tiles at a pixel add up to 1. Tile
corners are multiples of the network's coarsest stride, so that its pooling falls on the same pixels in every tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.fcn import COARSEST, FCN
from tconv.segmentation.unet import UNet

Window = Callable[[slice, slice], Tensor]


@dataclass(frozen=True)
class Cut:
    """One tile's place on an axis.

    Attributes:
        start, stop: what is read.
        weights: of what is read, (stop - start,), float32; 0 in the margins.
    """

    start: int
    stop: int
    weights: Array


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
            return [Cut(0, size, np.ones(size, np.float32))]
        blend = self.stride  # pixels over which one tile passes into the next
        step = self.tile - 2 * self.margin - blend
        starts = list(range(0, size - self.tile, step // self.stride * self.stride))
        last = -(-(size - self.tile) // self.stride) * self.stride
        starts.append(last)
        ramp = (np.arange(blend, dtype=np.float32) + 0.5) / blend
        ramp = ramp * ramp * (3 - 2 * ramp)
        cuts = []
        for n, start in enumerate(starts):
            stop = min(start + self.tile, size)
            weights = np.ones(stop - start, np.float32)
            if n:
                _fade(weights, start, self._seam(starts[n - 1], start), ramp)
            if n + 1 < len(starts):
                _fade(weights[::-1], -stop, -(self._seam(start, starts[n + 1]) + blend), ramp)
            cuts.append(Cut(start, stop, weights))
        return cuts

    def _seam(self, before: int, after: int) -> int:
        """Where the passage from one tile to the next begins: in the middle of their overlap."""
        return (after + before + self.tile - self.stride) // 2


def _fade(weights: Array, start: int, seam: int, ramp: Array) -> None:
    """Write 0 before the seam and the ramp from it on, in place."""
    first = seam - start
    weights[:first] = 0
    weights[first : first + len(ramp)] *= ramp


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
    height, width = image.shape[1:]
    bands = score_bands(model, lambda rows, columns: image[:, rows, columns], tiling, (height, width))
    return torch.cat([band for _, band in bands], dim=1)


def score_bands(
    model: nn.Module, window: Window, tiling: Tiling, shape: tuple[int, int]
) -> Iterator[tuple[int, Tensor]]:
    """Finished rows from top to bottom: (first row, scores (classes, rows, width)); one row of tiles is held.

    Args:
        model: in evaluation mode.
        window: the normalised image by window: (rows, columns) -> (channels, height, width).
        tiling: how to cut.
        shape: height and width of the image.
    """
    rows, columns = tiling.cuts(shape[0]), tiling.cuts(shape[1])
    held = torch.zeros(0)
    for n, row in enumerate(rows):
        band = _row_of_tiles(model, window, row, columns, shape[1])
        if held.numel():  # what the rows above have given to these
            band[:, : held.shape[1]] += held
        end = rows[n + 1].start if n + 1 < len(rows) else row.stop
        yield row.start, band[:, : end - row.start]
        held = band[:, end - row.start :]


def _row_of_tiles(model: nn.Module, window: Window, row: Cut, columns: list[Cut], width: int) -> Tensor:
    """Weighted scores of all tiles beside one another: (classes, row.stop - row.start, width)."""
    band = torch.zeros(0)
    for column in columns:
        found = scores(model, window(slice(row.start, row.stop), slice(column.start, column.stop)))
        if not band.numel():
            band = torch.zeros(len(found), row.stop - row.start, width)
        weights = torch.from_numpy(np.outer(row.weights, column.weights))
        band[:, :, column.start : column.stop] += found * weights
    return band
