"""Max pooling over maps and places at once, and its undoing by the switches that say where each maximum was.

A block is `maps` neighbouring maps times `size` neighbouring places on every axis. Of each block the number that is
largest in size is kept, with its sign; its switch is its place in the block.

Source: Zeiler, Taylor and Fergus, "Adaptive deconvolutional networks for mid and high level feature learning" (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from tconv.arrays import Array


@dataclass(frozen=True)
class Pooling:
    """Blocks of `maps` maps and `size` places per axis; codes are filled up with zeros to whole blocks."""

    maps: int
    size: int

    def pooled(self, z: Array) -> tuple[Array, Array]:
        """(maxima, switches) of codes (images, maps, *places): both (images, blocks of maps, *blocks of places)."""
        blocks = self._blocks(z)
        switches = np.abs(blocks).argmax(axis=-1)
        return np.take_along_axis(blocks, switches[..., None], -1)[..., 0], switches

    def unpooled(self, p: Array, switches: Array, maps: int, places: tuple[int, ...]) -> Array:
        """Codes (images, maps, *places) with the maxima where the switches say, and zeros else."""
        axes = len(places)
        blocks = np.zeros((*p.shape, self.maps * self.size**axes), p.dtype)
        np.put_along_axis(blocks, switches[..., None], p[..., None], -1)
        inner = (self.maps, *(self.size,) * axes)
        apart = blocks.reshape(*p.shape, *inner)
        order = [0, *(axis for a in range(axes + 1) for axis in (1 + a, 2 + axes + a))]
        whole = apart.transpose(order).reshape(len(p), *(n * m for n, m in zip(p.shape[1:], inner, strict=True)))
        return np.ascontiguousarray(whole[(slice(None), slice(maps), *(slice(n) for n in places))])

    def gathered(self, z: Array, switches: Array) -> Array:
        """What lies where the switches say: the adjoint of `unpooled`."""
        return np.take_along_axis(self._blocks(z), switches[..., None], -1)[..., 0]

    def _blocks(self, z: Array) -> Array:
        """(images, *blocks, numbers of a block)."""
        inner = (self.maps, *(self.size,) * (z.ndim - 2))
        counts = [-(-n // m) for n, m in zip(z.shape[1:], inner, strict=True)]
        whole = np.zeros((len(z), *(n * m for n, m in zip(counts, inner, strict=True))), z.dtype)
        whole[(slice(None), *(slice(n) for n in z.shape[1:]))] = z
        pairs = [number for pair in zip(counts, inner, strict=True) for number in pair]
        apart = whole.reshape(len(z), *pairs)
        axes = len(inner)
        order = (0, *(1 + 2 * a for a in range(axes)), *(2 + 2 * a for a in range(axes)))
        return apart.transpose(order).reshape(len(z), *counts, prod(inner))
