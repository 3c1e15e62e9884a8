"""Images that are read by window, and class maps that are written by band: TIFF and Zarr larger than memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.data.pixels import BROKEN, TIFFS, checked, read_image, shown
from tconv.segmentation.wholly import wholly

ZARR = ".zarr"
SIDE = 512  # of the chunks and tiles that are written


class Source(Protocol):
    """An image: its shape (height, width, channels), and its pixels by window."""

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def read(self, rows: slice, columns: slice) -> Array:
        """(height, width, channels) of the window."""
        ...


@dataclass
class Whole:
    """An image in memory."""

    pixels: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.pixels.shape
        return height, width, channels

    def read(self, rows: slice, columns: slice) -> Array:
        return self.pixels[rows, columns]


@dataclass
class Chunked:
    """A Zarr array, or a TIFF seen as one; `order` says where height, width and channels (or None) are."""

    array: Any
    order: tuple[int, int, int | None]
    path: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        y, x, c = self.order
        return self.array.shape[y], self.array.shape[x], 1 if c is None else self.array.shape[c]

    def read(self, rows: slice, columns: slice) -> Array:
        y, x, c = self.order
        where: list[Any] = [0] * self.array.ndim
        where[y], where[x] = rows, columns
        if c is not None:
            where[c] = slice(None)
        try:
            window = np.asarray(self.array[tuple(where)])
        except (*BROKEN, RuntimeError) as error:
            raise errors.ImageFileError(f"{shown(self.path)} is truncated or damaged; copy it again") from error
        kept = sorted(axis for axis in self.order if axis is not None)
        window = window.transpose([kept.index(axis) for axis in (y, x, c) if axis is not None])
        return checked(window.reshape(*window.shape[:2], -1), self.path)


@contextmanager
def open_source(path: Path, large: int) -> Iterator[Source]:
    """The image in a file; a TIFF of more than `large` pixels and a Zarr array are read by window.

    Raises:
        OSError, ImageFileError: as `read_image`.
    """
    if path.suffix.lower() == ZARR:
        yield _open_zarr(path)
    elif path.suffix.lower() in TIFFS and (opened := _open_tiff(path, large)) is not None:
        source, store = opened
        try:
            yield source
        finally:
            store.close()
    else:
        yield Whole(read_image(path))


def _open_tiff(path: Path, large: int) -> tuple[Chunked, Any] | None:
    """The TIFF by window, and what to close; None if it is small."""
    import tifffile
    import zarr

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if series.size <= large:
                return None
            axes = series.axes
        store = tifffile.imread(path, aszarr=True, series=0, level=0)
        array = zarr.open_array(store, mode="r")
    except FileNotFoundError:
        raise
    except (*BROKEN, RuntimeError) as error:
        raise errors.ImageFileError(f"{shown(path)} is truncated or damaged; copy or export it again") from error
    return Chunked(array, _order(axes, array.shape, path), path), store


def _open_zarr(path: Path) -> Chunked:
    import zarr

    try:
        array = zarr.open_array(path, mode="r")
    except (*BROKEN, RuntimeError) as error:
        raise errors.ImageFileError(f"{shown(path)} is no Zarr array ({error}); name an array, not a group") from error
    axes = {2: "YX", 3: "YXC" if array.shape[2] <= array.shape[0] else "CYX"}.get(array.ndim, "?" * array.ndim)
    return Chunked(array, _order(axes, array.shape, path), path)


def _order(axes: str, shape: tuple[int, ...], path: Path) -> tuple[int, int, int | None]:
    others = [n for n, axis in enumerate(axes) if axis not in "YX" and shape[n] > 1]
    if "Y" not in axes or "X" not in axes or len(others) > 1:
        raise errors.ImageFileError(f"{shown(path)} has the axes {axes} {shape}; give height, width and channels alone")
    return axes.index("Y"), axes.index("X"), others[0] if others else None


@contextmanager
def zarr_target(path: Path, shape: tuple[int, int], card: Card) -> Iterator[Any]:
    """An array (height, width) uint8 to write class indices to; `path` appears when the block ends well."""
    import zarr

    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        chunks = (min(SIDE, shape[0]), min(SIDE, shape[1]))
        array = zarr.create_array(
            part, shape=shape, chunks=chunks, dtype="uint8", attributes={"classes": list(card.classes)}
        )
        yield array
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_tiff(path: Path, bands: Iterator[Array], shape: tuple[int, int], card: Card) -> None:
    """Write class indices that come as bands of rows, (n, width) uint8, as a tiled TIFF with a palette."""
    import tifffile

    colours = np.zeros((3, 256), np.uint16)
    colours[:, : len(card.palette)] = np.array(card.palette, np.uint16).T * 257
    with wholly(path) as part, tifffile.TiffWriter(part, bigtiff=shape[0] * shape[1] > 2**31) as file:
        file.write(
            _tiles(bands, shape), shape=shape, dtype=np.uint8, tile=(SIDE, SIDE), compression="zlib",
            photometric="palette", colormap=colours, metadata={"axes": "YX"},
        )  # fmt: skip


def _tiles(bands: Iterator[Array], shape: tuple[int, int]) -> Iterator[Array]:
    """The tiles of a TIFF, row by row, filled up with 0 at its edges."""
    held = np.zeros((0, shape[1]), np.uint8)
    done = 0
    while done < shape[0]:
        wanted = min(SIDE, shape[0] - done)
        while len(held) < wanted:
            held = np.concatenate((held, next(bands)))
        row, held = held[:wanted], held[wanted:]
        done += wanted
        padded = np.pad(row, ((0, SIDE - wanted), (0, -shape[1] % SIDE)))
        for left in range(0, padded.shape[1], SIDE):
            yield padded[:, left : left + SIDE]
