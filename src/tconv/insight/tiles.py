"""A crop or a projection as a small image: colours, slices and curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from tconv.arrays import Array
from tconv.insight.strongest import Sighting

LARGE = 96  # pixels per side from which on pixels need no sharp edges; larger tiles are made smaller
MOST = 232  # pixels per side of what is written into a file, which is what a tile has in a PNG
GREY, CURVE, PAPER = 128, (27, 122, 61), (244, 246, 248)
WIDE, TALL = 160, 80  # of a curve
BRIGHTEST = 99.5  # percent of a projection's values that are not beyond the range of the colours


@dataclass(frozen=True)
class Tile:
    """A small image.

    Attributes:
        png: the file.
        shape: height and width.
        sharp: its pixels shall have edges.
    """

    png: bytes
    shape: tuple[int, int]
    sharp: bool


def of_projection(each: Sighting) -> Tile:
    """Grey where nothing comes back, brighter and darker or coloured where something does."""
    values = each.projection.movedim(0, -1).numpy()
    largest = float(np.percentile(np.abs(values), BRIGHTEST)) or float(np.abs(values).max()) or 1.0
    scaled = np.clip(values / largest, -1, 1)
    return _tile(scaled, lambda flat: np.clip(np.rint(GREY + 127 * flat), 0, 255))


def of_crop(each: Sighting) -> Tile:
    """The image as it is; one that is not of 8 bits from its darkest to its brightest value."""
    values = each.crop
    if values.dtype == np.uint8:
        return _tile(values, lambda flat: flat)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1 and high > 0.5:
        low, high = 0.0, 1.0  # a picture in the usual range keeps its light
    scaled = (values.astype(np.float32) - low) / max(high - low, 1e-12)
    return _tile(scaled, lambda flat: np.rint(255 * flat))


def _tile(values: Array, coloured: Callable[[Array], Array]) -> Tile:
    """(*size, channels) as an image of one signal, one plane, or the middle plane of a volume."""
    if values.ndim == 2:
        return _curve(values)
    while values.ndim > 3:
        values = values[values.shape[0] // 2]
    channels = values.shape[2]
    if channels not in (1, 3):
        values = values[..., :3] if channels == 4 else values.mean(axis=2, keepdims=True)
    pixels = coloured(values.repeat(3, axis=2) if values.shape[2] == 1 else values).astype(np.uint8)
    image = Image.fromarray(pixels)
    height, width = pixels.shape[:2]
    if max(height, width) > MOST:
        scale = MOST / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return Tile(_encoded(image), (height, width), max(height, width) < LARGE)


def _curve(values: Array) -> Tile:
    """A signal (length, channels) over its length; the mean of its channels."""
    line = values.astype(np.float32).mean(axis=1)
    low, high = float(line.min()), float(line.max())
    places = np.interp(np.linspace(0, len(line) - 1, WIDE), np.arange(len(line)), line)
    rows = np.rint((TALL - 5) * (1 - (places - low) / max(high - low, 1e-12)) + 2).astype(int)
    pixels = np.full((TALL, WIDE, 3), PAPER, np.uint8)
    for column, (before, row) in enumerate(zip([rows[0], *rows], rows, strict=False)):
        pixels[min(before, row) : max(before, row) + 2, column] = CURVE
    return Tile(_encoded(Image.fromarray(pixels)), (TALL, WIDE), False)


def _encoded(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
