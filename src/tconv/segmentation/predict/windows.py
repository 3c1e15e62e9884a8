"""Images that are read by window, and class maps that are written by band: TIFF and Zarr larger than memory."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tconv import errors, extras
from tconv.arrays import Array
from tconv.names import shown
from tconv.outputs import wholly
from tconv.segmentation.card import Card
from tconv.segmentation.data.georeference import Georeference
from tconv.segmentation.data.guard import guarded
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.masks import GREY, SOFTWARE
from tconv.segmentation.data.pictures import is_tiff
from tconv.segmentation.data.pixels import Raster, as_raster
from tconv.segmentation.data.tiff import Meaning, meaning, series_of

ZARR = ".zarr"
SIDE = 512  # of the chunks and tiles that are written
LARGE = 2**28  # values from which on a TIFF is read by window
PIECE = 2**30  # bytes that may have to be decoded in order to read one pixel


@dataclass
class Chunked:
    """An image by window: a Zarr array, or a TIFF seen as one.

    Attributes:
        array: what is indexed.
        found: what its numbers are.
        path: for messages.
    """

    array: Any
    found: Meaning
    path: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels that are measured."""
        y, x, _ = self.found.order
        return self.array.shape[y], self.array.shape[x], len(self.found.channels)

    @property
    def complete(self) -> bool:
        """Whether every pixel is a number for certain."""
        return self.found.nodata is None and self.array.dtype.kind != "f"

    def read(self, rows: slice) -> Raster:
        """Some rows; whole ones, as a strip of a TIFF is decoded for all its columns.

        Raises:
            ImageFileError: damaged there, or of values that mean nothing.
        """
        where = [slice(None)] * self.array.ndim
        where[self.found.order[0]] = rows
        with guarded(self.path):
            window = np.asarray(self.array[tuple(where)])
        return as_raster(self.path, self.found.arranged(window), self.found)


@dataclass
class Mapped:
    """The numbers of a TIFF that lie in one piece, as they are in memory; mapped for each window and then let go."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, where: tuple[Any, ...]) -> Array:
        if self.path.stat().st_size < self.offset + math.prod(self.shape) * self.dtype.itemsize:
            raise EOFError("the file ends before its numbers do")
        numbers = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[where]
        return np.array(numbers, self.dtype.newbyteorder("="))


def is_large(path: Path, large: int = LARGE) -> bool:
    """Whether an image is to be read by window: a Zarr array, or a TIFF of more than `large` values.

    Raises:
        FileNotFoundError, ImageFileError: a file that cannot be opened.
    """
    if path.suffix.lower() == ZARR:
        return True
    if not is_tiff(path):
        return False
    import tifffile

    with guarded(path), tifffile.TiffFile(path) as file:
        return bool(series_of(file, path).size > large)


@contextmanager
def by_window(path: Path, axes: str = "") -> Iterator[Chunked]:
    """A Zarr array or a TIFF, opened.

    Raises:
        FileNotFoundError: none there.
        ImageFileError: damaged, with axes whose meaning is unclear, or in pieces too large to be decoded.
    """
    if path.suffix.lower() == ZARR:
        yield _open_zarr(path, axes)
        return
    import tifffile

    with guarded(path), tifffile.TiffFile(path) as file:
        series, found = meaning(file, path, axes)
        _check_upright(path, found)
        offset = series.dataoffset
        if offset is not None:
            mapped = Mapped(path, np.dtype(file.byteorder + series.dtype.char), tuple(series.shape), offset)
    if offset is not None:
        yield Chunked(mapped, found, path)
        return
    try:
        import zarr
    except ImportError as error:
        raise errors.ImageFileError(
            f"{shown(path)} is large and compressed, and reading it by window needs zarr: {extras.cure('segmentation')}"
        ) from error
    with guarded(path):
        store = tifffile.imread(path, aszarr=True, series=0, level=0)
        array = zarr.open_array(store, mode="r")
    try:
        yield Chunked(_decodable(array, path), found, path)
    finally:
        store.close()


def _check_upright(path: Path, found: Meaning) -> None:
    """Refuse what is shown otherwise than it is stored, because a window of it lies elsewhere."""
    if found.pages is not None:
        raise errors.ImageFileError(f"{shown(path)} is too large to be read at once; write one file per picture")
    if found.orientation != 1 or found.ycbcr:
        what = "in YCbCr without JPEG" if found.ycbcr else f"turned by its orientation tag ({found.orientation})"
        raise errors.ImageFileError(
            f"{shown(path)} is {what}, and too large to be read at once; write it upright and in RGB, as with `vips "
            f"autorot IN OUT.tif[tile,bigtiff]`"
        )


def _open_zarr(path: Path, axes: str) -> Chunked:
    try:
        import zarr
    except ImportError as error:
        raise errors.ImageFileError(f"{shown(path)} needs zarr: {extras.cure('segmentation')}") from error
    try:
        array = zarr.open_array(path, mode="r")
    except Exception as error:  # of a store that is none, or of another version
        raise errors.ImageFileError(f"{shown(path)} is no Zarr array ({error}); name an array, not a group") from error
    shape: tuple[int, ...] = array.shape
    own = {2: "YX", 3: "YXC" if len(shape) == 3 and shape[2] <= shape[0] else "CYX"}.get(len(shape), "")
    letters = axes.upper() or own
    others = [n for n, letter in enumerate(letters) if letter not in "YX"]
    if sorted(letters) not in (["X", "Y"], ["C", "X", "Y"]) or len(letters) != len(shape):
        raise errors.ImageFileError(
            f"{shown(path)} has {len(shape)} axes ({' x '.join(map(str, shape))}); give height, width and channels "
            f"alone, and say by --axes which is which, as in CYX"
        )
    other = others[0] if others else None
    count = 1 if other is None else shape[other]
    order = (letters.index("Y"), letters.index("X"), other)
    return Chunked(_decodable(array, path), Meaning(shape, order, tuple(range(count))), path)


def _decodable(array: Any, path: Path) -> Any:
    """The array, if its pieces fit into memory."""
    piece = math.prod(array.chunks) * array.dtype.itemsize
    if piece > PIECE:
        raise errors.ImageFileError(
            f"{shown(path)} is compressed in pieces of {piece / 2**30:.1f} GiB, each of which would have to be decoded "
            f"whole; write it in tiles, as with `vips tiffsave IN OUT.tif --tile --bigtiff`"
        )
    return array


def write_zarr(path: Path, bands: Iterable[Array], shape: tuple[int, int], card: Card) -> None:
    """Write class indices that come as bands of rows, (n, width) uint8, as a Zarr array; it appears when complete."""
    import zarr

    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        chunks = (min(SIDE, shape[0]), min(SIDE, shape[1]))
        array = zarr.create_array(
            part,
            shape=shape,
            chunks=chunks,
            dtype="uint8",
            attributes={"classes": list(card.classes), "software": SOFTWARE},
        )
        top = 0
        for rows in _regrouped(bands):
            array[top : top + len(rows)] = rows
            top += len(rows)
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_tiff(
    path: Path, bands: Iterable[Array], shape: tuple[int, int], card: Card, place: Georeference | None = None
) -> None:
    """Write class indices that come as bands of rows, (n, width) uint8, as a tiled TIFF with a palette."""
    with wholly(path) as part:
        _write(part, [_tiles(bands)], shape, card, place or Georeference())


def tiff_bytes(classes: Array, card: Card, place: Georeference) -> bytes:
    """The same of a mask in memory, (height, width) uint8, or of several pages of them."""
    written = io.BytesIO()
    pages = classes[None] if classes.ndim == 2 else classes
    _write(written, (_tiles([page]) for page in pages), classes.shape, card, place)
    return written.getvalue()


def _write(
    target: Any, pages: Iterable[Iterable[Array]], shape: tuple[int, ...], card: Card, place: Georeference
) -> None:
    """Tiles, page by page."""
    import tifffile

    colours = np.zeros((3, 256), np.uint16)
    colours[:, : len(card.palette)] = np.array(card.palette, np.uint16).T * 257
    if len(card.palette) <= IGNORED:
        colours[:, IGNORED] = np.array(GREY, np.uint16) * 257
    extratags = place.extratags(IGNORED) if place.tags else []
    with tifffile.TiffWriter(target, bigtiff=math.prod(shape) > 2**31) as file:
        file.write(
            chain.from_iterable(pages), shape=shape, dtype=np.uint8, tile=(SIDE, SIDE), compression="zlib",
            photometric="palette", colormap=colours, metadata={"axes": "ZYX"[-len(shape) :]}, software=SOFTWARE,
            extratags=extratags,
        )  # fmt: skip


def _tiles(bands: Iterable[Array]) -> Iterator[Array]:
    """The tiles of a TIFF, row by row, filled up with 0 at its edges."""
    for rows in _regrouped(bands):
        padded = np.pad(rows, ((0, SIDE - len(rows)), (0, -rows.shape[1] % SIDE)))
        for left in range(0, padded.shape[1], SIDE):
            yield padded[:, left : left + SIDE]


def _regrouped(bands: Iterable[Array]) -> Iterator[Array]:
    """The same rows, `SIDE` at a time: so every chunk is written once."""
    held: list[Array] = []
    for band in bands:
        held.append(band)
        while sum(map(len, held)) >= SIDE:
            rows = np.concatenate(held)
            yield rows[:SIDE]
            held = [rows[SIDE:]]
    if any(map(len, held)):
        yield np.concatenate(held)
