"""`tconv invert`: can a transposed convolution be undone?"""

from __future__ import annotations

import ast
from itertools import accumulate
from math import isfinite, prod
from typing import Any

import numpy as np
from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tconv import errors
from tconv.arrays import Array, as_array, layout
from tconv.geometry import Geometry
from tconv.linear import Undo, undo

SHOWN = 6  # rows and columns of a matrix that are printed; of a larger one, the first
WIDE = 28  # characters of one row, so that two matrices stand side by side in 80
FAMILY = """\
All B with Y B = X are B = Y^g X + (I - Y^g Y) W, where Y Y^g Y = Y; there is
one if and only if Y Y^g X = X. Rows of Y are outputs, rows of X their inputs:
Y = y and X = x for this x, Y = A^T and X = I (the unit inputs) for all x.
B^T then takes y back to x."""


def invert(
    *,
    x: str = "[[2,3],[1,3]]",
    w: str = "[[0,1,1],[0,1,0],[1,0,1]]",
    stride: str = "1",
    padding: str = "0",
    output_padding: str = "0",
    dilation: str = "1",
    groups: int = 1,
) -> None:
    """Transpose-convolve x with w, try to get x back, and say what is possible.

    Args:
        x: The input: numbers such as [[2,3],[1,3]], or the name of a .npy file. One or two axes, or (channels, *size),
            with a batch before it if you like.
        w: The kernel, likewise: one or two axes, or (in_channels, out_channels/groups, *kernel).
        stride: An integer, or one per axis with commas between; so are the next three.
        padding: Cells cropped off both ends of the output.
        output_padding: Cells added at the high end, fewer than the stride or the dilation.
        dilation: Distance between neighbouring taps of the kernel.
        groups: Number of channel groups.
    """
    values, weight = _with_channels(_array("x", x), _array("w", w))
    kernel = layout(values.shape, weight.shape, None, groups).kernel
    geometry = Geometry.from_torch(
        kernel,
        _ints("stride", stride),
        _ints("padding", padding),
        _ints("output-padding", output_padding),
        _ints("dilation", dilation),
        ndim=len(kernel),
    )
    show(undo(geometry, values, weight, groups), Console(highlight=False))


def show(answer: Undo, console: Console) -> None:
    """Print what came of the attempt: the arrays side by side, the verdict, the numbers and the reasons."""
    t = "A^H" if answer.operator.dtype.kind == "c" else "A^T"
    arrays = [
        _matrix("x", answer.x, answer.x, "x".join(map(str, answer.x.shape))),
        _matrix("y = A x", answer.y, answer.y, "x".join(map(str, answer.y.shape))),
        _matrix(f"{t} y", answer.transposed, answer.x, f"residual {answer.transposed_residual:.2g}"),
        _matrix("pinv(A) y", answer.recovered, answer.x, f"residual {answer.recovered_residual:.2g}"),
    ]
    console.print(Text("Can y = A x be undone?", "bold"))
    console.print(Text(str(answer.operator.geometry), "dim"))
    verdict, family = Text(answer.verdict, "bold"), Text(FAMILY, "dim")
    for part in (Columns(arrays, padding=(0, 3)), verdict, _numbers(answer), _findings(answer), family):
        console.print()
        console.print(part)


def _matrix(title: str, array: Array, expected: Array, caption: str) -> Group:
    """The last two axes of `array`, the first of the others; red where it is not as `expected`."""
    pages = prod(array.shape[:-2])
    table = Table.grid(padding=(0, 2))
    for row in _cells(array[(0,) * (array.ndim - 2)], expected[(0,) * (array.ndim - 2)]):
        table.add_row(*row)
    for column in table.columns:
        column.justify = "right"
    heading = f"{title}, 1 of {pages}" if pages > 1 else title
    return Group(Text(heading, "bold"), Panel.fit(table), Text(caption, "dim"))


def _cells(page: Array, expected: Array) -> list[list[Text]]:
    """The printed cells, with ".." for those that are left out."""
    scale = float(abs(page).max())
    wrong = abs(page - expected) > 1e-6 * scale
    texts = [[_number(value, scale) for value in row[:SHOWN]] for row in page[:SHOWN]]
    widths = [max(map(len, column)) + 2 for column in zip(*texts, strict=True)]
    shown = max(1, sum(end <= WIDE + 2 for end in accumulate(widths)))
    rows = [
        [Text(text, "red" if red else "") for text, red in zip(row[:shown], reds[:shown], strict=True)]
        for row, reds in zip(texts, wrong, strict=False)
    ]
    if page.shape[1] > shown:
        rows = [[*row, Text("..")] for row in rows]
    if page.shape[0] > SHOWN:
        rows.append([Text("..") for _ in rows[0]])
    return rows


def _number(value: Any, scale: float) -> str:
    """Three digits, or all of a whole number; what is rounding next to `scale` is left out."""
    real, imaginary = (0.0 if abs(part) < 1e-9 * scale else float(part) for part in (value.real, value.imag))
    if imaginary:
        return f"{complex(real, imaginary):.3g}"
    whole = round(real)
    return str(whole) if abs(real - whole) <= 1e-9 * scale and abs(whole) < 10**5 else f"{real:.3g}"


def _numbers(answer: Undo) -> Table:
    rows, columns = answer.operator.shape
    lost = answer.null_space_dimension
    table = Table.grid(padding=(0, 2))
    table.add_row("A", f"{rows} x {columns}: {columns} numbers in, {rows} out")
    table.add_row("rank", f"{answer.rank} of {columns}")
    table.add_row("null space", "x = 0 only" if lost == 0 else f"{lost}-dimensional: these inputs give y = 0")
    grows = "relative errors of y grow by that factor at most"
    condition = answer.condition_number
    table.add_row("condition", f"{condition:.3g}: {grows}" if isfinite(condition) else "infinite: rounding decides")
    return table


def _findings(answer: Undo) -> Table:
    table = Table.grid(padding=(0, 2))
    for question, yes, reason in answer.findings:
        table.add_row(question, Text("yes", "green") if yes else Text("no", "red"), reason)
    return table


def _array(name: str, text: str) -> Array:
    """Numbers written out, or the contents of a .npy file."""
    if text.endswith(".npy"):
        try:
            return as_array(name, np.load(text, allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise errors.TconvError(f"--{name} {text}: {error}") from None
    try:
        return as_array(name, ast.literal_eval(text))
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
        raise errors.TconvError(
            f"--{name} {text!r} is not an array; write numbers such as [[2,3],[1,3]], or name a .npy file"
        ) from None


def _ints(name: str, text: str) -> list[int]:
    """`2` or `2,1`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise errors.TconvError(f"--{name} {text!r} must be an integer, or one per axis with commas between") from None


def _with_channels(x: Array, w: Array) -> tuple[Array, Array]:
    """A plain image and kernel as arrays of one channel; others as they are."""
    plain = x.ndim == w.ndim and x.ndim in (1, 2)
    return (x[None], w[None, None]) if plain else (x, w)
