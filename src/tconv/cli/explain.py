"""`tconv explain`: every form of a small transposed convolution, and what it is for; as text, picture or page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tconv import errors, outputs
from tconv.cli.layer_options import EXAMPLE, LayerOptions
from tconv.cli.options import DEFAULTS, GeometryOptions
from tconv.cli.screen import show
from tconv.cli.subject import ALONE, NetworkOptions, subject
from tconv.explorer import Shown
from tconv.names import shown


def explain(
    *,
    layer: LayerOptions = EXAMPLE,
    geometry: GeometryOptions = DEFAULTS,
    network: NetworkOptions = ALONE,
    form: str = "all",
    html: Path | None = None,
    svg: Path | None = None,
    gif: Path | None = None,
    png: Path | None = None,
    moving: Annotated[bool, Parameter(negative="")] = False,
    slide: Literal["light", "dark"] | None = None,
    steps: Path | None = None,
) -> None:
    """Show every form of a small transposed convolution, number by number.

    One sample with one or two spatial axes, in pictures with three; without
    arrays, a 2x2 input and a 3x3 kernel. All forms are computed, and compared
    with the compiled core. Two forms show what the layer is for: in a network,
    and with kernels that are learned.

        tconv explain
        tconv explain --stride 2 --padding 1 --output-padding 1
        tconv explain --x [1,2,3] --w [1,2,1] --stride 2 --form scatter
        tconv explain --in 3x3 --kernel 2 --stride 3 --bias 5 --form gather
        tconv explain --stride 2 --form scatter --gif stamp.gif
        tconv explain --stride 2 --form scatter --steps slides
        tconv explain --stride 2 --html layer.html
        tconv explain --form network --in 101 --depth 4
        tconv explain --form network --in 572 --depth 4 --unpadded --png u-net.png
        tconv explain --form learned --kernel 4 --gif learned.gif

    Args:
        form: all, or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, adjoint, forward, window,
            coverage, windows, neurons, undoing; only as text agreement. Or, of no layer, network (a U-Net or an FCN:
            the size of every map, what repairs those that do not fit, what an output sees), or learned (a photograph
            through fixed kernels and a trained one).
        html: Write a page to explore the layer, one file that needs no network, instead of text.
        svg: Write a picture.
        gif: Write a moving picture, one frame per step.
        png: Write a picture.
        moving: Let the SVG move.
        slide: The SVG and the PNG for a slide of that colour: transparent, with large letters and without a title.
        steps: Write an SVG per step into this folder, made for slides.
    """
    if slide and not (svg or png or steps):
        raise errors.TconvError(f"--slide {slide} is for --svg, --png and --steps; give one of them")
    seen = subject(form, layer, geometry, network)
    kinds: list[tuple[Path | None, Callable[[], str | bytes]]] = [
        (html, seen.html),
        (svg, lambda: seen.svg(1.0 if moving else None, slide)),
        (gif, seen.gif),
        (png, lambda: seen.png(slide)),
    ]
    for path, make in kinds:
        if path is not None:
            outputs.check_file(path, layer.files(), again=True)
            outputs.write(path, make())
            print(shown(path))
    if steps is not None:
        _write_steps(steps, seen, slide or "light", layer)
    if not any(path for path, _ in kinds) and steps is None:
        show(seen.__rich__())


def _write_steps(folder: Path, seen: Shown, slide: str, layer: LayerOptions) -> None:
    """FORM-1.svg and so on, as many digits as the last one needs."""
    pictures = seen.steps(slide)
    paths = [folder / f"{seen.form}-{n:0{len(str(len(pictures)))}}.svg" for n in range(1, len(pictures) + 1)]
    outputs.check_folder(folder, layer.files())
    for path in paths:
        outputs.check_file(path, again=True)
    for path, picture in zip(paths, pictures, strict=True):
        outputs.write(path, picture)
    print(f"{shown(folder)}: {len(paths)} pictures, {paths[0].name} to {paths[-1].name}")
