"""Which value in a mask means which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.names import printable, shown
from tconv.segmentation.data.texts import read_text

IGNORED = 255  # the class index of pixels that are left out; so there are at most 255 classes
VOID = 255  # the value that stands for "ignore" where masks have classes 0, 1, 2, ... too
IGNORE = ("ignore", "__ignore__", "void", "unlabeled")  # names of what is left out

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Legend:
    """Which value in a mask means which class.

    Attributes:
        values: the value of class 0, 1, ...
        names: a name per class.
        ignore: the value of pixels that are left out, or None.
        colours: red, green and blue of each class in masks that are in colours; empty for others.
        ignored_colours: those of what is left out.
        objects: whether masks number objects, so that every value other than 0 means class 1.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    ignore: int | None = None
    colours: tuple[Colour, ...] = ()
    ignored_colours: tuple[Colour, ...] = ()
    objects: bool = False

    def classes(self, mask: Array) -> Array:
        """Class indices, uint8, IGNORED where the mask says `ignore`.

        Raises:
            ImageFileError: a value that is none of these.
        """
        table = np.full(2**16, -1, np.int16)
        table[list(self.values)] = range(len(self.values))
        if self.ignore is not None:
            table[self.ignore] = IGNORED
        found = table[mask]
        if (found < 0).any():
            value = int(mask[found < 0][0])
            raise errors.ImageFileError(f"value {value} is none of the classes {self}")
        return found.astype(np.uint8)

    def __str__(self) -> str:
        known = ", ".join(f"{value} {name}" for value, name in zip(self.values, self.names, strict=True))
        return known + (f", {self.ignore} ignored" if self.ignore is not None else "")


def make_legend(values: Sequence[int], indices: bool = False) -> Legend:
    """What sorted mask values mean: each is a class; but 255 beside two or more others that start at 0 is "ignore".

    Args:
        values: that masks have.
        indices: they are places in a palette, as in Pascal VOC, and not levels of grey, of which 255 may be one.

    >>> print(make_legend([0, 255]))
    0 background, 255 class 1
    >>> print(make_legend([0, 1, 2, 255]))
    0 background, 1 class 1, 2 class 2, 255 ignored
    >>> print(make_legend([0, 128, 255]))
    0 background, 128 class 1, 255 class 2
    """
    kept = [value for value in values if value != VOID]
    void = VOID in values and len(kept) >= 2 and kept[0] == 0 and (indices or kept[-1] < 2 * len(kept))
    classes = kept if void else sorted(values)
    names = ["background" if value == 0 else f"class {index}" for index, value in enumerate(classes)]
    return Legend(tuple(classes), tuple(names), VOID if void else None)


def read_legend(path: Path) -> Legend:
    """The classes written in a text file: a line per class, "value name" or, for values 0, 1, ..., only the name.

    "0 background" and "* cell" say that masks number objects, all of which are cells.

    Raises:
        TconvError: no text, no class, or a value twice; "ignore" is the name of what is left out.
    """
    text = read_text(path)
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    if [row[0] for row in rows] == ["0", "*"]:
        return Legend((0, 1), (printable(rows[0][-1]), printable(rows[1][-1])), objects=True)
    numbered = all(row[0].isdecimal() for row in rows)
    pairs = [(int(row[0]), row[-1]) if numbered else (n, " ".join(row)) for n, row in enumerate(rows)]
    ignored = [value for value, name in pairs if name == IGNORE[0]]
    kept = [(value, printable(name)) for value, name in pairs if name != IGNORE[0]]
    values = tuple(value for value, _ in kept)
    everything = [*values, *ignored]
    if not kept or len({*everything}) < len(everything) or len(kept) > IGNORED or max(everything) >= 2**16:
        raise errors.TconvError(
            f"{shown(path)} must name up to {IGNORED} classes, each value once: lines of VALUE NAME"
        )
    return Legend(values, tuple(name for _, name in kept), ignored[0] if ignored else None)
