"""One file per form, as in `tconv.forms` and in `sections`: a trace as a film, one contract `film(trace) -> Film`."""

from collections.abc import Callable

from tconv.explorer.scene import Film
from tconv.explorer.scenes import (
    adjoint,
    col2im,
    coverage,
    forward,
    gather,
    matrix,
    neurons,
    phases,
    scatter,
    taps,
    undoing,
    window,
    windows,
    zero_insert,
)
from tconv.explorer.trace import Trace

SCENES: dict[str, Callable[[Trace], Film]] = {
    "scatter": scatter.film,
    "gather": gather.film,
    "taps": taps.film,
    "zero_insert": zero_insert.film,
    "matrix": matrix.film,
    "col2im": col2im.film,
    "phases": phases.film,
    "adjoint": adjoint.film,
    "forward": forward.film,
    "window": window.film,
    "coverage": coverage.film,
    "windows": windows.film,
    "neurons": neurons.film,
    "undoing": undoing.film,
}

__all__ = ["SCENES"]
