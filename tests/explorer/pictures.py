"""Pictures as tests read them: the numbers of a scene, those of an SVG, and what of a moving one is seen when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree

import numpy as np

from tconv.explorer import svg, words
from tconv.explorer.scene import Box, Film, Role, Scene

SVG = "{http://www.w3.org/2000/svg}"


def texts(scene: Scene, *roles: Role, lit: bool | None = None) -> list[str]:
    """The numbers in cells of these roles, in the order of drawing."""
    boxes = [mark for mark in scene.marks if isinstance(mark, Box)]
    return [box.text for box in boxes if box.role in roles and lit in (None, box.lit)]


def written(values: object) -> list[str]:
    return [words.number(value) for value in np.ravel(values)]


def numbers(parts: Iterable[ElementTree.Element]) -> Counter[str | None]:
    """The numbers in cells, apart from titles and indices."""
    texts = [each for part in parts for each in part.iter(f"{SVG}text")]
    return Counter(each.text for each in texts if each.get("font-size") == "16")


def boxes(scene: Scene) -> Counter[str | None]:
    return Counter(mark.text for mark in scene.marks if isinstance(mark, Box) and mark.text)


def visible(style: str, name: str | None, share: float) -> bool:
    """Whether the animation of this name shows its marks after this share of its time."""
    found = re.search(rf"@keyframes {name}\{{((?:[\d.e-]+%\{{visibility:\w+\}})+)\}}", style)
    assert found, name
    states = re.findall(r"([\d.e-]+)%\{visibility:(\w+)\}", found[1])
    return [state for percent, state in states if float(percent) <= 100 * share + 0.01][-1] == "visible"


def shown_at(film: Film, n: int) -> list[ElementTree.Element]:
    """What of a moving SVG is seen while a frame lasts: the style's percentages, walked through as a browser does."""
    root = ElementTree.fromstring(svg.moving(film))
    style = root.findtext(f"{SVG}style") or ""
    share = n / len(film.scenes)
    return [part for part in root if part.tag != f"{SVG}g" or visible(style, part.get("class"), share)]
