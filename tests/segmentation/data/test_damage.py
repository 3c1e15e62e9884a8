"""Bytes that were changed or cut off at random: pixels, or one sentence with the file's name; never anything else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tconv import errors
from tconv.segmentation.data.masks import read_stored
from tconv.segmentation.data.pixels import read_raster

RGB = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
TIFFS: dict[str, dict[str, Any]] = {
    "plain": {}, "lzw": {"compression": "lzw"}, "tiles": {"tile": (16, 16), "compression": "zlib"},
    "ome": {"ome": True}, "zstd": {"compression": "zstd"}, "jpeg": {"compression": "jpeg"},
}  # fmt: skip
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", *TIFFS)


def sound(kind: str) -> bytes:
    written = io.BytesIO()
    if kind in TIFFS:
        tifffile.imwrite(written, RGB, photometric="rgb", **TIFFS[kind])
        return written.getvalue()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "described"
    how = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}
    Image.fromarray(RGB).save(written, format=kind, **how)
    return written.getvalue()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, or with a few bytes changed, of which most are in the head."""
    if rng.random() < 0.2:
        return content[: rng.integers(1, len(content))]
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 5, 20))):
        changed[rng.integers(min(len(content), rng.choice((40, 400, 10**6))))] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_or_one_sentence(tmp_path: Path, kind: str) -> None:
    content, rng, path = sound(kind), np.random.default_rng(FORMATS.index(kind)), tmp_path / "a.bin"
    refused = 0
    for _ in range(40):
        path.write_bytes(damaged(content, rng))
        for read in (read_raster, read_stored):
            try:
                read(path)
            except errors.ImageFileError as error:
                assert str(error).startswith(f"{path} ") and "\n" not in str(error)
                refused += 1
    assert refused
