"""Images that are read by window, and class maps that are written by band: TIFF and Zarr larger than memory."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.data.pixels import BROKEN, TIFFS, checked, shown
from tconv.segmentation.wholly import wholly

ZARR = ".zarr"
SIDE = 512  # of the chunks and tiles that are written
LARGE = 2**28  # values from which on a TIFF is read by window
PIECE = 2**30  # bytes that may have to be decoded in order to read one pixel


@dataclass
class Chunked:
    """An image by window: a Zarr array, or a TIFF seen as one.

    Attributes:
        array: what is indexed.
        order: its axes for height, width and channels (or None).
        path: for messages.
    """

    array: Any
    order: tuple[int, int, int | None]
    path: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        y, x, c = self.order
        return self.array.shape[y], self.array.shape[x], 1 if c is None else self.array.shape[c]

    def read(self, rows: slice) -> Array:
        """(height, width, channels) of some rows; of whole rows, as a strip of a TIFF is decoded for all its columns.

        Raises:
            ImageFileError: damaged there, or of values that mean nothing.
        """
        y, x, c = self.order
        where: list[Any] = [0] * self.array.ndim
        where[y], where[x] = rows, slice(None)
        if c is not None:
            where[c] = slice(None)
        try:
            window = np.asarray(self.array[tuple(where)])
        except (*BROKEN, RuntimeError) as error:
            raise errors.ImageFileError(f"{shown(self.path)} is truncated or damaged; copy it again") from error
        kept = sorted(axis for axis in self.order if axis is not None)
        window = window.transpose([kept.index(axis) for axis in (y, x, c) if axis is not None])
        return checked(window.reshape(*window.shape[:2], -1), self.path)


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
        numbers = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[where]
        return np.array(numbers, self.dtype.newbyteorder("="))


def is_large(path: Path, large: int = LARGE) -> bool:
    """Whether an image is to be read by window: a Zarr array, or a TIFF of more than `large` values.

    Raises:
        FileNotFoundError, ImageFileError: a TIFF that cannot be opened.
    """
    if path.suffix.lower() == ZARR:
        return True
    if path.suffix.lower() not in TIFFS:
        return False
    import tifffile

    with _understood(path), tifffile.TiffFile(path) as file:
        return bool(file.series[0].size > large)


@contextmanager
def by_window(path: Path) -> Iterator[Chunked]:
    """A Zarr array or a TIFF, opened.

    Raises:
        FileNotFoundError: none there.
        ImageFileError: damaged, with axes whose meaning is unclear, or in pieces too large to be decoded.
    """
    if path.suffix.lower() == ZARR:
        yield _open_zarr(path)
        return
    import tifffile
    import zarr

    with _understood(path), tifffile.TiffFile(path) as file:
        series = file.series[0]
        axes, offset = series.axes, series.dataoffset
        if offset is not None:
            mapped = Mapped(path, np.dtype(file.byteorder + series.dtype.char), series.shape, offset)
    if offset is not None:
        yield Chunked(mapped, _order(axes, mapped.shape, path), path)
        return
    with _understood(path):
        store = tifffile.imread(path, aszarr=True, series=0, level=0)
        array = zarr.open_array(store, mode="r")
    try:
        yield Chunked(_decodable(array, path), _order(axes, array.shape, path), path)
    finally:
        store.close()


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """What tifffile raises where a file is damaged, in one line."""
    from tifffile import TiffFileError

    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except (*BROKEN, TiffFileError, RuntimeError) as error:
        raise errors.ImageFileError(f"{shown(path)} is truncated or damaged; copy or export it again") from error


def _open_zarr(path: Path) -> Chunked:
    import zarr

    try:
        array = zarr.open_array(path, mode="r")
    except (*BROKEN, RuntimeError) as error:
        raise errors.ImageFileError(f"{shown(path)} is no Zarr array ({error}); name an array, not a group") from error
    axes = {2: "YX", 3: "YXC" if array.shape[2] <= array.shape[0] else "CYX"}.get(array.ndim, "?" * array.ndim)
    return Chunked(_decodable(array, path), _order(axes, array.shape, path), path)


def _decodable(array: Any, path: Path) -> Any:
    """The array, if its pieces fit into memory."""
    piece = math.prod(array.chunks) * array.dtype.itemsize
    if piece > PIECE:
        raise errors.ImageFileError(
            f"{shown(path)} is compressed in pieces of {piece / 2**30:.1f} GiB, each of which would have to be decoded "
            f"whole; write it in tiles, as with `vips tiffsave IN OUT.tif --tile --bigtiff`"
        )
    return array


def _order(axes: str, shape: tuple[int, ...], path: Path) -> tuple[int, int, int | None]:
    others = [n for n, axis in enumerate(axes) if axis not in "YX" and shape[n] > 1]
    if "Y" not in axes or "X" not in axes or len(others) > 1:
        raise errors.ImageFileError(f"{shown(path)} has the axes {axes} {shape}; give height, width and channels alone")
    return axes.index("Y"), axes.index("X"), others[0] if others else None


def write_zarr(path: Path, bands: Iterable[Array], shape: tuple[int, int], card: Card) -> None:
    """Write class indices that come as bands of rows, (n, width) uint8, as a Zarr array; it appears when complete."""
    import zarr

    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        chunks = (min(SIDE, shape[0]), min(SIDE, shape[1]))
        array = zarr.create_array(
            part, shape=shape, chunks=chunks, dtype="uint8", attributes={"classes": list(card.classes)}
        )
        top = 0
        for rows in _regrouped(bands):
            array[top : top + len(rows)] = rows
            top += len(rows)
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_tiff(path: Path, bands: Iterable[Array], shape: tuple[int, int], card: Card) -> None:
    """Write class indices that come as bands of rows, (n, width) uint8, as a tiled TIFF with a palette."""
    import tifffile

    colours = np.zeros((3, 256), np.uint16)
    colours[:, : len(card.palette)] = np.array(card.palette, np.uint16).T * 257
    with wholly(path) as part, tifffile.TiffWriter(part, bigtiff=shape[0] * shape[1] > 2**31) as file:
        file.write(
            _tiles(bands), shape=shape, dtype=np.uint8, tile=(SIDE, SIDE), compression="zlib",
            photometric="palette", colormap=colours, metadata={"axes": "YX"},
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
