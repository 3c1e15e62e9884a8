"""Pictures in files, as images from 0 to 1: found, read and written. What cannot be read is reported, and the rest is
done."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tconv import errors, outputs
from tconv.arrays import Array
from tconv.names import shown

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
GREYS = ("1", "L", "LA", "I;16", "I;16B", "I", "F")


def find(place: str) -> list[Path]:
    """The pictures of a file's name, a folder or a glob, in the order of their names.

    Raises:
        ImageFileError: there are none.
    """
    path = Path(place)
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise errors.ImageFileError(f"{shown(place)} holds no pictures; their names end in {', '.join(SUFFIXES)}")
        return found
    found = [path] if path.is_file() else sorted(Path(name) for name in glob(place))
    if not found:
        raise errors.ImageFileError(
            f"{shown(place)} does not exist, and no file's name matches it; name a picture, a folder or a glob"
        )
    return found


def read(path: Path, grey: bool = True) -> Array:
    """A picture as (channels, height, width), float32 from 0 to 1: one channel, or red, green and blue.

    Raises:
        ImageFileError: it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            opened.load()
            picture = _upright(opened)
            deep = picture.mode in ("I;16", "I;16B", "I", "F")
            pixels = np.asarray(picture if deep else picture.convert("L" if grey else "RGB"), np.float32)
    except UnidentifiedImageError as error:
        raise errors.ImageFileError(
            f"{shown(path)} is no picture that can be read; convert it to PNG, JPEG or TIFF"
        ) from error
    except Exception as error:  # Pillow raises whatever its decoders stumble over
        raise errors.ImageFileError(f"{shown(path)} cannot be read: {error or type(error).__name__}") from error
    most = 255 if not deep else 65535 if pixels.max(initial=0) > 1 else 1
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    if not grey and len(planes) == 1:
        planes = np.repeat(planes, 3, axis=0)
    return np.ascontiguousarray(planes / np.float32(most))


def _upright(picture: Image) -> Image:
    """The picture turned as its EXIF says; as it is where that is damaged, which says nothing about the pixels."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # Pillow raises whatever its parser stumbles over
        return picture


def as_picture(image: Array) -> Image:
    """(channels, height, width) from 0 to 1 as an 8-bit picture; what lies outside is cut off."""
    from PIL import Image

    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1))


def save(picture: Image, path: Path) -> None:
    """Write a PNG that appears whole or not at all.

    Raises:
        ImageFileError: it cannot be written.
    """
    with outputs.wholly(path) as part:
        picture.save(part, "PNG", optimize=True)
