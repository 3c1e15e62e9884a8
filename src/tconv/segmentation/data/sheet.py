"""Pictures of data: colours for classes, overlays, and a sheet of samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tconv.arrays import Array
from tconv.segmentation.data.masks import IGNORED

PAPER, INK, QUIET = "#fcfbf8", "#1d1d1f", "#77757a"
CELL, GAP, MARGIN, TEXT = 240, 20, 44, 17  # pixels
VEIL = 0.55  # how much of an overlay is the class's colour
GREY = (127, 127, 127)  # of what is ignored

Colours = Sequence[tuple[int, int, int]]


def visible(image: Array) -> Array:
    """Any image as uint8 RGB, stretched from its darkest to its brightest percent if it is not 8-bit."""
    shown = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2)
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, (1, 99))
        shown = np.clip((shown.astype(np.float32) - low) / max(high - low, 1e-12) * 255, 0, 255)
    return shown.astype(np.uint8)


def coloured(classes: Array, colours: Colours) -> Array:
    """(height, width) class indices as RGB."""
    table = np.full((256, 3), GREY, np.uint8)
    table[: len(colours)] = colours
    table[IGNORED] = GREY
    return table[classes]


def overlay(image: Array, classes: Array, colours: Colours) -> Array:
    """The image with a veil of the classes' colours; class 0 is left clear, and classes have a line around them."""
    rgb = visible(image).astype(np.float32)
    veil = np.where(classes == 0, 0.0, VEIL)[..., None]
    edge = np.zeros(classes.shape, bool)
    edge[1:] |= classes[1:] != classes[:-1]
    edge[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    veil[edge & (classes != 0)] = 1.0
    mixed: Array = rgb * (1 - veil) + coloured(classes, colours) * veil
    return np.rint(mixed).astype(np.uint8)


def sheet(columns: Sequence[str], rows: Sequence[Sequence[Array]], legend: Sequence[tuple[str, tuple[int, int, int]]],
          title: str, names: Sequence[str] = ()) -> Image.Image:  # fmt: skip
    """A grid of pictures with a heading and the classes' colours below.

    Args:
        columns: the heads.
        rows: of RGB uint8 arrays, as many as columns.
        legend: (name, colour) per class.
        title: above all.
        names: below each row's first picture.
    """
    width = 2 * MARGIN + len(columns) * (CELL + GAP) - GAP
    per_line = max(1, (width - 2 * MARGIN) // 170)
    top = MARGIN + 84
    height = top + len(rows) * (CELL + GAP + 16) + 34 * ceil(len(legend) / per_line) + MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN - 8), title, INK, ImageFont.load_default(26))
    for n, head in enumerate(columns):
        draw.text((MARGIN + n * (CELL + GAP), MARGIN + 46), head, QUIET, ImageFont.load_default(TEXT))
    for r, row in enumerate(rows):
        y = top + r * (CELL + GAP + 16)
        for n, pixels in enumerate(row):
            _paste(page, MARGIN + n * (CELL + GAP), y, pixels)
        if names:
            draw.text((MARGIN, y + CELL + 5), names[r], QUIET, ImageFont.load_default(14))
    y = height - MARGIN - 34 * ceil(len(legend) / per_line) + 10
    for n, (name, colour) in enumerate(legend):
        at = (MARGIN + n % per_line * 170, y + n // per_line * 34)
        draw.rectangle((*at, at[0] + 20, at[1] + 20), fill=colour, outline=QUIET)
        draw.text((at[0] + 30, at[1]), name[:16], INK, ImageFont.load_default(TEXT))
    return page


def _paste(page: Image.Image, x: int, y: int, pixels: Array) -> None:
    """The picture, its longer side CELL pixels; small ones keep their pixels sharp."""
    scale = CELL / max(pixels.shape[:2])
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    page.paste(Image.fromarray(pixels).resize(size, how), (x, y))
