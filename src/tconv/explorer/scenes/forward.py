"""The forward convolution that this layer is the transpose of: it reads what the layer writes, tap by tap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, beside, glyph, shots
from tconv.explorer.sheets import Look, plane, sheet
from tconv.explorer.trace import Trace
from tconv.forms import adjoint
from tconv.forms.contract import window
from tconv.geometry import Geometry, Sizes


def film(trace: Trace) -> Film:
    """The convolution of the layer's own output; where there are channels, of the first ones."""
    title = "forward: the convolution that it transposes"
    return convolution(trace.geometry, trace.linear[0], trace.weight[0, 0], trace.in_size, title)


class Names(NamedTuple):
    """What the two arrays of a convolution are called, and their roles."""

    large: tuple[str, Role] = ("z, as large as y", Role.OUTPUT)
    small: tuple[str, Role] = ("C z, as large as x", Role.INPUT)
    result: str = "C z"


HERE = Names()


def convolution(geometry: Geometry, z: Array, w: Array, small: Sizes, title: str, names: Names = HERE) -> Film:
    """A plain convolution of z (*large) with w (*kernel) to `small` cells: one frame per result.

    The crop of the geometry is its padding.
    """
    result = adjoint.forward(geometry, z[None, None, None], w[None, None, None], small)[0, 0, 0]
    frames = list(_frames(geometry, z, w, result, names))
    return shots(title, frames, len(frames) // 2)


def _frames(geometry: Geometry, z: Array, w: Array, result: Array, names: Names) -> Iterator[tuple[Block, str]]:
    lows = [axis.crop_lo for axis in geometry.axes]
    padded = window(z[None, None, None], tuple((-lo, -hi) for lo, hi in geometry.crop))[0, 0, 0]
    given = tuple(range(lo, lo + n) for lo, n in zip(lows, z.shape, strict=True))
    for n, i in enumerate(np.ndindex(result.shape)):
        covers = tuple(range(a.stride * at, a.stride * at + a.extent) for a, at in zip(geometry.axes, i, strict=True))
        taps = tuple(each[:: axis.dilation] for axis, each in zip(geometry.axes, covers, strict=True))

        def read(p: Sizes, taps: tuple[range, ...] = taps) -> Look:
            from_z = all(q in each for q, each in zip(p, given, strict=True))
            lit = all(q in each for q, each in zip(p, taps, strict=True))
            return Look(words.number(padded[p]), names.large[1] if from_z else Role.ZERO, lit=lit)

        def made(at: Sizes, n: int = n, i: Sizes = i) -> Look:
            known = np.ravel_multi_index(at, result.shape) <= n
            return Look(words.number(result[at]) if known else "", names.small[1], lit=at == i)

        first = [-lo for lo in lows]
        large = sheet(names.large[0], padded.shape, read, names.large[1], [(covers, Role.KERNEL)], first)
        small = sheet(names.small[0], result.shape, made, names.small[1])
        says = f"{words.name(names.result, i)} = {words.number(result[i])}: the kernel times what it covers, added up."
        yield beside(large, glyph("·"), plane("w kernel", w, Role.KERNEL), glyph("="), small), says
