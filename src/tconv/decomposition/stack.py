"""Layers of kernels above one another: from the codes of any layer down to the pixels, and back up.

R_l z = D_1 U_1 D_2 U_2 ... D_l z, where D is a layer's transposed convolution and U its unpooling. With the switches of
the layers below fixed it is linear, and its adjoint carries what the pixels lack up to the codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tconv.arrays import Array
from tconv.decomposition.frame import Frame, frame
from tconv.decomposition.pooling import Pooling
from tconv.decomposition.responses import Responses
from tconv.geometry import Sizes
from tconv.layer import prepare


@dataclass(eq=False)
class Level:
    """One layer for images of one size.

    Attributes:
        kernels: (kernels, channels, *kernel); channels are the pooled maps of the layer below.
        frame: of what it rebuilds.
        pooling: of its codes.
        switches: of its pooled codes, once they are known.
    """

    kernels: Array
    frame: Frame
    pooling: Pooling
    switches: Array | None = None

    def __post_init__(self) -> None:
        self.use(self.kernels)

    def use(self, kernels: Array) -> None:
        """Take other kernels of the same shape."""
        self.kernels = kernels
        self._synthesis = prepare(kernels, geometry=self.frame.geometry)
        self._responses = Responses(kernels, self.frame.geometry.stride)

    def down(self, z: Array) -> Array:
        """What codes say to the layer below, or to the pixels."""
        return self._synthesis(z)

    def up(self, below: Array) -> Array:
        """The adjoint of `down`."""
        canvas = np.zeros((*below.shape[:2], *self.frame.canvas), below.dtype)
        canvas[(slice(None), slice(None), *self.frame.window)] = below
        return self._responses(canvas, np.empty((len(below), len(self.kernels), *self.frame.places), below.dtype))

    def unpooled(self, p: Array) -> Array:
        assert self.switches is not None, "a layer is pooled before it is unpooled"
        return self.pooling.unpooled(p, self.switches, len(self.kernels), self.frame.places)

    def gathered(self, z: Array) -> Array:
        assert self.switches is not None, "a layer is pooled before it is unpooled"
        return self.pooling.gathered(z, self.switches)

    @property
    def pooled_size(self) -> Sizes:
        """Of the pooled maps, per axis."""
        return tuple(-(-n // self.pooling.size) for n in self.frame.places)


def levels(size: Sizes, kernels: list[Array], pooling: Pooling) -> list[Level]:
    """The layers for images of one size."""
    found: list[Level] = []
    for own in kernels:
        found.append(Level(own, frame(size, own.shape[2:]), pooling))
        size = found[-1].pooled_size
    return found


def to_pixels(stack: list[Level], z: Array) -> Array:
    """R_l z, for codes z of the last of these layers."""
    below = stack[-1].down(z)
    for level in reversed(stack[:-1]):
        below = level.down(level.unpooled(below))
    return below


def from_pixels(stack: list[Level], image: Array) -> Array:
    """R_l^T of something on the pixels: as large as the codes of the last layer."""
    return stack[-1].up(to_top(stack[:-1], image))


def to_top(stack: list[Level], image: Array) -> Array:
    """The adjoint of what these layers make of pooled maps above them."""
    above = image
    for level in stack:
        above = level.gathered(level.up(above))
    return above
