"""Rows of pixels as bytes that any PNG decoder can follow while they are being written.

The pixels are stored, not compressed: that costs little more than a copy, holds 8 and 16 bits with 1 to 4 channels, and
needs no seeking, so that a pipe can carry it.

Source: the PNG specification (W3C), sections 5, 9 and 11.
"""

from __future__ import annotations

import struct
import zlib

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
        return _chunk(b"IDAT", self._zlib.compress(lines))

    def end(self) -> bytes:
        """What comes after the rows."""
        return _chunk(b"IDAT", self._zlib.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))
