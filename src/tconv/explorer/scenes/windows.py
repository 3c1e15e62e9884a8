"""Windows: the rows of C as what a convolution looks through, the rows of C^T as the flipped kernel slid over x.

At last down and up: y taken as an image I, I C = O and O C^T = P, which is as large as I and is not I.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, above, beside, glyph, shots
from tconv.explorer.sheets import Look, Looks, plane, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes

IN_A_LINE = 5


def film(trace: Trace) -> Film:
    """The windows one by one, the flipped kernel at every output, down and up; of the first connected channels."""
    out = next(e for e in range(len(trace.y)) if trace.connects(0, e))
    frames = [*_windows(trace, out), *_slides(trace, out), _there_and_back(trace, out)]
    return shots("windows: the matrix, row by row", frames, trace.x[0].size - 1)


def _windows(trace: Trace, out: int) -> Iterator[tuple[Block, str]]:
    """One frame per row of C, in the shape of y; the rows so far stay."""
    cells = trace.y[0].size
    rows = slice(out * cells, (out + 1) * cells)
    sheets: list[Block] = []
    blocks = [
        sheet(f"row {n} of C", trace.out_size, _entries(trace, rows, n), Role.KERNEL) for n in range(trace.x[0].size)
    ]
    for n, i in enumerate(np.ndindex(trace.in_size)):
        sheets.append(blocks[n])
        hidden = [Block(block.width, block.height, ()) for block in blocks[n + 1 :]]
        name = words.name("x", i)
        yield _lines([*sheets, *hidden]), f"Row {n} of C: a window on y. Column {n} of C^T: the stamp of {name}."


def _entries(trace: Trace, rows: slice, column: int) -> Looks:
    """A column of C^T in the shape of y."""

    def look(o: Sizes) -> Look:
        row = rows.start + int(np.ravel_multi_index(o, trace.out_size))
        if not trace.connected[row, column]:
            return Look("", Role.ZERO)
        return Look(words.number(trace.matrix[row, column]), Role.KERNEL)

    return look


def _lines(blocks: list[Block]) -> Block:
    lines = [blocks[n : n + IN_A_LINE] for n in range(0, len(blocks), IN_A_LINE)]
    return above(*(beside(*line, gap=0.7) for line in lines))


def _slides(trace: Trace, out: int) -> Iterator[tuple[Block, str]]:
    """One frame per row of C^T, in the shape of x with its zeros."""
    steps = trace.steps
    padded, given, flipped = steps.padded[0], steps.given, steps.flipped[0, out]

    for o in np.ndindex(trace.out_size):
        under = covers(trace, o)

        def row(at: Sizes, covers: dict[Sizes, Sizes] = under) -> Look:
            if at not in covers:
                return Look("", Role.ZERO)
            return Look(words.number(flipped[covers[at]]), Role.KERNEL if given[at] else Role.ZERO, lit=bool(given[at]))

        def cell(at: Sizes, covers: dict[Sizes, Sizes] = under) -> Look:
            role = Role.INPUT if given[at] else Role.ZERO
            return Look(words.number(padded[at]), role, lit=bool(given[at]) and at in covers)

        name = words.name("y", o)
        table = sheet(f"row {name} of C^T", padded.shape, row, Role.KERNEL)
        value = words.number(sum(flipped[k] * padded[at] for at, k in under.items()))
        yield (
            beside(table, glyph("·"), sheet("x with zeros", padded.shape, cell, Role.INPUT)),
            f"Row {name} of C^T over x with its zeros: the flipped kernel, slid to {name}; the sum is {value}.",
        )


def covers(trace: Trace, o: Sizes) -> dict[Sizes, Sizes]:
    """Which cells of the padded input the flipped kernel lies on for an output, and with which of its numbers."""
    dilation = [axis.dilation for axis in trace.geometry.axes]
    return {
        tuple(at + d * tap for at, d, tap in zip(o, dilation, k, strict=True)): k
        for k in np.ndindex(trace.geometry.kernel)
    }


def there_and_back(trace: Trace, out: int) -> tuple[Array, Array, Array]:
    """I = y, O = I C and P = O C^T, of the first input channel and one output channel."""
    cells = trace.y[0].size
    up = trace.matrix[out * cells : (out + 1) * cells, : trace.x[0].size]
    image = trace.linear[out]
    small = up.T @ image.ravel()
    return image, small.reshape(trace.in_size), (up @ small).reshape(trace.out_size)


def back_says(image: Array, again: Array) -> str:
    """Whether P is I."""
    if np.allclose(image, again):
        return "I C = O, O C^T = P: here P happens to be I."
    return "I C = O, O C^T = P: the size comes back, the numbers do not. P is not I, transposed is not inverse."


def _there_and_back(trace: Trace, out: int) -> tuple[Block, str]:
    image, small, again = there_and_back(trace, out)
    named = (("I = y", image, Role.OUTPUT), ("O = I C", small, Role.INPUT), ("P = O C^T", again, Role.OUTPUT))
    first, *others = (plane(title, array, role) for title, array, role in named)
    return beside(first, *(part for each in others for part in (glyph("→"), each))), back_says(image, again)
