"""Images and masks in files: what is read, and what is refused in one line."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tconv import errors
from tconv.segmentation.data.legend import make_legend, read_legend
from tconv.segmentation.data.masks import read_mask, write_mask
from tconv.segmentation.data.pixels import fit_channels, read_image


def png(width: int, height: int) -> bytes:
    """A PNG of which only the head is true."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def flat(path: Path) -> None:
    with pytest.warns(UserWarning, match="zero-size"):
        tifffile.imwrite(path, np.zeros((0, 5), np.uint8))


def bomb(path: Path) -> None:
    """A TIFF of 1.6 gigabytes in which all tiles are one."""
    tile = zlib.compress(bytes(8192 * 8192))
    tifffile.imwrite(
        path, iter([tile] * 25), shape=(40000, 40000), dtype=np.uint8, tile=(8192, 8192), compression="zlib"
    )


NAN: Any = np.full((4, 4), np.nan, np.float32)
BAD: list[tuple[str, Any, str]] = [
    ("empty.png", lambda p: p.touch(), "is empty; copy it again"),
    ("text.png", lambda p: p.write_text("hello"), "is no picture that can be read; convert it to PNG, JPEG or TIFF"),
    ("ink.jpg", lambda p: Image.new("CMYK", (4, 4)).save(p), "has the colour mode CMYK; convert it to RGB or grey"),
    ("nan.tif", lambda p: tifffile.imwrite(p, NAN),
     "has no pixel that counts: all are NaN, infinite or its nodata value; leave it out"),
    ("wide.tif", lambda p: tifffile.imwrite(p, np.zeros((4, 4), np.complex64)),
     "has dtype complex64; convert it to uint8, uint16"),
    ("cut.tif", lambda p: p.write_bytes(b"II*\0\x08\0\0\0\x05"), "is truncated or damaged; copy or export it again"),
    ("pages.tif", lambda p: tifffile.imwrite(p, np.zeros((2, 5, 4, 4, 3), np.uint8), photometric="rgb"), "has the"),
    ("flat.tif", flat, "has no pixels ((0, 5)); remove it or write it again"),
    ("flat.png", lambda p: p.write_bytes(png(5, 0)), "is no picture that can be read; convert it to PNG, JPEG or TIFF"),
    ("cut.png", lambda p: p.write_bytes(png(5, 5)), "is truncated or damaged; copy or export it again"),
    ("bomb.tif", bomb, "claims 1,600,000,000 values, which may be a decompression bomb; if you trust it, cut it into"),
    ("bomb.png", lambda p: p.write_bytes(png(60000, 60000)),
     "claims more than 178,956,970 pixels, which may be a decompression bomb; if you trust it, "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "message"), BAD, ids=[name for name, *_ in BAD])
def test_bad_images(tmp_path: Path, name: str, make: Any, message: str) -> None:
    make(tmp_path / name)
    with pytest.raises(errors.ImageFileError) as raised:
        read_image(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path}/{name} {message}")


@pytest.mark.parametrize(("array", "photometric", "shape"), [
    (np.zeros((4, 5), np.uint16), "minisblack", (4, 5, 1)), (np.zeros((4, 5, 3), np.uint8), "rgb", (4, 5, 3)),
    (np.zeros((7, 4, 5), np.float32), "minisblack", (4, 5, 7)),
])  # fmt: skip
def test_tiffs(tmp_path: Path, array: Any, photometric: str, shape: tuple[int, ...]) -> None:
    axes = {"axes": "CYX"} if len(array) == 7 else None
    tifffile.imwrite(tmp_path / "a.tif", array, photometric=photometric, metadata=axes)
    assert read_image(tmp_path / "a.tif").shape == shape


@pytest.mark.parametrize(("found", "wanted"), [(1, 3), (3, 1), (4, 3), (2, 1), (2, 3), (4, 1), (5, 5), (4, 4)])
def test_channels_of_an_array(found: int, wanted: int) -> None:
    pixels = np.full((2, 2, found), 7, np.uint8)
    if found in (2, 4):
        pixels[..., -1] = 99 if wanted in (1, 3) else 7
    assert (fit_channels(pixels, wanted, Path("x")) == np.full((2, 2, wanted), 7, np.uint8)).all()


def test_channels_that_do_not_fit() -> None:
    with pytest.raises(errors.ImageFileError, match=r"^x has 5 channels and the model takes 3; give it such images$"):
        fit_channels(np.zeros((2, 2, 5)), 3, Path("x"))


def test_masks(tmp_path: Path) -> None:
    classes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    write_mask(tmp_path / "m.png", classes, [(n, n, n) for n in range(12)])
    assert np.array_equal(read_mask(tmp_path / "m.png"), classes)
    Image.new("RGB", (4, 4), "red").save(tmp_path / "c.png")
    with pytest.raises(
        errors.ImageFileError,
        match=r"c\.png is a mask in colours; say which colour means which class by --colors classes\.csv",
    ):
        read_mask(tmp_path / "c.png")
    Image.new("RGB", (4, 4), (7, 7, 7)).save(tmp_path / "g.png")
    assert read_mask(tmp_path / "g.png").tolist() == [[7] * 4] * 4


def test_legends(tmp_path: Path) -> None:
    assert str(make_legend([0, 255])) == "0 background, 255 class 1"
    assert make_legend([0, 1, 2, 255]).ignore == 255
    assert make_legend([0, 128, 255]).values == (0, 128, 255)
    assert make_legend([0, 15, 255], indices=True).ignore == 255
    assert make_legend([0, 255]).classes(np.array([[255, 0]], np.uint8)).tolist() == [[1, 0]]
    with pytest.raises(errors.ImageFileError, match="value 3 is none of the classes 0 background, 1 class 1"):
        make_legend([0, 1]).classes(np.array([[3]], np.uint8))
    (tmp_path / "c.txt").write_text("0 sky\n255 ignore\n4 old tree\n")
    legend = read_legend(tmp_path / "c.txt")
    assert (legend.values, legend.names, legend.ignore) == ((0, 4), ("sky", "old tree"), 255)
    (tmp_path / "c.txt").write_bytes(b"0 sky\n1 Stra\xdfe\n")
    with pytest.raises(errors.TconvError, match=r"c\.txt is no UTF-8 text; save it as such"):
        read_legend(tmp_path / "c.txt")
    (tmp_path / "c.txt").write_text("0 sky\n0 sea\n")
    with pytest.raises(errors.TconvError, match="must name up to 255 classes, each value once: lines of VALUE NAME"):
        read_legend(tmp_path / "c.txt")
