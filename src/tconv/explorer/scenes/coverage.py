"""Coverage: how many pairs of input and tap meet at every output; unevenness is a checkerboard, none a hole."""

from __future__ import annotations

from tconv.explorer import words
from tconv.explorer.scene import Film, Role, shots
from tconv.explorer.sheets import Look, sheet
from tconv.explorer.trace import Trace
from tconv.geometry import Sizes


def film(trace: Trace) -> Film:
    counted = trace.geometry.coverage(trace.in_size)
    most = max(counted.count_at(each.o) for each in trace.sums)

    def cell(o: Sizes) -> Look:
        count = counted.count_at(o)
        return Look(str(count), Role.HEAT, 4 * count // most) if count else Look("0", Role.HOLE)

    if counted.hole_count:
        says = f"Holes: nothing meets at {counted.hole_count} cells."
    elif counted.is_even:
        says = "Even, away from the borders: the geometry draws no checkerboard."
    else:
        says = f"Uneven, with period {words.by(counted.period)}: a checkerboard."
    return shots("coverage: pairs that meet at each output", [(sheet("y", trace.out_size, cell, Role.OUTPUT), says)])
