"""Where on the earth an image lies: read from its tags or its world file, and written with its mask.

Source: OGC GeoTIFF 1.1; the world file of ESRI, six lines beside an image with the letters of its suffix and a w.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

TAGS = (33550, 33922, 34264, 34735, 34736, 34737)  # scale, tie points, transformation; keys, their numbers, their texts
NODATA = 42113  # GDAL's tag: the value of pixels that are none
WORLD = 6  # lines


@dataclass(frozen=True)
class Georeference:
    """What places an image.

    Attributes:
        tags: (code, type, count, value) of each GeoTIFF tag.
        world: the text of the world file, or "".
    """

    tags: tuple[tuple[int, int, int, Any], ...] = ()
    world: str = ""

    def __bool__(self) -> bool:
        return bool(self.tags or self.world)

    def extratags(self, nodata: int) -> list[tuple[int, int | str, int, Any, bool]]:
        """For tifffile's writer: the tags, and the value of pixels that are none, as GDAL writes it."""
        return [(*tag, True) for tag in self.tags] + [(NODATA, "s", 0, str(nodata), True)]


def georeference(path: Path, page: Any = None) -> Georeference:
    """Of a file, with its first TIFF page if it has one; nothing where tags or world file are damaged."""
    found = []
    for code in TAGS if page is not None else ():
        tag = page.tags.get(code)
        if tag is not None and tag.value is not None:
            text = isinstance(tag.value, str)
            found.append((code, int(tag.dtype), 0 if text else int(tag.count), tag.value))
    return Georeference(tuple(found), _world(path))


def world_suffix(suffix: str) -> str:
    """Of the world file of an image: .tfw for .tif, .pgw for .png."""
    return f".{suffix[1]}{suffix[-1]}w"


def _world(path: Path) -> str:
    suffix = path.suffix.lower()
    if len(suffix) < 3:
        return ""
    for ending in (world_suffix(suffix), world_suffix(suffix).upper(), f"{suffix}w", ".wld"):
        beside = path.with_suffix(ending)
        try:
            lines = beside.read_text(encoding="utf-8").split()
            if len(lines) == WORLD and all(map(_is_number, lines)):
                return "\n".join(lines) + "\n"
        except (OSError, ValueError):
            continue
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
