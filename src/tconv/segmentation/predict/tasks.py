"""What is computed for an image, without writing: all of a picture in memory, or a row of tiles of a larger one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.components import finished
from tconv.segmentation.data.dataset import Normal
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.masks import mark, mask_picture
from tconv.segmentation.data.pictures import is_tiff
from tconv.segmentation.data.pixels import Raster, read_raster
from tconv.segmentation.data.sheet import overlay, visible
from tconv.segmentation.data.tiff import check_axes, count_pages
from tconv.segmentation.predict.crew import Job
from tconv.segmentation.predict.tiles import (
    TILE,
    Cut,
    Finish,
    Strip,
    Tiling,
    as_classes,
    as_scores,
    image_scores,
    strip_of,
)
from tconv.segmentation.predict.windows import by_window, tiff_bytes

OVERLAY = "_overlay.png"  # what follows the name of an image


@dataclass(frozen=True)
class Wish:
    """What is written beside the masks, except for images that are read by window.

    Attributes:
        overlay: NAME_overlay.png, the image under a veil of the classes' colours.
        probabilities: NAME_probabilities.npy, (classes, height, width) float32; NaN where the image has no numbers.
        again: write what was written before.
        tile: pixels per side of a tile, for images that are too large for one piece.
        memory: bytes that a tile may take; None for as many as it needs.
        axes: what the axes of a TIFF are, in its order, as in "CYX"; default as in training, or what the file says.

    Raises:
        TconvError: a tile without pixels, or axes that cannot be.
    """

    overlay: bool = False
    probabilities: bool = False
    again: bool = False
    tile: int = TILE
    memory: int | None = None
    axes: str = ""

    def __post_init__(self) -> None:
        if self.tile < 1:
            raise errors.TconvError(f"--tile {self.tile} must be at least 1 pixel per side; {TILE} is usual")
        check_axes(self.axes)


@dataclass(frozen=True)
class Picture(Job):
    """An image that fits into memory, what is wished for, and how it is cut."""

    wish: Wish
    tiling: Tiling


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
    tiling: Tiling
    axes: str


def picture(model: nn.Module, card: Card, job: Picture) -> Made:
    """The files of a picture.

    Raises:
        OSError, ImageFileError: as `read_raster` and `Raster.fitted`.
    """
    wish, axes = job.wish, job.wish.axes or card.axes
    pages = count_pages(job.path, axes) if is_tiff(job.path) else 1
    if pages > 1:
        return _stack(model, card, job, [read_raster(job.path, axes, page) for page in range(pages)])
    raster = read_raster(job.path, axes)
    shown = visible(raster) if wish.overlay else None
    found = _found(model, card, job, raster, as_scores if wish.probabilities else as_classes)
    classes = (as_classes(found) if wish.probabilities else found).numpy()
    classes = finished(classes, card)
    counting = classes if raster.valid is None else classes[raster.valid]
    files = {}
    if raster.valid is not None:
        classes[~raster.valid] = IGNORED
    if shown is not None:
        files[OVERLAY] = _png(Image.fromarray(overlay(shown, classes, card.palette)))
    if wish.probabilities:
        files["_probabilities.npy"] = _npy(found, raster.valid)
    files |= _mask_files(card, classes, raster)
    return Made(files, bool((counting == counting[:1].flat[0]).all()))


def _found(model: nn.Module, card: Card, job: Picture, raster: Raster, finish: Finish) -> Tensor:
    """The finished scores of an image."""
    pixels = prepared(card, raster, job.path)
    normal = Normal(card.mean, card.std)
    shape = (pixels.shape[0], pixels.shape[1])
    return image_scores(model, lambda rows, columns: normal(pixels[rows, columns]), shape, job.tiling, finish)


def _stack(model: nn.Module, card: Card, job: Picture, rasters: list[Raster]) -> Made:
    """The mask of a TIFF of several pictures: one with as many pages, and nothing beside it."""
    masks = []
    for raster in rasters:
        classes = _found(model, card, job, raster, as_classes).numpy()
        if raster.valid is not None:
            classes[~raster.valid] = IGNORED
        masks.append(classes)
    stack = np.stack(masks)
    return Made({".tif": tiff_bytes(stack, card, rasters[0].place)}, bool((stack == stack.flat[0]).all()))


def prepared(card: Card, raster: Raster, path: Path) -> Array:
    """The pixels of an image as the model's normalisation takes them: its channels, and the mean where there is none.

    Raises:
        ImageFileError: the image has other channels.
    """
    return Normal(card.mean, card.std).filled(raster.fitted(card.channels, path))


def row(model: nn.Module, card: Card, job: Row) -> Strip:
    """The classes of a row of tiles, and the scores that it shares with its neighbours.

    Raises:
        OSError, ImageFileError: as `by_window` and `Raster.fitted`.
    """
    with by_window(job.path, job.axes) as source:
        pixels = prepared(card, source.read(slice(job.cut.start, job.cut.stop)), job.path)
    normal = Normal(card.mean, card.std)  # tile by tile, as floats take more memory
    columns = job.tiling.cuts(pixels.shape[1])
    return strip_of(model, lambda where: normal(pixels[:, where]), job.cut, columns, as_classes)


def _mask_files(card: Card, classes: Array, raster: Raster) -> dict[str, bytes]:
    """A PNG; or a TIFF where tags say where on the earth the image lies. A world file goes with either."""
    tiff = bool(raster.place.tags)
    files = {".tfw" if tiff else ".pgw": raster.place.world.encode()} if raster.place.world else {}
    mask = tiff_bytes(classes, card, raster.place) if tiff else _png(mask_picture(classes, card.palette))
    return files | {".tif" if tiff else ".png": mask}


def _npy(found: Tensor, valid: Array | None) -> bytes:
    probabilities = found.softmax(dim=0).numpy()
    if valid is not None:
        probabilities[:, ~valid] = np.nan
    numbers = io.BytesIO()
    np.save(numbers, probabilities)
    return numbers.getvalue()


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, format="PNG", pnginfo=mark())
    return written.getvalue()
