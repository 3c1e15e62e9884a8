"""Pictures in files, read and written row by row, so that neither is ever in memory as a whole.

PNG, JPEG and TIFF through libvips, which gets open files from Python. Reading: a sequential image, of which bands of
rows are fetched in order. Writing: libvips reads a stored PNG (see `pipe.py`) from a pipe and compresses it into the
target's format; the pipe holds the producer back when the encoder is slower. A pipe rather than a callback, so that no
Python runs inside libvips, and rather than a temporary raw file, so that no disk space of the picture's size is needed.

Only interlaced PNGs and progressive JPEGs, whose first row needs the end of the file, are decoded as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tconv import errors, extras, outputs
from tconv.arrays import Array
from tconv.images.pipe import RowPipe, StoredPng
from tconv.names import shown

try:
    import pyvips
except (ModuleNotFoundError, OSError) as missing:  # OSError: the binding is there, the library is not
    raise errors.TconvError(f"pictures need pyvips: {extras.cure('images')}") from missing

CHANNELS = {1: "grey", 2: "grey + alpha", 3: "RGB", 4: "RGBA"}
DTYPES: dict[str, np.dtype[Any]] = {"uchar": np.dtype(np.uint8), "ushort": np.dtype(np.uint16)}
COLOURS = ("b-w", "grey16", "srgb", "rgb16")  # libvips' names of what PNG, JPEG and TIFF share
LOADERS = ("pngload_source", "jpegload_source", "tiffload_source")
PNG, JPEG, TIFF = "pngsave_target", "jpegsave_target", "tiffsave_target"
SAVERS = {".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".tif": TIFF, ".tiff": TIFF}
LARGEST_SIDE = {PNG: 10_000_000, JPEG: 65_500, TIFF: 10_000_000}  # of libvips; of libjpeg (the format ends at 65,535)
KEPT = ("icc-profile-data", "xmp-data", "iptc-data", "orientation")  # and every exif-*


@dataclass(frozen=True)
class Picture:
    """What a picture is, apart from its pixels.

    Attributes:
        height, width: in pixels.
        channels: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        dtype: uint8 or uint16.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]

    @property
    def bits(self) -> int:
        """Per channel: 8 or 16."""
        return 8 * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.width} x {self.height} {CHANNELS[self.channels]}, {self.bits}-bit"


class Reader:
    """A picture file that is read once from its first row to its last.

    Palettes and bilevel pixels are expanded to 8 bits. Pixels stay as they are stored: an orientation in the
    metadata is kept there, not applied.

    Attributes:
        path: of the file.
        picture: what it holds.

    Raises:
        OSError: the file cannot be opened.
        ImageFileError: it is not a PNG, JPEG or TIFF, it is damaged, or of a kind that is not supported (CMYK,
            floating-point, several pages, more than 4 channels).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            if not file.peek(1):
                raise errors.ImageFileError(f"{shown(self.path)} is empty")
            self._image = _open(self.path, file.fileno())
        self._region = pyvips.Region.new(self._image)
        self._next = 0
        self.picture = _judge(self.path, self._image)

    def read(self, rows: int) -> Array:
        """The next `rows` rows, fewer at the end: (n, width, channels)."""
        picture = self.picture
        n = min(rows, picture.height - self._next)
        shape = (n, picture.width, picture.channels)
        if n == 0:
            return np.empty(shape, picture.dtype)
        try:
            data = self._region.fetch(0, self._next, picture.width, n)
        except pyvips.Error as error:
            raise errors.ImageFileError(
                f"{shown(self.path)} is damaged or truncated; its pixels cannot all be read"
            ) from error
        self._next += n
        return np.frombuffer(data, picture.dtype).reshape(shape)

    def describe(self, image: Any) -> Any:
        """The libvips `image` with this file's colour profile, EXIF, XMP, IPTC, orientation and resolution.

        They are written as far as libvips can in the target's format: all to JPEG and PNG, no EXIF to TIFF.
        """
        described = image.copy(xres=self._image.xres, yres=self._image.yres)
        for name in self._image.get_fields():
            if name in KEPT or name.startswith("exif-"):
                described.set_type(self._image.get_typeof(name), name, self._image.get(name))
        return described


def check_target(path: str | Path, picture: Picture, source: Path, again: bool = False) -> None:
    """Refuse a target that `picture` cannot be written to, before any work is done.

    Raises:
        ImageFileError: an unknown suffix, a missing folder, the source itself, a file that is there and must not be
            replaced (`again`), or a format that cannot hold the picture.
    """
    path = Path(path)
    saver = SAVERS.get(path.suffix.lower())
    if saver is None:
        raise errors.ImageFileError(f"{shown(path)}: write to a name that ends in one of {', '.join(SAVERS)}")
    if not path.parent.is_dir():
        raise errors.ImageFileError(f"{shown(path)}: there is no folder {shown(path.parent)}; create it first")
    outputs.check_file(path, [source], again)
    if saver == JPEG and (picture.channels not in (1, 3) or picture.bits != 8):
        raise errors.ImageFileError(f"{shown(path)}: JPEG holds 8-bit grey or RGB, not {picture}; write a .png or .tif")
    if max(picture.height, picture.width) > LARGEST_SIDE[saver]:
        raise errors.ImageFileError(
            f"{shown(path)}: {picture.width} x {picture.height} pixels are too many for this format, which ends at "
            f"{LARGEST_SIDE[saver]:,} per side" + ("; write a .png or .tif" if saver == JPEG else "")
        )


@contextmanager
def writer(path: str | Path, picture: Picture, like: Reader) -> Iterator[Callable[[Array], None]]:
    """A function that takes the picture's next rows, (n, width, channels); the metadata are those of `like`.

    The file appears under its name when the block ends well, replacing what was there; else no trace of it is left.
    PNG and deflate-compressed TIFF are lossless; JPEG is written at quality 95.

    Raises:
        ImageFileError: the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")

    saver = SAVERS[path.suffix.lower()]

    def save(descriptor: int) -> None:
        try:
            stream = pyvips.Source.new_from_descriptor(descriptor)
            image = pyvips.Image.new_from_source(stream, "", access="sequential", fail_on="error", unlimited=True)
            target = pyvips.Target.new_to_descriptor(file.fileno())
            getattr(like.describe(image), saver)(target, **_options(saver, picture))
        except pyvips.Error as error:
            reason = ", ".join(str(error).splitlines()[1:3]).strip()  # what follows repeats it
            raise errors.ImageFileError(f"{shown(path)} cannot be written: {reason}") from error

    try:
        png = StoredPng(picture.height, picture.width, picture.channels, picture.bits)
        with part.open("w+b") as file, RowPipe(png, save) as pipe:
            yield pipe.write
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open(path: Path, descriptor: int) -> Any:
    """The libvips image of an open file; nothing but its header is read."""
    try:
        source = pyvips.Source.new_from_descriptor(descriptor)
        image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error")
    except pyvips.Error as error:
        raise errors.ImageFileError(
            f"{shown(path)} is not a PNG, JPEG or TIFF picture, or its first bytes are damaged"
        ) from error
    if image.get("vips-loader") not in LOADERS:
        raise errors.ImageFileError(f"{shown(path)} is not a PNG, JPEG or TIFF picture; convert it to one of them")
    return image


def _judge(path: Path, image: Any) -> Picture:
    """What the libvips image holds; refuses the kinds that could not be written back as they are."""
    if image.get_typeof("n-pages") and image.get("n-pages") > 1:
        raise errors.ImageFileError(f"{shown(path)} has {image.get('n-pages')} pages; split it into one file per page")
    if image.interpretation not in COLOURS or image.format not in DTYPES or image.bands not in CHANNELS:
        raise errors.ImageFileError(
            f"{shown(path)} has {image.bands} channels of {image.interpretation}, {image.format}; convert it to grey "
            f"or RGB with 8 or 16 bits, with or without alpha"
        )
    return Picture(image.height, image.width, image.bands, DTYPES[image.format])


def _options(saver: str, picture: Picture) -> dict[str, Any]:
    """How libvips shall compress."""
    if saver == JPEG:
        return {"Q": 95}
    if saver == PNG:
        return {"filter": "paeth", "compression": 3}  # on photographs smaller and faster than libvips' defaults
    size = picture.height * picture.width * picture.channels * picture.dtype.itemsize
    bigtiff = size > 2**31  # the classic format ends at 4 GiB
    return {"compression": "deflate", "predictor": "horizontal", "bigtiff": bigtiff}
