"""PNG, JPEG, BMP, WebP and GIF by Pillow; PNGs of 16 bits per colour, of which Pillow keeps 8, by imagecodecs."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from tconv import errors, extras
from tconv.arrays import Array
from tconv.names import shown
from tconv.segmentation.data.containers import PNG, without_metadata
from tconv.segmentation.data.guard import guarded
from tconv.segmentation.data.upright import ORIENTATION, understood

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF's
MODES = {"1": "L", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "P": "RGB", "PA": "RGBA",
         "I;16": "I;16", "I;16B": "I;16", "I;16L": "I;16"}  # fmt: skip
ALPHA = ("LA", "RGBA")
MOST = 2 * 89_478_485  # pixels of a picture that is decoded as a whole: Pillow's own limit, also where it was lifted
DEEP = {2: 3, 4: 2, 6: 4}  # channels of a PNG by its colour type, where it has more than grey
DEEP_CHUNKS = (b"IHDR", b"IDAT", b"IEND")


def is_tiff(path: Path) -> bool:
    """Whether the content of a file is a TIFF's, whatever its name is."""
    with guarded(path), path.open("rb") as file:
        return file.read(4) in TIFF_HEADS


def open_picture(path: Path) -> Image.Image:
    """The Pillow image of a file, its pixels read. Metadata that a decoder chokes on are left out.

    Raises:
        OSError, ImageFileError: as `guarded`.
    """
    with guarded(path), path.open("rb") as file:
        if not file.read(1):
            raise errors.ImageFileError(f"{shown(path)} is empty; copy it again")
        file.seek(0)
        try:
            return _loaded(path, file)
        except (errors.TconvError, MemoryError):
            raise
        except Exception:
            file.seek(0)
            bare = without_metadata(file.read())
            if bare is None:
                raise
        return _loaded(path, BytesIO(bare))


def _loaded(path: Path, file: BinaryIO) -> Image.Image:
    try:
        image = Image.open(file)
        if image.width * image.height <= MOST:
            image.load()
            return image
    except Image.DecompressionBombError:
        pass
    raise errors.ImageFileError(
        f"{shown(path)} claims more than {MOST:,} pixels, which may be a decompression bomb; if you trust it, convert "
        f"it to a tiled TIFF, which is read by window"
    )


def exif_orientation(image: Image.Image) -> int:
    """1 to 8; 1 where the EXIF is damaged, because it says nothing about the pixels then."""
    try:
        return understood(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow raises whatever its parser stumbles over
        return 1


def turned(path: Path) -> int:
    """The orientation of a picture whose pixels are read by another decoder."""
    try:
        with Image.open(path) as image:
            return exif_orientation(image)
    except Exception:  # of its metadata, as the pixels have been read
        return 1


def deep_channels(path: Path) -> int:
    """How many channels a PNG of 16 bits has, where these are more than grey alone; else 0."""
    with guarded(path), path.open("rb") as file:
        head = file.read(26)
    if len(head) < 26 or not head.startswith(PNG) or head[24] != 16:
        return 0
    return DEEP.get(head[25], 0)


def read_deep(path: Path, channels: int) -> Array:
    """The pixels of such a PNG: (height, width, channels), uint16; as they are stored.

    Raises:
        ImageFileError: damaged, too large, or no package is there that keeps 16 bits.
    """
    with guarded(path):
        content = path.read_bytes()
        width, height = struct.unpack_from(">II", content, 16)
        if width * height > MOST:
            raise errors.ImageFileError(f"{shown(path)} claims {width * height:,} pixels, which may be a decompression "
                                        f"bomb; if you trust it, convert it to a tiled TIFF")  # fmt: skip
        bare = without_metadata(content, DEEP_CHUNKS) or content
        if find_spec("imagecodecs"):
            import imagecodecs

            pixels: Any = imagecodecs.png_decode(bare)
        elif find_spec("pyvips"):
            import pyvips

            image = pyvips.Image.new_from_buffer(bare, "", fail_on="error")
            pixels = np.frombuffer(image.write_to_memory(), np.uint16)
        else:
            raise errors.ImageFileError(
                f"{shown(path)} is a PNG of 16 bits per channel, which needs imagecodecs: {extras.cure('segmentation')}"
            )
        return np.ascontiguousarray(np.asarray(pixels, np.uint16).reshape(height, width, channels))


def as_shown(path: Path, image: Image.Image) -> tuple[Array, bool]:
    """(height, width, channels) of a Pillow image as it is stored, palettes as colours; and whether the last is alpha.

    Raises:
        ImageFileError: a colour mode whose meaning is unclear.
    """
    if image.mode == "I":  # where Pillow has no mode of 16 bits
        wide = np.asarray(image)
        return wide.astype(np.uint16 if wide.min() >= 0 and wide.max() < 2**16 else np.float32)[..., None], False
    mode = "RGBA" if image.mode == "P" and "transparency" in image.info else MODES.get(image.mode)
    if mode is None:
        raise errors.ImageFileError(
            f"{shown(path)} has the colour mode {image.mode}; convert it to RGB or grey with 8 or 16 bits"
        )
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1), mode in ALPHA
