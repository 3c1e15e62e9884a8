"""Coverage: how many pairs of input and tap meet at each output."""

from __future__ import annotations

import numpy as np

from tconv.explorer.grids import Cell, Flow, Grid
from tconv.explorer.marks import HOLE, Section
from tconv.explorer.scenes.coverage import verdict
from tconv.explorer.trace import Trace


def coverage(trace: Trace, most: int | None) -> Section:
    counted = trace.geometry.coverage(trace.in_size)
    cells = []
    for o in np.ndindex(trace.out_size):
        count = counted.count_at(o)
        cells.append(Cell(str(count)) if count else Cell(f"0{HOLE}", "red"))
    across = trace.out_size[-1]
    grid = Grid([cells[n : n + across] for n in range(0, len(cells), across)], "pairs per channel")
    return Section(
        "coverage: pairs that meet at each output",
        f"Where neighbours get different counts, the geometry itself draws a pattern. {verdict(trace)}",
        [Flow([grid])],
    )
