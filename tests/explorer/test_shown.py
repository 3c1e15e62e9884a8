"""What is no layer is shown as layers are: every renderer draws what the scenes hold, steps and slides included."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from explorer.pictures import SVG, boxes, numbers, shown_at
from PIL import Image

import tconv
from tconv import errors
from tconv.explorer import Shown, explain, explain_learned, explain_network, slides
from tconv.explorer.scene import Box, Film, Picture, Scene, Words

SUBJECTS: dict[str, Callable[[], Shown]] = {
    "unet": lambda: explain_network(101),
    "planes": lambda: explain_network((25, 30), depth=2, kernel=3, padding=1),
    "fcn": lambda: explain_network(500, "FCN-16s"),
    "learned": lambda: explain_learned(4),
    "layer": lambda: explain([1, 2], [3, 4], form="gather"),
}
subjects = pytest.mark.parametrize("name", SUBJECTS)


def images(parts: Iterable[ElementTree.Element]) -> Counter[bytes]:
    """The pictures in an SVG."""
    found = [each.get("href") or "" for part in parts for each in part.iter(f"{SVG}image")]
    return Counter(b64decode(text.removeprefix("data:image/png;base64,")) for text in found)


def pictures(scene: Scene) -> Counter[bytes]:
    return Counter(mark.png for mark in scene.marks if isinstance(mark, Picture))


def test_the_doors_are_at_the_top() -> None:
    assert tconv.explain_network is explain_network and tconv.explain_learned is explain_learned


@subjects
def test_svg_shows_the_scene(name: str) -> None:
    seen = SUBJECTS[name]()
    root = ElementTree.fromstring(seen.svg())
    assert numbers([root]) == boxes(seen.film.still) and images([root]) == pictures(seen.film.still)
    assert root.get("aria-label") == seen.film.still.says
    assert seen._repr_svg_() == seen.svg()


@subjects
def test_moving_svg_shows_every_scene_in_its_time(name: str) -> None:
    film = SUBJECTS[name]().film
    for n, scene in enumerate(film.scenes):
        parts = shown_at(film, n)
        assert numbers(parts) == boxes(scene) and images(parts) == pictures(scene)


@subjects
def test_gif_and_png(name: str) -> None:
    seen = SUBJECTS[name]()
    with Image.open(BytesIO(seen.gif(0.5))) as moving:
        assert (getattr(moving, "n_frames", 1), moving.info["duration"]) == (len(seen.film.scenes), 500)
        assert moving.size == tuple(round(2 * 36 * length) // 2 for length in seen.film.size)
    with Image.open(BytesIO(seen.png())) as still:
        assert still.size == (round(seen.film.still.width * 72), round(seen.film.still.height * 72))
    for slide in ("light", "dark"):
        with Image.open(BytesIO(seen.png(slide=slide))) as clear:
            assert clear.mode == "RGBA" and clear.getpixel((1, 1)) in [(255, 255, 255, 0), (18, 22, 27, 0)]


@subjects
def test_slides_and_steps(name: str) -> None:
    seen = SUBJECTS[name]()
    made: Film = slides.slides(seen.film)
    steps = seen.steps("dark")
    assert len(steps) == len(seen.film.scenes) == len(made.scenes)
    for text, scene, plain in zip(steps, made.scenes, seen.film.scenes, strict=True):
        root = ElementTree.fromstring(text)
        assert images([root]) == pictures(plain) and boxes(scene) == boxes(plain)
        assert 'class="paper"' not in text and "prefers-color-scheme" not in text
        lines = [mark for mark in scene.marks if isinstance(mark, Words)]
        assert " ".join(line.text for line in lines if line.size == slides.SENTENCE) == plain.says
        assert all(mark.x + mark.width <= scene.width for mark in scene.marks if isinstance(mark, Box))


@subjects
def test_save_and_notebook(name: str, tmp_path: Path) -> None:
    seen = SUBJECTS[name]()
    for suffix in ("svg", "png", "gif"):
        seen.save(tmp_path / f"it.{suffix}")
        assert (tmp_path / f"it.{suffix}").stat().st_size > 1000
    cell = seen._repr_html_()
    if name == "planes":  # which the page does not draw: a notebook shows the picture
        assert cell is None and seen._repr_svg_().startswith("<svg")
    else:
        seen.save(tmp_path / "it.html")
        assert (tmp_path / "it.html").read_text(encoding="utf-8") == seen.html()
        assert cell and f'title="{repr(seen)[1:-1]}"' in cell
    with pytest.raises(errors.TconvError) as caught:
        seen.save(tmp_path / "it.jpg")
    assert str(caught.value) == "'it.jpg' must end in one of .html, .svg, .png, .gif, which says what is written"


@subjects
def test_text_fits_the_page(name: str) -> None:
    from rich.console import Console

    for width in (80, 120):
        console = Console(width=width, highlight=False)
        with console.capture() as captured:
            console.print(SUBJECTS[name]())
        assert max(map(len, captured.get().splitlines())) <= width


@pytest.mark.parametrize("form", ["network", "learned"])
def test_a_layer_is_not_asked_for_what_is_none(form: str) -> None:
    with pytest.raises(errors.TconvError) as caught:
        explain(form=form)
    assert str(caught.value) == f"form '{form}' is not of a layer; call tconv.explain_{form}() for it"
