"""`explain`: one layer with its numbers, to be had as text, picture, film or page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tconv import errors, outputs
from tconv.arrays import Array
from tconv.explorer import examples
from tconv.explorer.page import page
from tconv.explorer.scene import Film, tour
from tconv.explorer.scenes import SCENES
from tconv.explorer.slides import behind, slides
from tconv.explorer.start import start
from tconv.explorer.svg import moving, still
from tconv.explorer.trace import Trace, trace
from tconv.geometry import Geometry
from tconv.geometry.arguments import Ints, Padding

if TYPE_CHECKING:
    from rich.console import Group

FORMS = (*SCENES, "agreement")


@dataclass(frozen=True, eq=False)
class Explanation:
    """A layer and one sample, explained. Made by `explain`; print it, save it, or leave it as a notebook's last line.

    Attributes:
        geometry: where every input goes.
        x: the input, (*size), (channels, *size) or (1, channels, *size).
        weight: (*kernel) for one channel, or (in_channels, out_channels/groups, *kernel).
        bias: one number per output channel, or None.
        groups: number of channel groups.
        form: "all", or the form that is meant.
    """

    geometry: Geometry
    x: Array
    weight: Array
    bias: Array | None = None
    groups: int = 1
    form: str = "all"

    @cached_property
    def trace(self) -> Trace:
        """The numbers; raises `TooLargeError` where they are more than anyone reads."""
        return trace(self.geometry, self.x, self.weight, self.bias, self.groups)

    @cached_property
    def film(self) -> Film:
        """What a picture shows, frame by frame, before it is drawn; for "all", the films of all forms."""
        if self.form == "agreement":
            raise errors.TconvError(f"form 'agreement' has no picture; choose all or one of {', '.join(SCENES)}")
        if self.form == "all":
            return tour(make(self.trace) for make in SCENES.values())
        return SCENES[self.form](self.trace)

    def svg(self, moving_seconds: float | None = None, slide: str | None = None) -> str:
        """A picture; or a moving one, with that many seconds per frame.

        Args:
            slide: light or dark, for a slide of that colour or for paper: transparent, with large letters, no title.

        Raises:
            TconvError: `slide` is something else.
        """
        clear = None if slide is None else behind(slide)
        film = self.film if clear is None else slides(self.film)
        return still(film.still, clear) if moving_seconds is None else moving(film, moving_seconds, clear)

    def steps(self, slide: str = "light") -> list[str]:
        """One SVG per frame of the film, for slides that go on step by step; `slide` as in `svg`."""
        clear = behind(slide)
        return [still(scene, clear) for scene in slides(self.film).scenes]

    def png(self, slide: str | None = None) -> bytes:
        """A picture; `slide` as in `svg`. It needs Pillow."""
        from tconv.explorer.raster import png

        if slide is not None:
            return png(slides(self.film).still, behind(slide), clear=True)
        return png(self.film.still)

    def gif(self, seconds: float = 1.0) -> bytes:
        """A moving picture, `seconds` per frame; needs Pillow."""
        from tconv.explorer.raster import gif

        return gif(self.film, seconds)

    def html(self, lesson: bool = False) -> str:
        """One page that explores this layer: every form, linked, with numbers to be changed. It needs no network.

        Args:
            lesson: begin with the lesson, from which the explorer is one click away.

        Raises:
            TooLargeError: larger than the page draws.
        """
        state = start(self.geometry, self.x, self.weight, self.bias, self.groups, self.form)
        return page({**state, "lesson": 1} if lesson else state)

    def save(self, path: str | Path) -> None:
        """Write the file that the suffix says: .html, .svg, .png or .gif.

        Raises:
            TconvError: another suffix.
        """
        path = Path(path)
        kinds: dict[str, Callable[[], str | bytes]]
        kinds = {".html": self.html, ".svg": self.svg, ".png": self.png, ".gif": self.gif}
        if path.suffix not in kinds:
            raise errors.TconvError(f"{path.name!r} must end in one of {', '.join(kinds)}, which says what is written")
        outputs.write(path, kinds[path.suffix]())

    def __rich__(self) -> Group:
        """For `rich.print`; needs rich."""
        from tconv.explorer.text import text

        return text(self.trace, self.form)

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=StringIO(), width=80, highlight=False)
        with console.capture() as captured:
            console.print(self.__rich__())
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def __repr__(self) -> str:
        return f"<Explanation of {self.geometry}, form {self.form}>"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that it and the notebook leave each other alone."""
        from html import escape

        frame = "width:100%;height:900px;border:0"
        return f'<iframe srcdoc="{escape(self.html())}" style="{frame}" title="tconv: {self.geometry}"></iframe>'


def explain(
    x: Any = None,
    w: Any = None,
    bias: Any = None,
    *,
    in_size: Ints | None = None,
    kernel: Ints | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    geometry: Geometry | None = None,
    form: str = "all",
) -> Explanation:
    """Explain a small transposed convolution, number by number. It prints nothing: print or save what it returns.

    Args:
        x: the input, (*size) or (channels, *size); without it an example, of `in_size` if that is given.
        w: the kernel, (*kernel) or (in_channels, out_channels/groups, *kernel); likewise, of size `kernel`.
        bias: one number per output channel.
        stride, padding, output_padding, dilation: as in `Geometry.from_torch`.
        geometry: instead of these four.
        form: "all", or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, adjoint, forward, window,
            coverage, windows, neurons, undoing, agreement; hyphens do as well.

    Raises:
        TconvError: an unknown form; contradicting arguments.
        RankError, InputSizeError, LengthError: arrays that do not fit; and what `Geometry.from_torch` raises.

    >>> seen = explain([1, 2, 3], [1, 2, 1], stride=2, form="gather")
    >>> seen
    <Explanation of 1-D: kernel 3, stride 2, dilation 1, crop (0, 0), form gather>
    >>> seen.trace.y.tolist()
    [[1, 2, 3, 4, 5, 6, 3]]
    """
    name = form.replace("-", "_")
    if name != "all" and name not in FORMS:
        raise errors.TconvError(f"form {form!r} is unknown; choose all or one of {', '.join(FORMS)}")
    inputs, weight, ndim = examples.arrays(x, w, in_size, kernel)
    if geometry is None:
        geometry = Geometry.from_torch(weight.shape[-ndim:], stride, padding, output_padding, dilation, ndim)
    elif (stride, padding, output_padding, dilation) != (1, 0, 0, 1):
        raise errors.TconvError(
            "geometry already has stride, padding, output_padding and dilation; give it, or give them"
        )
    return Explanation(geometry, inputs, weight, bias, groups, name)
