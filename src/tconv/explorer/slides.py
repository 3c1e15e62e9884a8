"""Pictures for slides and papers: no title, for the slide has its own, larger letters, and nothing behind the cells."""

from __future__ import annotations

from dataclasses import replace
from textwrap import wrap

from tconv import errors
from tconv.explorer.palette import DARK, LIGHT, Theme
from tconv.explorer.scene import Block, Box, Film, Mark, Scene, Words

NUMBERS = 0.56  # heights of letters, in cells
NAMES = 0.56
INDICES = 0.32
SENTENCE = 0.62
LETTER = 0.52  # width of a letter, in its height
NARROWEST = 11.0  # a sentence has at least this much room
THEMES = {"light": LIGHT, "dark": DARK}


def behind(slide: str) -> Theme:
    """The colours that are seen on a light or a dark slide.

    Raises:
        TconvError: neither.
    """
    if slide not in THEMES:
        raise errors.TconvError(f"slide {slide!r} is unknown; choose light or dark, the colour of what lies behind")
    return THEMES[slide]


def slides(film: Film) -> Film:
    """The film without titles, in large letters, sentences broken into lines; all frames are of one size."""
    made = [_slide(scene) for scene in film.scenes]
    width, height = max(scene.width for scene in made), max(scene.height for scene in made)
    return Film(film.title, tuple(replace(scene, width=width, height=height) for scene in made), film.best)


def _slide(scene: Scene) -> Scene:
    bare = scene.bare or Block(scene.width, scene.height, scene.marks)
    width = max(bare.width, NARROWEST)
    lines = wrap(scene.says, int(width / (SENTENCE * LETTER))) if scene.bare else []
    marks = [_enlarged(mark) for mark in bare.marks]
    first, step = bare.height + 0.8, SENTENCE * 1.35
    marks += [Words(0, first + n * step, line, SENTENCE) for n, line in enumerate(lines)]
    height = first + step * len(lines) if lines else bare.height
    margin = 0.3
    moved = Block(width, height, tuple(marks)).at(margin, margin)
    return Scene(width + 2 * margin, height + 2 * margin, moved, scene.says)


def _enlarged(mark: Mark) -> Mark:
    if isinstance(mark, Box):
        return replace(mark, size=NUMBERS)
    if isinstance(mark, Words):
        return replace(mark, size=INDICES if mark.size < 0.4 else max(mark.size, NAMES))
    return mark
