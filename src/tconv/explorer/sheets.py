"""Arrays as blocks of cells: one axis is a row, two are a grid, three are slices side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Box, Frame, Mark, Role, Words, above, beside
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes

HEAD = 1.15  # room above the cells: a title, and the numbers of the columns
SIDE = 0.5  # room in front of them: the numbers of the rows
SLICE = 0.8  # between two slices


Lit: TypeAlias = Collection[Sizes]


class Look(NamedTuple):
    """How one cell looks; see `Box`."""

    text: str
    role: Role
    tint: int = 0
    lit: bool = False


Looks: TypeAlias = Callable[[Sizes], Look]


def sheet(
    title: str,
    shape: Sizes,
    look: Looks,
    role: Role = Role.PLAIN,
    frames: Sequence[tuple[tuple[range, ...], Role]] = (),
    first: Sequence[int] = (),
) -> Block:
    """Cells of `shape` with a title and the numbers of their rows and columns.

    Args:
        look: text, role, tint and whether it is lit, of the cell at an index.
        frames: ranges of cells per axis, and the role of the outline around them.
        first: the index of the first cell, per axis, where it is not 0.
    """
    looks = {index: look(index) for index in np.ndindex(shape)}
    wide = max([1.0, *(0.27 * len(each.text) + 0.35 for each in looks.values())])
    places = {index: _place(index, shape, wide) for index in np.ndindex(shape)}
    marks: list[Mark] = [Words(0 if shape[:-1] == () else SIDE, 0.25, title, 0.46, role, bold=True)]
    marks += _numbers(shape, wide, first or (0,) * len(shape))
    for index, each in looks.items():
        marks.append(Box(*places[index], wide, each.text, each.role, each.tint, each.lit))
    for ranges, outline in frames:
        marks += _outline(ranges, shape, wide, outline)
    side = 0.0 if len(shape) == 1 else SIDE
    across = max([x + wide for x, _ in places.values()], default=side)
    down = max([y + 1 for _, y in places.values()], default=HEAD)
    return Block(max(across, side + 0.28 * len(title)), down, tuple(marks))


def _place(index: Sizes, shape: Sizes, wide: float) -> tuple[float, float]:
    if len(shape) == 1:
        return index[0] * wide, HEAD
    *slices, row, column = index
    x = SIDE + column * wide
    return x + (slices[0] * (shape[-1] * wide + SLICE) if slices else 0), HEAD + row


def _numbers(shape: Sizes, wide: float, first: Sequence[int]) -> list[Words]:
    """The indices along the edges, small; without them y[1,2] would have to be counted out."""
    side = 0.0 if len(shape) == 1 else SIDE
    slices = range(shape[0]) if len(shape) == 3 else range(1)
    found = []
    for n in slices:
        x = side + n * (shape[-1] * wide + SLICE)
        for column in range(shape[-1]):
            label = f"{n},·,{column}" if len(shape) == 3 and column == 0 else str(column + first[-1])
            found.append(Words(x + (column + 0.5) * wide, HEAD - 0.22, label, 0.26, anchor="middle"))
    if len(shape) > 1:
        rows = range(shape[-2])
        found += [Words(SIDE - 0.15, HEAD + r + 0.5, str(r + first[-2]), 0.26, anchor="end") for r in rows]
    return found


def _outline(ranges: Sequence[range], shape: Sizes, wide: float, role: Role) -> list[Mark]:
    """One rectangle around the cells, in every slice that they lie in."""
    if not all(ranges):
        return []
    *slices, rows, columns = (range(1), *ranges) if len(shape) == 1 else tuple(ranges)
    found: list[Mark] = []
    for n in slices[0] if slices else range(1):
        x, y = _place((*([n] if slices else []), rows.start, columns.start)[-len(shape) :], shape, wide)
        found.append(Frame(x, y, len(columns) * wide, len(rows), role))
    return found


# the arrays that most pictures show; `lit` has the (channel, *index) of the cells that take part


def inputs(trace: Trace, lit: Lit = ()) -> Block:
    """x, channel below channel."""
    return above(*(plane(_titled("x", "input", c, trace.x), x, Role.INPUT, lit, (c,)) for c, x in enumerate(trace.x)))


def kernels(trace: Trace, lit: Lit = (), flipped: bool = False) -> Block:
    """w: rows are input channels, columns output channels; nothing where they are not connected.

    Args:
        lit: (in_channel, out_channel, *tap); of the flipped kernel the tap's place there.
    """
    weight = trace.steps.flipped if flipped else trace.weight
    alone = "w flipped kernel" if flipped else "w kernel"
    rows = []
    for c, planes in enumerate(weight):
        cells, left = [], Block(0, 0, ())
        for n, taps in enumerate(planes):
            name = alone if weight.shape[:2] == (1, 1) else f"w[{c},{n}]"
            cell = plane(name, taps, Role.KERNEL, lit, (c, n))
            cells.append(cell if trace.connects(c, n) else replace(left, width=cell.width, height=cell.height))
        rows.append(beside(*cells, gap=0.8))
    return above(*rows)


def outputs(trace: Trace, lit: Lit = (), until: int | None = None) -> Block:
    """y, channel below channel; cells that nothing reaches are marked as holes.

    Args:
        until: how many cells are known by now; the others are empty.
    """
    sums = {(each.channel, *each.o): (n, each) for n, each in enumerate(trace.sums)}

    def look(channel: int) -> Looks:
        def cell(o: Sizes) -> Look:
            n, each = sums[(channel, *o)]
            text = words.number(each.value) if until is None or n < until else ""
            return Look(text, Role.OUTPUT if each.products else Role.HOLE, lit=(channel, *o) in lit)

        return cell

    titles = [_titled("y", "output", c, trace.y) for c in range(len(trace.y))]
    return above(*(sheet(title, trace.out_size, look(c), Role.OUTPUT) for c, title in enumerate(titles)))


def plane(title: str, array: Array, role: Role, lit: Lit = (), key: Sizes = ()) -> Block:
    """An array, all of one role; `key` goes before the indices that are looked up in `lit`."""
    return sheet(
        title, array.shape, lambda index: Look(words.number(array[index]), role, lit=(*key, *index) in lit), role
    )


def _titled(letter: str, name: str, channel: int, array: Array) -> str:
    return f"{letter} {name}" if len(array) == 1 else f"{letter}[{channel}] {name}"
