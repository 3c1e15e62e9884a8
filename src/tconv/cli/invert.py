"""`tconv invert`: can a transposed convolution be undone?"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, prod

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from tconv import errors
from tconv.arrays import Array, layout
from tconv.cli.options import DEFAULTS, GeometryOptions, Written, read_array
from tconv.cli.screen import show
from tconv.explorer.grids import Cell, Facts, Flow, Grid
from tconv.explorer.words import number
from tconv.linear import Undo, undo

SHOWN = 8  # rows and columns of a matrix that are printed, the mark that there are more included
WIDTH = 40  # characters for the columns, so that two matrices stand side by side
MORE = Cell("…", "dim")
FAMILY = """\
All B with Y B = X are B = Y^g X + (I - Y^g Y) W, where Y Y^g Y = Y; there is
one if and only if Y Y^g X = X. Rows of Y are outputs, rows of X their inputs:
Y = y and X = x for this x, Y = A^T and X = I (the unit inputs) for all x.
B^T then takes y back to x."""


def invert(
    *,
    x: Written = "[[2,3],[1,3]]",
    w: Written = "[[0,1,1],[0,1,0],[1,0,1]]",
    geometry: GeometryOptions = DEFAULTS,
    groups: int = 1,
) -> None:
    """Try to undo a transposed convolution, and say what is possible.

    The layer is a matrix A. Shown are y = A x, what the forward convolution A^T
    and the pseudo-inverse pinv(A) make of it, and whether any matrix gives x back.

        tconv invert
        tconv invert --x [1,2,3] --w [0.6,0.8] --stride 2
        tconv invert --x [1,2,3] --w [1,-1] --padding 1

    Args:
        x: The input: numbers as in [[2,3],[1,3]], or a .npy file; one or two axes, or (channels, *size), or a batch.
        w: The kernel, likewise; one or two axes, or (in_channels, out_channels/groups, *kernel).
        groups: Number of channel groups.
    """
    inputs, weight = read_array("x", x), read_array("w", w)
    if weight.ndim <= 2:
        if inputs.ndim != weight.ndim:
            raise errors.RankError(
                f"--x with shape {inputs.shape} and --w with shape {weight.shape} do not fit; give (*size) and "
                f"(*kernel), or (channels, *size) and (in_channels, out_channels/groups, *kernel)"
            )
        inputs, weight = inputs[None], weight[None, None]
    kernel = layout(inputs.shape, weight.shape, None, groups).kernel
    show(*_report(undo(geometry.geometry(kernel, len(kernel)), inputs, weight, groups)))


def _report(answer: Undo) -> Iterator[RenderableType]:
    """The arrays side by side, the verdict, the numbers and the reasons."""
    yield Text("Can y = A x be undone?", "bold")
    yield Text(str(answer.operator.geometry), "dim")
    yield ""
    yield Flow(
        (
            _grid("x", answer.x, answer.x),
            _grid("y = A x", answer.y, answer.y),
            _grid("A^T y", answer.transposed, answer.x),
            _grid("pinv(A) y", answer.recovered, answer.x),
        )
    )
    yield ""
    yield Facts((("", Text(answer.verdict, "bold")),))
    yield ""
    yield Facts(tuple(_numbers(answer)))
    yield ""
    yield Facts(tuple((question, _because(yes, reason)) for question, yes, reason in answer.findings))
    yield ""
    yield Text(FAMILY, "dim")


def _grid(title: str, array: Array, expected: Array) -> Grid:
    """The last two axes of `array`, the first of the others; red where it is not as `expected`."""
    pages, first = prod(array.shape[:-2]), (0,) * (array.ndim - 2)
    scale = float(abs(array).max())
    wrong = abs(array - expected)[first] > 1e-6 * scale
    digits = [[_number(value, scale) for value in row[:SHOWN]] for row in array[first][:SHOWN]]
    fits = min(SHOWN, WIDTH // (2 + max(len(text) for row in digits for text in row)))
    down, across = _kept(array.shape[-2], SHOWN), _kept(array.shape[-1], fits)
    rows = [
        [Cell(text, "red" if red else "") for text, red in zip(row[:across], reds[:across], strict=True)]
        for row, reds in zip(digits[:down], wrong[:down], strict=True)
    ]
    if array.shape[-1] > across:
        rows = [[*row, MORE] for row in rows]
    if array.shape[-2] > down:
        rows.append([MORE] * len(rows[0]))
    return Grid(rows, f"{title}, 1 of {pages}" if pages > 1 else title)


def _kept(size: int, fits: int) -> int:
    """How many of `size` cells are printed where `fits` have room; the mark takes one."""
    return size if size <= fits else max(1, fits - 1)


def _number(value: np.floating, scale: float) -> str:
    """Three digits, or all of a whole number; what is rounding next to `scale` is left out."""
    whole = round(float(value))
    return number(whole if abs(value - whole) <= 1e-9 * scale else float(f"{value:.3g}"))


def _numbers(answer: Undo) -> Iterator[tuple[str, str]]:
    rows, columns = answer.operator.shape
    lost, condition = answer.null_space_dimension, answer.condition_number
    yield "A", f"{rows} x {columns}: {columns} numbers in, {rows} out"
    yield "rank", f"{answer.rank} of {columns}"
    yield "null space", f"{lost}-dimensional: these inputs give y = 0" if lost else "x = 0 only"
    grows = f"{condition:.3g}: relative errors of y grow by that factor at most"
    yield "condition", grows if isfinite(condition) else "infinite: the smallest singular value is 0"


def _because(yes: bool, reason: str) -> Text:
    return Text.assemble(("yes  ", "green") if yes else ("no   ", "red"), reason)
