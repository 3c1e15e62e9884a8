"""Rows of pixels into a pipe, as a PNG that a decoder at the other end can follow while it is being written.

The pixels are stored, not compressed: that costs little more than a copy, holds 8 and 16 bits with 1 to 4 channels, and
needs no seeking.

Source: the PNG specification (W3C), sections 5, 9 and 11.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from tconv.arrays import Array

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels
NO_FILTER = 0  # of a row


class StoredPng:
    """The pieces of a PNG of `height` x `width` pixels with `channels` of 8 or 16 `bits`."""

    def __init__(self, height: int, width: int, channels: int, bits: int) -> None:
        header = struct.pack(">IIBBBBB", width, height, bits, COLOUR_TYPES[channels], 0, 0, 0)
        self._zlib = zlib.compressobj(level=0)
        self._start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)

    def start(self) -> bytes:
        """What comes before the rows."""
        return self._start

    def rows(self, rows: Array) -> bytes:
        """The next rows, (n, width, channels) of uint8 or uint16."""
        n, pixels = len(rows), np.ascontiguousarray(rows, rows.dtype.newbyteorder(">"))
        lines = np.full((n, 1 + pixels.nbytes // n), NO_FILTER, np.uint8)
        lines[:, 1:] = pixels.view(np.uint8).reshape(n, -1)
        return _chunk(b"IDAT", self._zlib.compress(lines.data))

    def end(self) -> bytes:
        """What comes after the rows."""
        return _chunk(b"IDAT", self._zlib.flush()) + _chunk(b"IEND", b"")


class RowPipe:
    """Gives rows to `consume(descriptor)`, which reads the PNG in a thread of its own while the next rows are computed.

    What `consume` raises is raised by the next `write` or at the end of the block. If the block fails, `consume` sees a
    PNG that breaks off, and its error is dropped in favour of the block's.
    """

    def __init__(self, png: StoredPng, consume: Callable[[int], None]) -> None:
        self._png, self._consume = png, consume

    def __enter__(self) -> RowPipe:
        self._read_end, self._write_end = os.pipe()
        self._pool = ThreadPoolExecutor(2)
        self._consuming = self._pool.submit(self._consume, self._read_end)
        self._consuming.add_done_callback(self._drain)
        self._sending = self._pool.submit(self._send, self._png.start())
        return self

    def write(self, rows: Array) -> None:
        """Send the next rows; waits until the ones before have been taken."""
        data = self._png.rows(rows)
        self._sending.result()
        if self._consuming.done():
            self._consuming.result()
        self._sending = self._pool.submit(self._send, data)

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        wait([self._sending])
        if failed is None:
            self._send(self._png.end())
        os.close(self._write_end)
        self._pool.shutdown()
        os.close(self._read_end)
        if failed is None:
            self._consuming.result()

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._write_end, rest) :]

    def _drain(self, _: object) -> None:
        """Take what is still sent, so that nobody waits for a consumer that has stopped."""
        while os.read(self._read_end, 2**16):
            pass


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))
