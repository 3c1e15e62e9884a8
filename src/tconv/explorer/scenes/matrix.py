"""The matrix C^T times the flattened input: one row, one output."""

from __future__ import annotations

from collections.abc import Iterator

from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, beside, glyph, shots
from tconv.explorer.scenes.gather import fullest, says
from tconv.explorer.sheets import Look, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes


def film(trace: Trace) -> Film:
    return shots("matrix: C transposed, times the flattened input", _frames(trace), fullest(trace))


def _frames(trace: Trace) -> Iterator[tuple[Block, str]]:
    x, y = trace.x.ravel(), trace.linear.ravel()
    for row, each in enumerate(trace.sums):

        def entry(at: Sizes, row: int = row) -> Look:
            if not trace.connected[at]:
                return Look("", Role.ZERO)
            return Look(words.number(trace.matrix[at]), Role.KERNEL, lit=at[0] == row)

        def given(at: Sizes, row: int = row) -> Look:
            return Look(words.number(x[at[0]]), Role.INPUT, lit=bool(trace.connected[row, at[0]]))

        def made(at: Sizes, row: int = row) -> Look:
            return Look(words.number(y[at[0]]) if at[0] <= row else "", Role.OUTPUT, lit=at[0] == row)

        table = sheet(f"C^T, {len(y)} by {len(x)}", trace.matrix.shape, entry, Role.KERNEL)
        vector = sheet("x", (len(x), 1), given, Role.INPUT)
        result = sheet("C^T x", (len(y), 1), made, Role.OUTPUT)
        linear = each._replace(bias=None, value=y[row].item())
        yield beside(table, glyph("·"), vector, glyph("="), result), says(trace, linear)
