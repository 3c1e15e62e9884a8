"""Images of any kind as arrays (height, width, channels), as they are shown: an orientation in the EXIF is applied.

PNG, JPEG, BMP, WebP and GIF by Pillow; TIFF, with any number of channels and 8, 16 or 32 bits, by tifffile.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from tconv import errors
from tconv.arrays import Array

TIFFS = (".tif", ".tiff")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", *TIFFS)
MODES = {"1": "L", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "P": "RGB", "I;16": "I;16", "I;16B": "I;16"}
DTYPES = ("uint8", "uint16", "float32")
MOST = 2**30  # values of a TIFF that are read at once
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS or 2**27


def read_image(path: str | Path) -> Array:
    """The pixels of a file.

    Returns:
        (height, width, channels): uint8, uint16 or float32; 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA, else as in the TIFF.

    Raises:
        FileNotFoundError, PermissionError: as the system says.
        ImageFileError: it cannot be read, or is of a kind whose meaning is unclear; the message says what to do.
    """
    path = Path(path)
    if path.suffix.lower() in TIFFS:
        pixels = _read_tiff(path)
    else:
        with open_picture(path) as image:
            pixels = _from_pillow(path, image)
    if pixels.size == 0:
        raise errors.ImageFileError(f"{shown(path)} has no pixels ({pixels.shape}); remove it or write it again")
    return pixels


def open_picture(path: Path) -> Image.Image:
    """The Pillow image of a file, its pixels read; what is broken is an ImageFileError with the file's name."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # up to twice the limit; then it raises
            if not file.peek(1):
                raise errors.ImageFileError(f"{shown(path)} is empty; copy it again")
            image = Image.open(file)
            image.load()
    except (FileNotFoundError, PermissionError, IsADirectoryError, errors.ImageFileError):
        raise
    except Image.DecompressionBombError as error:
        raise errors.ImageFileError(
            f"{shown(path)} claims more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, which may be a "
            f"decompression bomb; if you trust it, convert it to a tiled TIFF, which is read by window"
        ) from error
    except UnidentifiedImageError as error:
        raise errors.ImageFileError(
            f"{shown(path)} is no picture that can be read; convert it to PNG, JPEG or TIFF"
        ) from error
    except BROKEN as error:
        raise errors.ImageFileError(f"{shown(path)} is truncated or damaged; copy or export it again") from error
    return image


def is_turned(path: Path) -> bool:
    """Whether the EXIF of a picture exchanges its height and width."""
    with suppress(*BROKEN), Image.open(path) as image:
        return bool(image.getexif().get(ExifTags.Base.Orientation, 1) > 4)
    return False


def _from_pillow(path: Path, image: Image.Image) -> Array:
    turned: Any = ImageOps.exif_transpose(image)
    mode = "RGBA" if turned.mode == "P" and "transparency" in turned.info else MODES.get(turned.mode)
    if mode is None:
        raise errors.ImageFileError(
            f"{shown(path)} has the colour mode {turned.mode}; convert it to RGB or grey with 8 or 16 bits"
        )
    pixels = np.asarray(turned if turned.mode == mode else turned.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def _read_tiff(path: Path) -> Array:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if series.size > MOST:
                raise errors.ImageFileError(
                    f"{shown(path)} claims {series.size:,} values, which may be a decompression bomb; if you trust it, "
                    f"cut it into images of at most {MOST:,} (`predict` reads it by window)"
                )
            axes, pages = series.axes, series.asarray()
    except (FileNotFoundError, errors.ImageFileError):
        raise
    except (*BROKEN, tifffile.TiffFileError, RuntimeError) as error:
        raise errors.ImageFileError(f"{shown(path)} is truncated or damaged; copy or export it again") from error
    return checked(channels_last(pages, axes, path), path) if pages.size else pages


def channels_last(array: Array, axes: str, path: Path) -> Array:
    """The array of a TIFF with `axes` (tifffile's letters) as (height, width, channels)."""
    axes, array = squeezed(axes, array)
    others = [axis for axis in axes if axis not in "YX"]
    if "Y" not in axes or "X" not in axes or len(others) > 1:
        raise errors.ImageFileError(
            f"{shown(path)} has the axes {axes} ({array.shape}); write one file per page, with channels as the only "
            f"axis beside height and width"
        )
    order = [axes.index(axis) for axis in "YX" + "".join(others)]
    return np.ascontiguousarray(array.transpose(order)).reshape(*(array.shape[n] for n in order[:2]), -1)


def squeezed(axes: str, array: Array) -> tuple[str, Array]:
    """Without axes of length 1 other than height and width."""
    kept = [n for n, axis in enumerate(axes) if axis in "YX" or array.shape[n] > 1]
    return "".join(axes[n] for n in kept), array.reshape([array.shape[n] for n in kept])


def checked(pixels: Array, path: Path) -> Array:
    """The pixels if numbers of a known kind, bool as 0 and 255."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype.name not in DTYPES:
        raise errors.ImageFileError(f"{shown(path)} has dtype {pixels.dtype}; convert it to {', '.join(DTYPES)}")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        count = int((~np.isfinite(pixels)).sum())
        raise errors.ImageFileError(f"{shown(path)} has {count} values that are NaN or infinite; replace them")
    return pixels


def unit(pixels: Array) -> Array:
    """float32: integers as parts of their range, floats as they are."""
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float32, copy=False)
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def fit_channels(pixels: Array, channels: int, path: Path) -> Array:
    """The image with as many channels as a model takes, where there is one way: alpha is dropped, grey and RGB convert.

    Raises:
        ImageFileError: the counts do not fit.
    """
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if found in (2, 4) and channels in (1, 3):
        return fit_channels(pixels[..., :-1], channels, path)
    if (found, channels) == (1, 3):
        return pixels.repeat(3, axis=2)
    if (found, channels) == (3, 1):
        grey = pixels.astype(np.float32) @ LUMA
        return (np.rint(grey) if pixels.dtype.kind != "f" else grey).astype(pixels.dtype)[..., None]
    raise errors.ImageFileError(
        f"{shown(path)} has {found} channels and the model takes {channels}; give it such images"
    )


def shown(path: str | Path) -> str:
    """The name of a file in a message; bytes that are no text are shown as such."""
    return os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
