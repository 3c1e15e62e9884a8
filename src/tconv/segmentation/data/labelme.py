"""labelme: a JSON file per image, with shapes that have a label.

Source: labelme's own format (versions 3 to 5): shapes of the types polygon, rectangle, circle and mask have an area;
points and lines have none.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from io import BytesIO
from math import cos, hypot, pi, sin
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.names import printable, shown
from tconv.segmentation.data.legend import IGNORED, Legend
from tconv.segmentation.data.outlines import Outlines, run_lengths, runs_of
from tconv.segmentation.data.pairs import Listing, Pair, Problem, composed, pictures, unique
from tconv.segmentation.data.pictures import MOST

FOLDERS = (".", "annotations", "labels", "json")  # where the files lie, seen from the data folder
IMAGES = (".", "images", "imgs", "JPEGImages")
BACKGROUND, IGNORE = "_background_", "__ignore__"
CORNERS = 64  # of the polygon that stands for a circle


@dataclass(frozen=True)
class Drawing:
    """One file: its image, the image's (height, width), and its shapes with their labels."""

    path: Path
    image: Path
    shape: tuple[int, int]
    shapes: tuple[tuple[str, Array], ...]


def labelme_files(folder: Path) -> list[Path]:
    """The files of labelme in a data folder, told by their content; of one of its folders."""
    for name in FOLDERS:
        place = folder / name
        if place.is_dir():
            found = sorted(file for file in place.glob("*.json") if _is_one(file))
            if found:
                return found
    return []


def read_labelme(folder: Path, files: list[Path]) -> Listing:
    """Images and shapes. Background is 0 and the labels are 1, 2, ... by name; later shapes lie on earlier ones.

    The label `__ignore__` means pixels that are left out, and `_background_` background, as for labelme itself. An
    image with a shape that cannot be drawn is left out: without it, the mask would teach something wrong.

    Raises:
        TconvError: too many labels for classes.
    """
    drawings: list[Drawing] = []
    problems: list[Problem] = []
    for file in files:
        try:
            drawings.append(_drawing(folder, file))
        except (errors.TconvError, OSError) as error:
            problems.append(Problem(file, str(error)))
    labels = sorted({label for drawing in drawings for label, _ in drawing.shapes} - {BACKGROUND, IGNORE})
    if len(labels) >= IGNORED:
        raise errors.TconvError(f"{shown(folder)} has {len(labels)} labels; a mask has {IGNORED - 1} classes at most")
    values = {BACKGROUND: 0, IGNORE: IGNORED} | {label: n for n, label in enumerate(labels, 1)}
    pairs = [
        Pair(d.image.stem, d.image, Outlines(d.path, d.shape, tuple((values[name], runs) for name, runs in d.shapes)))
        for d in drawings
    ]
    listing = unique(sorted(pairs, key=lambda pair: pair.image), problems)
    used = any(label == IGNORE for drawing in drawings for label, _ in drawing.shapes)
    names = ("background", *map(printable, labels))
    listing.legend = Legend(tuple(range(len(names))), names, IGNORED if used else None)
    drawn = {composed(file.stem) for file in files}
    bare = [file for place in {d.image.parent for d in drawings} for file in pictures(place)
            if composed(file.stem) not in drawn]  # fmt: skip
    if bare:
        listing.notes.append(f"images without a file of labelme, which are left out: {len(bare)}")
    return listing


def _is_one(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return b'"shapes"' in opened.read() and file.name[0] != "."
    except OSError:
        return False


def _drawing(folder: Path, file: Path) -> Drawing:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise errors.ImageFileError(f"{shown(file)} is no JSON ({error}); copy or save it again") from error
    shapes = content.get("shapes") if isinstance(content, dict) else None
    size: Any = (content.get("imageHeight"), content.get("imageWidth")) if isinstance(content, dict) else ()
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise errors.ImageFileError(f"{shown(file)} has no list of shapes; save it again in labelme")
    if not all(isinstance(n, int) and n > 0 for n in size) or size[0] * size[1] > MOST:
        raise errors.ImageFileError(
            f"{shown(file)} has imageHeight {size[0]} and imageWidth {size[1]}; write those of the image"
        )
    image = _image(folder, file, str(content.get("imagePath") or ""))
    regions = [_region(file, n, shape, size) for n, shape in enumerate(shapes)]
    return Drawing(file, image, size, tuple(regions))


def _image(folder: Path, file: Path, name: str) -> Path:
    """The image of a file: the one that it names, or one of its own name; never outside the data folder."""
    base = PureWindowsPath(name).name
    for place in (file.parent, *(folder / other for other in IMAGES)):
        if base and (place / base).is_file():
            return place / base
        if place.is_dir():
            for other in pictures(place):
                if composed(other.stem) == composed(file.stem):
                    return other
    raise errors.ImageFileError(f"{shown(file)} is of the image {printable(base) or 'without a name'}, which is not "
                                f"there; put it beside the file")  # fmt: skip


def _region(file: Path, number: int, shape: dict[str, Any], size: tuple[int, int]) -> tuple[str, Array]:
    label, kind, points = shape.get("label"), shape.get("shape_type") or "polygon", shape.get("points")
    name = f"{shown(file)}: shape {number} ({printable(str(label))})"
    if not isinstance(label, str) or not label:
        raise errors.ImageFileError(f"{name} has no label; give it one")
    try:
        if kind == "mask":
            return label, _painted(shape, size)
        return label, run_lengths([_polygon(str(kind), points)], size)[0]
    except errors.ImageFileError as error:
        raise errors.ImageFileError(f"{name} has {error}; the image is left out") from error


def _polygon(kind: str, points: Any) -> list[Any]:
    """The corners of a shape, x and y in turn, or an error that says what it has."""
    flat = _flat(points)
    if kind == "polygon":
        return flat
    if kind not in ("rectangle", "circle"):
        raise errors.ImageFileError(f"the type {kind!r}, which has no area; draw a polygon around what is meant")
    if len(flat) != 4 or not all(isinstance(value, int | float) for value in flat):
        raise errors.ImageFileError(f"{len(flat) // 2} points, and a {kind} has two; draw it again")
    left, top, right, bottom = flat
    if kind == "rectangle":
        return [left, top, right, top, right, bottom, left, bottom]
    radius = hypot(right - left, bottom - top)  # a circle is its centre and a point on it
    angles = [2 * pi * n / CORNERS for n in range(CORNERS)]
    return [value for a in angles for value in (left + radius * cos(a), top + radius * sin(a))]


def _flat(points: Any) -> list[Any]:
    sound = isinstance(points, list) and all(isinstance(point, list) and len(point) == 2 for point in points)
    if not sound:
        raise errors.ImageFileError("points that are no pairs of numbers; draw it again")
    return [value for point in points for value in point]


def _painted(shape: dict[str, Any], size: tuple[int, int]) -> Array:
    """A shape that was painted: a picture of its own, in a box of the image."""
    from PIL import Image

    corners = _flat(shape.get("points"))
    try:
        with Image.open(BytesIO(base64.b64decode(str(shape.get("mask")), validate=True))) as image:
            part = np.asarray(image.convert("L")) > 0
        left, top = round(corners[0]), round(corners[1])
    except Exception as error:  # of base64, of Pillow, or for want of a corner
        raise errors.ImageFileError("a painted mask that cannot be read; paint it again") from error
    whole = np.zeros(size, bool)
    room = whole[max(0, top) : top + part.shape[0], max(0, left) : left + part.shape[1]]
    if room.shape != part.shape:
        raise errors.ImageFileError("a painted mask that reaches beyond the image; paint it again")
    room[:] = part
    return runs_of(whole)
