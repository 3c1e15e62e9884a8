"""What a picture consists of before it is drawn: cells, frames, arrows, words, images. No colour, no file format.

Lengths are in heights of a cell; x runs to the right, y downwards. A `Film` is one still after another, all of a size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias


class Role(StrEnum):
    """What a mark stands for; a renderer gives every role its colour, the same in all pictures."""

    INPUT = "input"
    KERNEL = "kernel"
    OUTPUT = "output"
    CANVAS = "canvas"  # a cell that stamps add up in
    CROPPED = "cropped"  # a cell that the crop cuts off
    HOLE = "hole"  # nothing meets here: the bias only
    ZERO = "zero"  # put in, between or around the input
    PHASE = "phase"  # tint: which one
    HEAT = "heat"  # tint: how much, 0 to 4
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Box:
    """One cell with its number.

    Attributes:
        tint: which of the role's colours.
        lit: it takes part in what the frame is about.
        size: height of the letters, in cells.
    """

    x: float
    y: float
    width: float
    text: str
    role: Role
    tint: int = 0
    lit: bool = False
    size: float = 4 / 9


@dataclass(frozen=True, slots=True)
class Frame:
    """An outline around cells: the window that is kept, or a kernel that slides."""

    x: float
    y: float
    width: float
    height: float
    role: Role


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text; `y` is its middle.

    Attributes:
        size: height of the letters, in cells.
        anchor: which end stands at x: start, middle or end.
    """

    x: float
    y: float
    text: str
    size: float = 0.4
    role: Role = Role.PLAIN
    bold: bool = False
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one place to another."""

    x: float
    y: float
    to_x: float
    to_y: float


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that is not made of cells.

    Attributes:
        png: the file.
        sharp: its pixels are larger than the screen's, and shall have edges.
        says: what it shows.
    """

    x: float
    y: float
    width: float
    height: float
    png: bytes
    sharp: bool = True
    says: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A line between two neurons, in one of the colours of phases.

    Attributes:
        tint: which colour.
        lit: it takes part in what the frame is about.
    """

    x: float
    y: float
    to_x: float
    to_y: float
    tint: int = 0
    lit: bool = False
    role: Role = Role.PHASE


Mark: TypeAlias = Box | Frame | Words | Arrow | Picture | Edge


@dataclass(frozen=True)
class Block:
    """Marks and the room that they take, from (0, 0)."""

    width: float
    height: float
    marks: tuple[Mark, ...]

    def at(self, x: float, y: float) -> tuple[Mark, ...]:
        """The marks, moved."""
        return tuple(_moved(mark, x, y) for mark in self.marks)


@dataclass(frozen=True)
class Scene(Block):
    """One still picture, and what it shows in a sentence.

    Attributes:
        bare: the picture without title, sentence and margin; None where it has none of them.
    """

    says: str = ""
    bare: Block | None = None


@dataclass(frozen=True)
class Film:
    """Stills of one size.

    Attributes:
        title: what the film is about.
        best: the still that stands for all.
    """

    title: str
    scenes: tuple[Scene, ...]
    best: int = -1

    @property
    def still(self) -> Scene:
        return self.scenes[self.best]

    @cached_property
    def size(self) -> tuple[float, float]:
        return max(scene.width for scene in self.scenes), max(scene.height for scene in self.scenes)


def beside(*blocks: Block, gap: float = 1.0) -> Block:
    """From left to right, their middles on one line."""
    height = max(block.height for block in blocks)
    x, marks = 0.0, list[Mark]()
    for block in blocks:
        marks += block.at(x, (height - block.height) / 2)
        x += block.width + gap
    return Block(x - gap, height, tuple(marks))


def above(*blocks: Block, gap: float = 0.6) -> Block:
    """From top to bottom, at the left margin."""
    y, marks = 0.0, list[Mark]()
    for block in blocks:
        marks += block.at(0, y)
        y += block.height + gap
    return Block(max(block.width for block in blocks), y - gap, tuple(marks))


def glyph(text: str) -> Block:
    """A sign between two blocks, such as = or an arrow."""
    if text == "→":
        return Block(0.8, 0.6, (Arrow(0, 0.3, 0.8, 0.3),))
    return Block(0.4, 0.6, (Words(0.2, 0.3, text, 0.6, anchor="middle"),))


def scene(block: Block, says: str, title: str = "") -> Scene:
    """The block under a title and over its sentence, with a margin."""
    head, margin = 1.0 if title else 0.0, 0.5
    words = Words(margin, margin + head + block.height + 0.7, says, 0.42)
    marks: list[Mark] = [Words(margin, margin + 0.2, title, 0.5, bold=True)] if title else []
    marks += [*block.at(margin, margin + head), words]
    wide = max(block.width, 0.22 * len(says), 0.3 * len(title))
    return Scene(wide + 2 * margin, block.height + head + 1.2 + margin, tuple(marks), says, block)


def shots(title: str, frames: Iterable[tuple[Block, str]], best: int = -1) -> Film:
    """A film of blocks and their sentences."""
    return Film(title, tuple(scene(block, says, title) for block, says in frames), best)


def tour(films: Iterable[Film]) -> Film:
    """One film after another; its still shows all of their stills, one below another."""
    films = tuple(films)
    whole = above(*(each.still for each in films), gap=0.2)
    scenes = [frame for each in films for frame in each.scenes]
    return Film("", (*scenes, Scene(whole.width, whole.height, whole.marks)))


def _moved(mark: Mark, x: float, y: float) -> Mark:
    if isinstance(mark, Arrow | Edge):
        return replace(mark, x=mark.x + x, y=mark.y + y, to_x=mark.to_x + x, to_y=mark.to_y + y)
    return replace(mark, x=mark.x + x, y=mark.y + y)
