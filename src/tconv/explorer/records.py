"""What a trace is made of: one record per thing that can be drawn. Arrays keep their channel axes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tconv.arrays import Array
from tconv.geometry import FourSteps, Phase, Sizes


class Stamp(NamedTuple):
    """What one input cell, or one kernel tap, adds to the canvas.

    Attributes:
        at: the input cell, or the tap.
        cells: the canvas cells it covers, per axis.
        values: (out_channels, *cells): the kernel scaled by the input, or the input scaled by the tap.
    """

    at: Sizes
    cells: tuple[range, ...]
    values: Array

    @property
    def slices(self) -> tuple[slice, ...]:
        """`cells` as an index of the canvas."""
        return tuple(slice(cells.start, cells.stop, cells.step) for cells in self.cells)


class Product(NamedTuple):
    """One multiplication, x[channel, i] * w[channel, out_channel, k]."""

    channel: int
    i: Sizes
    k: Sizes
    x: int | float
    w: int | float


class Sum(NamedTuple):
    """One output cell and all that meets there; without products it holds the bias only."""

    channel: int
    o: Sizes
    products: tuple[Product, ...]
    bias: int | float | None
    value: int | float


class Steps(NamedTuple):
    """The recipe "insert zeros, pad, flip the kernel, convolve", with its sizes per axis.

    Attributes:
        given: the cells of `padded` that come from x, (*padded), bool; all others are zeros put in.
    """

    sizes: tuple[FourSteps, ...]
    inserted: Array
    padded: Array
    given: Array
    flipped: Array
    result: Array


class Column(NamedTuple):
    """col2im, before the folding.

    Attributes:
        products: (out_channels, *kernel, *in_size).
        goes_to: (*kernel, *in_size), the flat output cell that each is added to; -1 where it is cropped.
    """

    products: Array
    goes_to: Array


class Undoing(NamedTuple):
    """What could take y back to x: all B with B Y = X, where Y and X have one example per column.

    With A = C^T, Y = A and X = I mean every x at once: B A = I. Then B = A^g + W (I - A A^g) for any W.

    Attributes:
        inverse: A^g, the pseudo-inverse, (inputs, outputs).
        projector: I - A A^g, (outputs, outputs): what W is multiplied by.
        test: A^g A, (inputs, inputs); some B exists if and only if it is the identity.
        rank: of A.
        recovered: A^g y, of the shape of x.
    """

    inverse: Array
    projector: Array
    test: Array
    rank: int
    recovered: Array

    @property
    def exists(self) -> bool:
        """Whether some B gives every x back."""
        return self.rank == len(self.test)

    def b(self, w: float) -> Array:
        """The B of a W whose entries are all `w`."""
        return tidy(self.inverse + w * np.ones_like(self.inverse) @ self.projector)


def tidy(values: Array) -> Array:
    """Without the noise of rounding, which would be shown as 1.1e-16."""
    largest = max(float(abs(values).max(initial=0.0)), 1e-300)
    clean: Array = np.where(abs(values) <= 1e-9 * largest, 0.0, values)
    return clean


class Part(NamedTuple):
    """One phase: its taps and cells, its values (out_channels, *cells), and where they lie in the output."""

    phase: Phase
    cells: tuple[range, ...]
    values: Array
    outputs: tuple[slice, ...]


class Pairing(NamedTuple):
    """The adjoint law on one z: <C z, x> = <z, C^T x>; and `back` = C C^T x, which is not x."""

    z: Array
    cz: Array
    left: int | float
    right: int | float
    back: Array


class Agreement(NamedTuple):
    """How far the output of a form is from `y`, at most; and whether rounding explains it."""

    name: str
    difference: float
    agrees: bool
