"""One file per form, as in `tconv.forms`: a trace's numbers as grids and sums, under a sentence that says what is seen.

Every section is a function of the trace and of how many stamps, sums or rows to show at `most`; None: all.
"""

from collections.abc import Callable

from tconv.explorer.marks import Section
from tconv.explorer.sections.adjoint import adjoint
from tconv.explorer.sections.agreement import agreement
from tconv.explorer.sections.col2im import col2im
from tconv.explorer.sections.coverage import coverage
from tconv.explorer.sections.forward import forward
from tconv.explorer.sections.gather import gather
from tconv.explorer.sections.matrix import matrix
from tconv.explorer.sections.neurons import neurons
from tconv.explorer.sections.phases import phases
from tconv.explorer.sections.stamps import scatter, taps
from tconv.explorer.sections.undoing import undoing
from tconv.explorer.sections.window import window
from tconv.explorer.sections.windows import windows
from tconv.explorer.sections.zero_insert import zero_insert
from tconv.explorer.trace import Trace

SECTIONS: dict[str, Callable[[Trace, int | None], Section]] = {
    "scatter": scatter,
    "gather": gather,
    "taps": taps,
    "zero_insert": zero_insert,
    "matrix": matrix,
    "col2im": col2im,
    "phases": phases,
    "adjoint": adjoint,
    "forward": forward,
    "window": window,
    "coverage": coverage,
    "windows": windows,
    "neurons": neurons,
    "undoing": undoing,
    "agreement": agreement,
}

__all__ = ["SECTIONS", "Section"]
