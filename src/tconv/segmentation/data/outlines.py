"""Masks that an annotation file describes as regions: judged, kept as run lengths, drawn when they are read.

pycocotools turns polygons into run lengths, so that a region has the pixels that COCO counts. It trusts its input, and
NaN or far coordinates end the process; so nothing reaches it that was not judged here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array

RUN = re.compile(r"[P-o]{0,5}[0-O]")  # a number in COCO's compressed form: 5 bits a character, all but the last marked


@dataclass(frozen=True, eq=False)  # arrays are not compared as a whole
class Outlines:
    """The regions of one image; where there is none, the mask is 0.

    Attributes:
        path: the annotation file.
        shape: (height, width), as the file says.
        regions: value and run lengths of each, the lowest first. Runs go down column after column, and are in turn
            outside the region, where the first may be 0, and inside.
    """

    path: Path
    shape: tuple[int, int]
    regions: tuple[tuple[int, Array], ...]

    def draw(self, upside_down: bool = False) -> Array:
        """(height, width) uint8: each region lies on those before it, or with `upside_down` on those after it."""
        pixels = np.zeros(self.shape[0] * self.shape[1], np.uint8)
        for value, runs in self.regions[:: -1 if upside_down else 1]:
            ends = np.cumsum(runs).tolist()
            for start, stop in zip(ends[::2], ends[1::2], strict=False):
                pixels[start:stop] = value
        return np.ascontiguousarray(pixels.reshape(self.shape, order="F"))


def run_lengths(region: Any, shape: tuple[int, int]) -> tuple[Array, float]:
    """The runs of what COCO calls a segmentation, int32, and how many pixels it reaches beyond the image.

    Args:
        region: a list of polygons [x, y, x, y, ...], or {"size", "counts"} with a list or COCO's string of run lengths.
        shape: of the image, (height, width).

    Raises:
        ImageFileError: what the region "has" that cannot be, without its name.
    """
    from pycocotools import mask as coco

    if isinstance(region, dict):
        return _listed(region, shape), 0.0
    if not isinstance(region, list) or not region:
        raise errors.ImageFileError("no outline; draw one, or remove it")
    polygons = region if isinstance(region[0], list) else [region]
    beyond = max(_beyond(polygon, shape) for polygon in polygons)
    joined = coco.merge(coco.frPyObjects(polygons, *shape))
    return np.array(_numbers(joined["counts"].decode()), np.int32), beyond


def runs_of(region: Array) -> Array:
    """The runs of a region that is given as (height, width) bool, int32."""
    flat = region.ravel(order="F")
    ends = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    runs = np.diff(ends)
    return np.concatenate(([0], runs) if flat[0] else (runs,)).astype(np.int32)


def _beyond(polygon: Any, shape: tuple[int, int]) -> float:
    """How many pixels a polygon reaches beyond the image; raises if it is none, or not of this image."""
    if not isinstance(polygon, list) or not all(_usable(value) for value in polygon):
        raise errors.ImageFileError("a polygon that is no list of usable numbers; correct it")
    if len(polygon) % 2:
        raise errors.ImageFileError(f"a polygon of {len(polygon)} coordinates; there must be an x and a y per point")
    if len(polygon) < 6:
        raise errors.ImageFileError(f"a polygon of {len(polygon) // 2} points; give at least 3, or remove it")
    height, width = shape
    beyond, outside = 0.0, False
    for values, size in ((polygon[::2], width), (polygon[1::2], height)):
        low, high = min(values), max(values)
        beyond = max(beyond, -low, high - size)
        outside |= low >= size or high <= 0 or max(-low, high - size) > size
    if outside:
        raise errors.ImageFileError(f"a polygon outside the image, {beyond:.0f} pixels beyond {width} x {height}; "
                                    f"correct its points, or the size of the image")  # fmt: skip
    return beyond


def _usable(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _listed(region: dict[str, Any], shape: tuple[int, int]) -> Array:
    """Run lengths that stand in the file."""
    counts, size = region.get("counts"), region.get("size")
    if size != list(shape):
        raise errors.ImageFileError(f"run lengths for the size {size}; it must be {list(shape)}, height and width")
    runs: Any = _numbers(counts) if isinstance(counts, str) else counts
    sound = isinstance(runs, list) and all(isinstance(run, int) and run >= 0 for run in runs)
    if not sound or sum(runs) != shape[0] * shape[1]:
        raise errors.ImageFileError("run lengths that do not add up to the image; export it again")
    return np.array(runs, np.int32)


def _numbers(text: str) -> list[int]:
    """The run lengths in COCO's compressed form; from the third on it gives the difference to the last but one."""
    if RUN.sub("", text):
        raise errors.ImageFileError("run lengths with characters that are none; export it again")
    runs: list[int] = []
    for digits in RUN.findall(text):
        number = sum((ord(digit) - 48 & 31) << 5 * place for place, digit in enumerate(digits))
        if ord(digits[-1]) - 48 & 16:
            number -= 1 << 5 * len(digits)
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
    return runs
