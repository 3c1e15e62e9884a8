"""What is computed for an image, without writing: all of a picture in memory, or a row of tiles of a larger one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.data.dataset import Normal
from tconv.segmentation.data.masks import mask_picture
from tconv.segmentation.data.pixels import fit_channels, read_image
from tconv.segmentation.data.sheet import overlay
from tconv.segmentation.predict.crew import Job
from tconv.segmentation.predict.tiles import (
    Cut,
    Finish,
    Strip,
    as_classes,
    as_scores,
    bands,
    scores,
    strip_of,
    tiling_of,
)
from tconv.segmentation.predict.windows import by_window

WHOLE = 2**20  # pixels up to which an image goes through the network in one piece


@dataclass(frozen=True)
class Wish:
    """What is written beside the masks, except for images that are read by window.

    Attributes:
        overlay: NAME_overlay.png, the image under a veil of the classes' colours.
        probabilities: NAME_probabilities.npy, (classes, height, width) float32.
        again: write what exists already.
        tile: pixels per side of a tile, for images of more than a megapixel.
    """

    overlay: bool = False
    probabilities: bool = False
    again: bool = False
    tile: int = 512


@dataclass(frozen=True)
class Picture(Job):
    """An image that fits into memory, and what is wished for."""

    wish: Wish


@dataclass(frozen=True)
class Made:
    """What became of a picture.

    Attributes:
        files: the bytes of every file, by what follows NAME; the mask comes last, as it says that all is done.
        same: whether every pixel got the same class.
    """

    files: dict[str, bytes]
    same: bool


@dataclass(frozen=True)
class Row(Job):
    """A row of tiles of an image that is read by window."""

    cut: Cut
    tile: int


def picture(model: nn.Module, card: Card, job: Picture) -> Made:
    """The files of a picture.

    Raises:
        OSError, ImageFileError: as `read_image` and `fit_channels`.
    """
    pixels, wish = read_image(job.path), job.wish
    found = _whole(model, card, pixels, job, as_scores if wish.probabilities else as_classes)
    classes = (as_classes(found) if wish.probabilities else found).numpy()
    files = {}
    if wish.overlay:
        files["_overlay.png"] = _png(Image.fromarray(overlay(pixels, classes, card.palette)))
    if wish.probabilities:
        numbers = io.BytesIO()
        np.save(numbers, found.softmax(dim=0).numpy())
        files["_probabilities.npy"] = numbers.getvalue()
    files[".png"] = _png(mask_picture(classes, card.palette))
    return Made(files, bool((classes == classes.flat[0]).all()))


def _whole(model: nn.Module, card: Card, pixels: Array, job: Picture, finish: Finish) -> Tensor:
    """The finished scores of an image in memory, in tiles if it is large."""
    height, width = pixels.shape[:2]
    if height * width <= WHOLE:
        return finish(scores(model, normalised(card, pixels, job.path)))
    tiling = tiling_of(model, job.wish.tile)
    columns = tiling.cuts(width)
    strips = (
        _strip(model, card, pixels[cut.start : cut.stop], job.path, cut, columns, finish) for cut in tiling.cuts(height)
    )
    return torch.cat([torch.from_numpy(band) for band in bands(strips, finish)], dim=-2)


def row(model: nn.Module, card: Card, job: Row) -> Strip:
    """The classes of a row of tiles, and the scores that it shares with its neighbours.

    Raises:
        OSError, ImageFileError: as `by_window` and `fit_channels`.
    """
    with by_window(job.path) as source:
        pixels, width = source.read(slice(job.cut.start, job.cut.stop)), source.shape[1]
    return _strip(model, card, pixels, job.path, job.cut, tiling_of(model, job.tile).cuts(width), as_classes)


def _strip(
    model: nn.Module, card: Card, pixels: Array, path: Path, cut: Cut, columns: list[Cut], finish: Finish
) -> Strip:
    """`strip_of` the pixels of a row; they are normalised tile by tile, as floats take more memory."""
    return strip_of(model, lambda where: normalised(card, pixels[:, where], path), cut, columns, finish)


def normalised(card: Card, pixels: Array, path: Path) -> Tensor:
    """(height, width, channels) of a file as what the model reads."""
    return Normal(card.mean, card.std)(fit_channels(pixels, card.channels, path))


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, format="PNG")
    return written.getvalue()
