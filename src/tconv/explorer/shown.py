"""What can be shown: `Shown` makes pictures, films, text and a page of whatever has a film, a text and a page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from tconv import errors, outputs
from tconv.explorer.scene import Film
from tconv.explorer.slides import behind, slides
from tconv.explorer.svg import moving, still

if TYPE_CHECKING:
    from rich.console import Group


class Shown(ABC):
    """Print it, save it, or leave it as a notebook's last line.

    Attributes:
        form: what is shown, in the word of `tconv explain --form`.
    """

    form: str

    @property
    @abstractmethod
    def film(self) -> Film:
        """What a picture shows, frame by frame, before it is drawn."""

    @abstractmethod
    def html(self) -> str:
        """One page that needs no network, to be explored in a browser."""

    @abstractmethod
    def __rich__(self) -> Group:
        """For `rich.print`; needs rich."""

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

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=StringIO(), width=80, highlight=False)
        with console.capture() as captured:
            console.print(self.__rich__())
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str | None:
        """The page in a frame of its own, so that it and the notebook leave each other alone.

        None where the page does not draw this; a notebook then shows the picture.
        """
        from html import escape

        try:
            page = self.html()
        except (errors.TooLargeError, errors.RankError):
            return None
        frame = "width:100%;height:900px;border:0"
        return f'<iframe srcdoc="{escape(page)}" style="{frame}" title="{escape(repr(self)[1:-1])}"></iframe>'
