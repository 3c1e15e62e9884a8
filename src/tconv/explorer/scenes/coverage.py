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

    frame = sheet("y", trace.out_size, cell, Role.OUTPUT)
    return shots("coverage: pairs that meet at each output", [(frame, verdict(trace))])


def verdict(trace: Trace) -> str:
    """Even, uneven or with holes, in a sentence."""
    counted = trace.geometry.coverage(trace.in_size)
    if counted.hole_count:
        return f"Holes: nothing meets at {counted.hole_count} cells."
    if counted.is_even:
        return "Even, away from the borders: the geometry draws no checkerboard."
    return f"Uneven, with period {words.by(counted.period)}: a checkerboard."
