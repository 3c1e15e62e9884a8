"""Adjoint: the transpose of the forward convolution, and not its inverse."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from tconv.explorer.grids import Flow
from tconv.explorer.marks import Section, grids, inputs
from tconv.explorer.trace import Trace
from tconv.explorer.words import number


def adjoint(trace: Trace, most: int | None) -> Section:
    z, cz, left, right, back = trace.pairing
    equal = np.isclose(left, right)
    law = Text.assemble(
        "<C z, x> = ",
        (number(left), "bold"),
        "  and  <z, C^T x> = ",
        (number(right), "bold"),
        (": equal." if equal else ": not equal!", "green" if equal else "bold red"),
    )
    same = np.allclose(back, trace.x)
    verdict = "Here C C^T x happens to be x." if same else "C C^T x has the size of x, and other values."
    return Section(
        "adjoint: the transpose, not the inverse",
        "C is the forward convolution with this kernel. For every z, (C z) * x and z * (C^T x) have the same sum: that "
        "makes C^T the gradient of C. It does not undo C.",
        [Flow([*grids("z", z), *grids("C z", cz), *inputs(trace), *grids("C C^T x", back)]), law, Text(verdict)],
    )
