"""The classes of one image that is in memory or in a file, as an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.components import finished
from tconv.segmentation.data.dataset import Normal
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.pixels import Raster, read_raster
from tconv.segmentation.memory import budget
from tconv.segmentation.predict.tasks import prepared
from tconv.segmentation.predict.tiles import as_classes, image_scores, tiling_of

DTYPES = ("uint8", "uint16", "float32")
MODES = ("1", "L", "I;16", "RGB")  # of Pillow, whose numbers are what they look like; others are converted to RGB


def classes_of(model: Any, card: Card, image: Any) -> Array:
    """Class indices, (height, width) uint8; 255 where the image has no number.

    Args:
        model: in evaluation mode.
        card: its own, by which the result is finished.
        image: a path, a Pillow image, or an array; see `runs.predict`.

    Raises:
        FileNotFoundError, ImageFileError, ArgumentTypeError, RankError: no image that the model takes.
    """
    is_path = isinstance(image, str | Path)
    path = Path(image) if is_path else Path("the image")
    raster = read_raster(path, card.axes) if is_path else as_raster(image)
    pixels, normal = prepared(card, raster, path), Normal(card.mean, card.std)
    shape = (pixels.shape[0], pixels.shape[1])
    found: Array = image_scores(
        model, lambda rows, columns: normal(pixels[rows, columns]), shape, tiling_of(model, memory=budget()), as_classes
    ).numpy()
    found = finished(found, card)
    if raster.valid is not None:
        found[~raster.valid] = IGNORED
    return found


def as_raster(image: Any) -> Raster:
    """A Pillow image or an array as an image; NaN and infinity are no numbers.

    Raises:
        ArgumentTypeError, RankError: it is none.
    """
    alpha = False
    if hasattr(image, "convert") and hasattr(image, "mode"):
        alpha = image.mode in ("LA", "RGBA")
        image = image if image.mode in MODES or alpha else image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    pixels = pixels.astype(np.float32) if pixels.dtype == np.float64 else pixels
    if pixels.dtype.name not in DTYPES:
        raise errors.ArgumentTypeError(f"the image has dtype {pixels.dtype}; give {', '.join(DTYPES)}, or its path")
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise errors.RankError(f"the image has shape {pixels.shape}; give (height, width) or (height, width, channels)")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.dtype.kind != "f" or np.isfinite(pixels).all():
        return Raster(pixels, alpha)
    valid = np.isfinite(pixels).all(axis=2)
    return Raster(np.where(valid[..., None], pixels, np.float32(0)), alpha, valid)
