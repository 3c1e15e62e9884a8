"""`tconv explain`: every form of a small transposed convolution, number by number; as text, picture or page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv import outputs
from tconv.cli.layer_options import EXAMPLE, LayerOptions
from tconv.cli.options import DEFAULTS, GeometryOptions
from tconv.cli.screen import show
from tconv.names import shown


def explain(
    *,
    layer: LayerOptions = EXAMPLE,
    geometry: GeometryOptions = DEFAULTS,
    form: str = "all",
    html: Path | None = None,
    svg: Path | None = None,
    gif: Path | None = None,
    png: Path | None = None,
    moving: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Show every form of a small transposed convolution, number by number.

    One sample with one or two spatial axes, in pictures with three; without
    arrays, a 2x2 input and a 3x3 kernel. All forms are computed, and compared
    with the compiled core.

        tconv explain
        tconv explain --stride 2 --padding 1 --output-padding 1
        tconv explain --x [1,2,3] --w [1,2,1] --stride 2 --form scatter
        tconv explain --in 3x3 --kernel 2 --stride 3 --bias 5 --form gather
        tconv explain --stride 2 --form scatter --gif stamp.gif
        tconv explain --stride 2 --html layer.html

    Args:
        form: all, or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, adjoint, agreement; only as a
            picture forward, window, coverage, windows, neurons.
        html: Write a page to explore the layer, one file that needs no network, instead of text.
        svg: Write a picture.
        gif: Write a moving picture, one frame per step.
        png: Write a picture.
        moving: Let the SVG move.
    """
    seen = layer.explanation(geometry, form)
    kinds: list[tuple[Path | None, Callable[[], str | bytes]]] = [
        (html, seen.html),
        (svg, lambda: seen.svg(1.0 if moving else None)),
        (gif, seen.gif),
        (png, seen.png),
    ]
    for path, make in kinds:
        if path is not None:
            outputs.check_file(path, layer.files(), again=True)
            outputs.write(path, make())
            print(shown(path))
    if not any(path for path, _ in kinds):
        show(seen.__rich__())
