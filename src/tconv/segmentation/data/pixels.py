"""Images of any kind as arrays, as they are shown: the one place that reads an image.

What a file says about itself is followed: the orientation of EXIF and TIFF, palettes, "0 is white", which channel is
alpha, which pixels are none. Files are told by their content, not by their name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.names import shown
from tconv.segmentation.data.georeference import Georeference, georeference
from tconv.segmentation.data.guard import guarded
from tconv.segmentation.data.pictures import (
    as_shown,
    deep_channels,
    exif_orientation,
    is_tiff,
    open_picture,
    read_deep,
    turned,
)
from tconv.segmentation.data.tiff import Meaning, decoded, unturned, with_tiff
from tconv.segmentation.data.upright import upright

TIFFS = (".tif", ".tiff")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", *TIFFS)
KEPT = ("uint8", "uint16", "float32")
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Raster:
    """An image.

    Attributes:
        pixels: (height, width, channels): uint8, uint16 or float32; 0 where there is no number.
        alpha: whether the last channel is alpha and not measured.
        valid: (height, width) bool, false where a pixel is none (NaN, infinite, GDAL's nodata); None if all are.
        orientation: that was applied, 1 to 8.
        place: where on the earth.
    """

    pixels: Array
    alpha: bool = False
    valid: Array | None = None
    orientation: int = 1
    place: Georeference = field(default_factory=Georeference)

    @property
    def channels(self) -> int:
        """That are measured."""
        return int(self.pixels.shape[2]) - self.alpha

    def fitted(self, channels: int, path: Path) -> Raster:
        """With as many channels as a model takes, where there is one way: alpha is dropped, grey and RGB convert.

        Raises:
            ImageFileError: the counts do not fit.
        """
        found, pixels = self.channels, self.pixels[..., : self.channels]
        if (found, channels) == (1, 3):
            pixels = pixels.repeat(3, axis=2)
        elif (found, channels) == (3, 1):
            grey = pixels.astype(np.float32) @ LUMA
            pixels = (np.rint(grey) if pixels.dtype.kind != "f" else grey).astype(pixels.dtype)[..., None]
        elif found != channels:
            beside = " beside alpha" if self.alpha else ""
            raise errors.ImageFileError(
                f"{shown(path)} has {found} channels{beside} and the model takes {channels}; give it such images"
            )
        return replace(self, pixels=pixels, alpha=False)


def fit_channels(pixels: Array, channels: int, path: Path) -> Array:
    """An array that no file describes, (height, width, channels), with as many channels as a model takes.

    Of 2 or 4 channels the last one is taken for alpha where the model takes 1 or 3; the rest as `Raster.fitted`.
    """
    alpha = pixels.shape[2] in (2, 4) and channels in (1, 3)
    return Raster(pixels, alpha).fitted(channels, path).pixels


def read_image(path: str | Path, axes: str = "", page: int = 0) -> Array:
    """The pixels of a file: (height, width, channels), uint8, uint16 or float32; alpha is the last one.

    Arguments and errors as `read_raster`.
    """
    return read_raster(path, axes, page).pixels


def read_raster(path: str | Path, axes: str = "", page: int = 0) -> Raster:
    """An image.

    Args:
        path: of a PNG, JPEG, TIFF, BMP, WebP or GIF.
        axes: what the axes of a TIFF are, in its order, as in "CYX"; a letter beside these, as in "ZYX", means pictures
            of their own. Default what the file says.
        page: which of those pictures.

    Raises:
        FileNotFoundError, PermissionError: there is no such file, or it may not be read.
        ImageFileError: it cannot be read, or is of a kind whose meaning is unclear; the message says what to do.
    """
    path = Path(path)
    if is_tiff(path):
        pixels, found = with_tiff(path, lambda series, found: decoded(path, series, found, page), axes)
        raster = as_raster(path, pixels, found)
        if raster.valid is not None and not raster.valid.any():
            raise errors.ImageFileError(
                f"{shown(path)} has no pixel that counts: all are NaN, infinite or its nodata value; leave it out"
            )
        return _upright(raster, found.orientation)
    count = deep_channels(path)
    with guarded(path):
        if count:
            stored, alpha = read_deep(path, count), count in (2, 4)
            orientation = turned(path)
        else:
            with open_picture(path) as image:
                stored, alpha = as_shown(path, image)
                orientation = exif_orientation(image)
    place = georeference(path) if orientation == 1 else Georeference()
    return _upright(Raster(stored, alpha, place=place), orientation)


def as_raster(path: Path, pixels: Array, found: Meaning) -> Raster:
    """Numbers of a TIFF, (height, width, channels), as what they show; of all of it or of a window.

    Raises:
        ImageFileError: no pixels, or numbers that are no image.
    """
    if pixels.size == 0:
        raise errors.ImageFileError(f"{shown(path)} has no pixels ({pixels.shape}); remove it or write it again")
    if pixels.dtype.kind not in "buif":
        raise errors.ImageFileError(f"{shown(path)} has dtype {pixels.dtype}; convert it to {', '.join(KEPT)}")
    valid = _valid(pixels[..., : len(found.channels)], found.nodata)
    if found.palette is not None and pixels.dtype.kind in "bu":
        pixels = found.palette[np.minimum(pixels[..., 0], len(found.palette) - 1)]
    else:
        pixels = unturned(pixels, found)
        if pixels.dtype == np.uint8 and 1 < found.top < 255:  # few bits are shown from black to white
            pixels = (pixels * np.uint16(255) // np.uint16(found.top)).astype(np.uint8)
    if valid is not None and pixels.dtype.kind == "f":
        pixels = np.where(valid[..., None], pixels, pixels.dtype.type(0))
    place = found.place if found.orientation == 1 else Georeference()
    return Raster(_numbers(pixels), found.alpha is not None, valid, 1, place)


def _valid(pixels: Array, nodata: float | None) -> Array | None:
    """Where pixels are numbers; None if everywhere."""
    valid = np.ones(pixels.shape[:2], bool)
    if pixels.dtype.kind == "f":
        valid &= np.isfinite(pixels).all(axis=2)
    if nodata is not None and np.isfinite(nodata):
        # An unsigned 0 or 255 is a colour, too; it means "none" only where all channels say so.
        equal = pixels == np.asarray(nodata).astype(pixels.dtype) if pixels.dtype.kind == "f" else pixels == nodata
        valid &= ~(equal.all(axis=2) if pixels.dtype.kind in "ub" else equal.any(axis=2))
    return None if valid.all() else valid


def _numbers(pixels: Array) -> Array:
    """Of one of three kinds: bool as 0 and 255; what is neither of these nor the others as float32."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    return pixels if pixels.dtype.name in KEPT else pixels.astype(np.float32)


def _upright(raster: Raster, orientation: int) -> Raster:
    if orientation == 1:
        return raster
    valid = None if raster.valid is None else upright(raster.valid, orientation)
    return replace(raster, pixels=upright(raster.pixels, orientation), valid=valid, orientation=orientation)


def unit(pixels: Array) -> Array:
    """float32: integers as parts of their range, floats as they are."""
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float32, copy=False)
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
