"""The pictures in the documents are what the code draws; `make gallery` draws them anew."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tconv.arrays import Array
from tconv.explorer import gallery, svg

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"
FIGURES = {figure.name: figure for figure in gallery.figures()}
IMAGE = re.compile(r"data:image/png;base64,([\w+/=]+)")


def pixels(encoded: str) -> Array:
    """A photograph in an SVG: what it shows, as other versions of zlib write other bytes for it."""
    with Image.open(BytesIO(b64decode(encoded))) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", FIGURES)
def test_figure(name: str) -> None:
    film = FIGURES[name].film()
    drawn, kept = svg.moving(film), (GALLERY / f"{name}.svg").read_text(encoding="utf-8")
    assert IMAGE.sub("", kept) == IMAGE.sub("", drawn), "make gallery"
    for mine, other in zip(IMAGE.findall(kept), IMAGE.findall(drawn), strict=True):
        assert abs(pixels(mine) - pixels(other)).max() <= 1, "make gallery"
    frames = len(film.scenes)
    with Image.open(GALLERY / f"{name}.gif") as image:
        assert getattr(image, "n_frames", 1) == frames
        assert image.size == tuple(round(2 * 36 * length) // 2 for length in film.size)


def test_nothing_is_left_over() -> None:
    assert {path.name for path in GALLERY.iterdir()} - {"explorer.html"} == {
        "README.md",
        *(f"{name}.{kind}" for name in FIGURES for kind in ("svg", "gif")),
    }
    assert (GALLERY / "README.md").read_text(encoding="utf-8") == gallery.page()


def test_the_fifteen_of_the_guide_are_there() -> None:
    names = [figure.name for figure in gallery.guide()]
    assert len(names) == 15 and sum(name.endswith("_transposed") for name in names) == 7
    sizes = {figure.name: figure.says.rpartition(" ")[2] for figure in gallery.guide()}
    for name in names:
        if name.endswith("_transposed"):  # each brings back the size that its convolution began with
            says = FIGURES[name.removesuffix("_transposed")].says
            assert f"input {sizes[name]}," in says


@pytest.mark.parametrize("page", ["README.md", "docs/walkthrough.md", "docs/gallery/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert targets
    for target in targets:
        assert ((ROOT / page).parent / target).exists(), target
