"""Agreement: every form was run, and compared."""

from __future__ import annotations

from rich.text import Text

from tconv.explorer.grids import Columns
from tconv.explorer.marks import Section
from tconv.explorer.trace import Trace
from tconv.explorer.words import number


def agreement(trace: Trace, most: int | None) -> Section:
    wrong = [each.name for each in trace.agreement if not each.agrees]
    exact = all(each.difference == 0 for each in trace.agreement)
    says = f"All {len(trace.agreement)} ways to compute y were run just now, and agree"
    says += " exactly." if exact else " up to the rounding of 64-bit floats."
    if wrong:
        says = f"These do not compute the y above: {', '.join(wrong)}."
    lines = [
        Text.assemble(("✓ " if each.agrees else "✗ ", "green" if each.agrees else "bold red"), each.name)
        + ("" if each.agrees else f" differs by {number(each.difference)}")
        for each in trace.agreement
    ]
    return Section("agreement: one operator", says, [Columns(lines)])
