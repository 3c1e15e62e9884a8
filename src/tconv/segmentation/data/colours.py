"""Masks in colours: which colour means which class, from a table that people write, or from the few colours there are.

A colour is one integer here, red*65536 + green*256 + blue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.names import printable, shown
from tconv.segmentation.data.legend import IGNORE, IGNORED, Colour, Legend
from tconv.segmentation.data.texts import read_text, table

TABLES = ("classes.csv", "class_dict.csv", "label_colors.txt", "labelmap.txt")  # ours; CamVid's two; CVAT's
MANY = 64  # colours: more are no classes that one could find by looking
HEX = re.compile(r"#([0-9a-fA-F]{6})")
FORM = "lines of NAME,RED,GREEN,BLUE, each number 0 to 255, and each colour once"


def codes(pixels: Array) -> Array:
    """(height, width, 3 or 4) uint8 as one int32 per pixel; where alpha is 0, black, as nothing was drawn there."""
    wide = pixels.astype(np.int32)
    found: Array = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    if pixels.shape[2] == 4:
        found[pixels[..., 3] == 0] = 0
    return found


def colour_of(code: int) -> Colour:
    """Red, green and blue."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


def code_of(colour: Colour) -> int:
    """The integer of a colour."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def read_colours(path: Path) -> Legend:
    """A colour table: NAME,RED,GREEN,BLUE or RED GREEN BLUE NAME, or NAME,#RRGGBB; a heading may stand above.

    A class called ignore, void or unlabeled is left out of training and measurement.

    Raises:
        OSError: it cannot be opened.
        TconvError: no such table.
    """
    found: list[tuple[str, Colour]] = []
    for number, row in table(read_text(path)):
        if row[0].startswith("#") and not HEX.fullmatch(row[0]):
            continue  # a remark, as CVAT's first line
        entry = _entry(row)
        if entry is None and found:
            raise errors.TconvError(f"{shown(path)}, line {number}, is no colour and name; write {FORM}")
        if entry is not None:
            found.append(entry)
    kept = [entry for entry in found if entry[0].lower() not in IGNORE]
    colours = [colour for _, colour in found]
    if not kept or len(set(colours)) < len(colours) or len(kept) > IGNORED:
        raise errors.TconvError(f"{shown(path)} must name 1 to {IGNORED} classes: {FORM}")
    void = tuple(colour for name, colour in found if name.lower() in IGNORE)
    return Legend(
        tuple(range(len(kept))), tuple(name for name, _ in kept), IGNORED if void else None,
        tuple(colour for _, colour in kept), void,
    )  # fmt: skip


def _entry(row: list[str]) -> tuple[str, Colour] | None:
    """A name and its colour, wherever in the row they stand; or None."""
    text = " ".join(row).replace(":", " ")
    coded = HEX.search(text)
    if coded:
        name, code = HEX.sub("", text).strip(" ,;"), int(coded[1], 16)
        return (printable(name), colour_of(code)) if name else None
    words = re.split(r"[\s,;]+", text.strip())
    for start in range(len(words) - 2):
        levels = words[start : start + 3]
        rest = " ".join(words[:start] + words[start + 3 :])
        if all(level.isdecimal() and int(level) < 256 for level in levels) and not rest.isdecimal() and rest:
            return printable(rest), (int(levels[0]), int(levels[1]), int(levels[2]))
    return None


def table_file(folder: Path) -> Path | None:
    """The colour table that lies in a data folder."""
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def found_colours(present: Iterable[int]) -> Legend:
    """A legend for the colours that masks have: black first, as background, then the others by red, green and blue.

    Raises:
        TconvError: too many for classes.
    """
    colours = [colour_of(code) for code in sorted(present)]
    if len(colours) > MANY:
        raise errors.TconvError(
            f"the masks have {len(colours)} colours, too many to be classes; export them as PNG with hard edges, or "
            f"say which colours mean what by --colors classes.csv, {FORM}"
        )
    names = ["background" if not any(colour) else "#{:02x}{:02x}{:02x}".format(*colour) for colour in colours]
    return Legend(tuple(range(len(colours))), tuple(names), None, tuple(colours))


def values_of(legend: Legend) -> dict[int, int]:
    """The mask value of each colour of a legend with colours."""
    found = {code_of(colour): value for colour, value in zip(legend.colours, legend.values, strict=True)}
    void = IGNORED if legend.ignore is None else legend.ignore
    return found | {code_of(colour): void for colour in legend.ignored_colours}


def to_values(coded: Array, legend: Legend, path: Path) -> Array:
    """Colours (height, width) int32 as mask values, uint8.

    Raises:
        ImageFileError: a colour that is not in the table.
    """
    known = values_of(legend)
    found, places = np.unique(coded, return_inverse=True)
    unknown = [int(code) for code in found if int(code) not in known]
    if unknown:
        row, column = np.argwhere(coded == unknown[0])[0]
        raise errors.ImageFileError(
            f"{shown(path)} has {int((coded == unknown[0]).sum())} pixels of colour {colour_of(unknown[0])}, the first "
            f"in row {row}, column {column}, which is not in the colour table; add it there, or correct the mask"
        )
    values = np.array([known[int(code)] for code in found], np.uint8)
    return values[places.reshape(coded.shape)]
