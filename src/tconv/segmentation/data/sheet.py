"""Pictures of data: colours for classes, overlays, and a sheet of samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tconv.arrays import Array
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.masks import GREY
from tconv.segmentation.data.pixels import Raster

PAPER, INK, QUIET = "#fcfbf8", "#1d1d1f", "#77757a"
CELL, GAP, MARGIN, TEXT = 240, 20, 44, 17  # pixels
ENTRY = 228  # pixels of a class in the legend
VEIL = 0.55  # how much of an overlay is the class's colour
BAND = 256  # rows that are mixed at a time

Colours = Sequence[tuple[int, int, int]]


def visible(raster: Raster) -> Array:
    """Any image as uint8 RGB, stretched from its darkest to its brightest percent if it is not 8-bit."""
    image = raster.pixels
    shown = image[..., :3] if raster.channels >= 3 else image[..., :1].repeat(3, axis=2)
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown if raster.valid is None else shown[raster.valid], (1, 99))
        shown = np.clip((shown.astype(np.float32) - low) / max(high - low, 1e-12) * 255, 0, 255)
    return shown.astype(np.uint8)


def coloured(classes: Array, colours: Colours) -> Array:
    """(height, width) class indices as RGB."""
    table = np.full((256, 3), GREY, np.uint8)
    table[: len(colours)] = colours
    table[IGNORED] = GREY
    return table[classes]


def overlay(rgb: Array, classes: Array, colours: Colours) -> Array:
    """A picture (height, width, 3) uint8 with a veil of the classes' colours; class 0 is left clear, and classes have a
    line around them."""
    veil = np.where(classes == 0, 0.0, VEIL).astype(np.float32)[..., None]
    edge = np.zeros(classes.shape, bool)
    edge[1:] |= classes[1:] != classes[:-1]
    edge[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    veil[edge & (classes != 0)] = 1.0
    mixed = np.empty_like(rgb)
    for top in range(0, len(rgb), BAND):  # as floats take four times as much, of large photographs gigabytes
        rows = slice(top, top + BAND)
        parts = rgb[rows] * (1 - veil[rows]) + coloured(classes[rows], colours) * veil[rows]
        mixed[rows] = np.rint(parts)
    return mixed


def sheet(columns: Sequence[str], rows: Sequence[Sequence[Array]], legend: Sequence[tuple[str, tuple[int, int, int]]],
          title: str, names: Sequence[Sequence[str]] = ()) -> Image.Image:  # fmt: skip
    """A grid of pictures with a heading and the classes' colours below.

    Args:
        columns: the heads.
        rows: of RGB uint8 arrays, up to as many as columns.
        legend: (name, colour) per class.
        title: above all.
        names: below each row, for groups of equally many columns.
    """
    groups = max((len(row) for row in names), default=1)
    per_group = len(columns) // groups
    left = [MARGIN + n * (CELL + GAP) + n // per_group * GAP for n in range(len(columns))]
    width = left[-1] + CELL + MARGIN
    fitted = [[_fitted(pixels) for pixels in row] for row in rows]
    tall = [max(picture.height for picture in row) for row in fitted]
    per_line = max(1, (width - 2 * MARGIN) // ENTRY)
    top = MARGIN + 84
    below = top + sum(height + GAP + 20 for height in tall)
    page = Image.new("RGB", (width, below + 34 * ceil(len(legend) / per_line) + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    _write(draw, (MARGIN, MARGIN - 8), title, INK, 26, width - 2 * MARGIN)
    for x, head in zip(left, columns, strict=True):
        _write(draw, (x, MARGIN + 46), head, QUIET, TEXT, CELL)
    for r, row in enumerate(fitted):
        for x, picture in zip(left, row, strict=False):
            page.paste(picture, (x, top))
        for g, name in enumerate(names[r] if names else ()):
            low = max(picture.height for picture in row[g * per_group : (g + 1) * per_group])
            _write(draw, (left[g * per_group], top + low + 5), name, QUIET, 14, per_group * (CELL + GAP) - GAP)
        top += tall[r] + GAP + 20
    for n, (name, colour) in enumerate(legend):
        x, y = MARGIN + n % per_line * ENTRY, below + 10 + n // per_line * 34
        draw.rectangle((x, y, x + 20, y + 20), fill=colour, outline=QUIET)
        _write(draw, (x + 30, y), name, INK, TEXT, ENTRY - 40)
    return page


def reduced(pixels: Array, nearest: bool = False) -> Array:
    """A picture or class indices, the longer side at most CELL pixels."""
    return pixels if max(pixels.shape[:2]) <= CELL else np.asarray(_fitted(pixels, nearest))


def _fitted(pixels: Array, nearest: bool = False) -> Image.Image:
    """The picture, its longer side CELL pixels; small ones keep their pixels sharp."""
    scale = CELL / max(pixels.shape[:2])
    how = Image.Resampling.NEAREST if nearest or scale >= 1 else Image.Resampling.LANCZOS
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return Image.fromarray(pixels).resize(size, how)


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: str, size: int, room: int) -> None:
    """Text that ends in dots where it would be wider than `room` pixels."""
    font = ImageFont.load_default(size)
    kept = len(text)
    while kept and draw.textlength(text[:kept], font) > room:
        kept -= 1
    draw.text(at, text if kept == len(text) else text[: max(0, kept - 2)] + "...", colour, font)
