"""Undoing: up by A = C^T, and all B that go back, if there are any: B = A^g + W (I - A A^g)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tconv.arrays import Array
from tconv.explorer import words
from tconv.explorer.scene import Block, Film, Role, above, beside, glyph, shots
from tconv.explorer.scenes.adjoint import planes
from tconv.explorer.sheets import Look, inputs, sheet
from tconv.explorer.trace import Trace

LARGEST = 200  # entries of a matrix that is drawn
STEPS = (0.0, 0.5, 1.0, -1.0)  # what W is filled with, frame by frame


def film(trace: Trace) -> Film:
    """The test whether some B exists, then one frame per W."""
    return shots("undoing: all B that take y back to x", [_question(trace), *_answers(trace)], 0)


def exists_says(trace: Trace) -> str:
    """Whether some B undoes the layer, with the reason."""
    undoing, inputs_, outputs = trace.undoing, trace.x.size, len(trace.matrix)
    if not undoing.exists:
        return (
            f"A^g A is not the identity: A is {outputs}x{inputs_} with rank {undoing.rank}, inputs are lost, and no B "
            f"gives every x back."
        )
    one = "exactly one" if outputs == inputs_ else "every B = A^g + W (I - A A^g)"
    return f"A^g A is the identity, rank {undoing.rank} of {inputs_}: {one} gives every x back."


def _question(trace: Trace) -> tuple[Block, str]:
    """x, y, and what the transpose and the pseudo-inverse make of it."""
    up, undoing = planes("y = A x", trace.linear, Role.OUTPUT), trace.undoing
    down = planes("A^T y", trace.pairing.back, Role.INPUT)
    back = planes("A^g y", undoing.recovered, Role.INPUT)
    line = beside(inputs(trace), glyph("→"), up, glyph("→"), above(down, back))
    test = _matrix("A^g A", undoing.test, Role.INPUT)
    return (line if test is None else beside(line, test, gap=1.5)), exists_says(trace)


def _answers(trace: Trace) -> Iterator[tuple[Block, str]]:
    """B and B A for some W; nothing where no B exists, or where it is too large to be read."""
    undoing = trace.undoing
    if not undoing.exists or undoing.inverse.size > LARGEST or trace.x.size > LARGEST**0.5:
        return
    alone = len(trace.matrix) == trace.x.size
    for w in STEPS[:1] if alone else STEPS:
        b = undoing.b(w)
        drawn, brought = _matrix("B", b, Role.KERNEL), _matrix("B A", _whole(b @ trace.matrix), Role.INPUT)
        assert drawn is not None and brought is not None
        says = "B = A^g, the pseudo-inverse: B A is the identity."
        if w:
            says = f"B = A^g + W (I - A A^g), all of W {words.number(w)}: B A is still the identity."
        yield above(drawn, brought), says


def _whole(table: Array) -> Array:
    """Rounded where rounding errors are all that is beyond."""
    near: Array = np.round(table, 9) + 0.0
    return near


def _matrix(title: str, table: Array, role: Role) -> Block | None:
    """A table whose zeros are pale; None where it is too large to be read."""
    if table.size > LARGEST:
        return None

    def look(at: tuple[int, ...]) -> Look:
        return Look(words.number(table[at]), role if table[at] else Role.ZERO)

    return sheet(title, table.shape, look, role)
