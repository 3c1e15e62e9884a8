"""PNG, JPEG and WebP as cameras and programs write them: damaged metadata are no damage, 16 bits stay 16 bits."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from tconv import errors, extras
from tconv.segmentation.data.containers import PNG, without_metadata
from tconv.segmentation.data.guard import guarded
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.data.pixels import read_image, read_raster

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(path: Path, made: bytes) -> None:
    """A PNG of RGB, with one chunk more behind its head."""
    written = BytesIO()
    Image.fromarray(RGB).save(written, format="PNG")
    content = written.getvalue()
    path.write_bytes(content[:33] + made + content[33:])


def rational(top: int, bottom: int) -> bytes:
    """EXIF with an orientation of 6 and a resolution of top/bottom."""
    entries = struct.pack("<H", 2) + struct.pack("<HHIHH", 0x112, 3, 1, 6, 0) + struct.pack("<HHII", 0x11A, 10, 1, 38)
    return b"Exif\0\0II*\0\x08\0\0\0" + entries + b"\0\0\0\0" + struct.pack("<ii", top, bottom)


HUGE = zlib.compress(bytes(2**21))
JUNK = b"Exif\0\0junkjunkjunk"
METADATA: dict[str, tuple[str, Any]] = {
    "a rational without end": (".jpg", lambda p: Image.fromarray(RGB).save(p, exif=rational(-1, 0), subsampling=0)),
    "junk in the EXIF of a JPEG": (".jpg", lambda p: Image.fromarray(RGB).save(p, exif=JUNK, subsampling=0)),
    "junk in the EXIF of a PNG": (".png", lambda p: Image.fromarray(RGB).save(p, exif=JUNK)),
    "junk in the EXIF of a WebP": (".webp", lambda p: Image.fromarray(RGB).save(p, exif=JUNK, lossless=True)),
    "a text of two megabytes": (".png", lambda p: with_chunk(p, chunk(b"zTXt", b"a\0\0" + HUGE))),
    "a profile of two megabytes": (
        ".png", lambda p: with_chunk(p, chunk(b"iCCP", b"a\0\0" + HUGE))),
    "a profile that is none": (".png", lambda p: with_chunk(p, chunk(b"iCCP", b"a\0\0junk"))),
    "a text with a wrong checksum": (".png", lambda p: with_chunk(p, chunk(b"tEXt", b"a\0b")[:-4] + b"abcd")),
    "a resolution that is cut": (".png", lambda p: with_chunk(p, chunk(b"pHYs", b"\0"))),
}  # fmt: skip


@pytest.mark.parametrize("what", METADATA)
def test_damaged_metadata_are_no_damage(tmp_path: Path, what: str) -> None:
    suffix, make = METADATA[what]
    make(tmp_path / f"a{suffix}")
    found = read_image(tmp_path / f"a{suffix}")
    if what.startswith("a rational"):
        assert found.shape == (30, 20, 3)  # the orientation beside it is sound
        found = np.rot90(found)
    assert found.shape == RGB.shape
    assert np.abs(found.astype(int) - RGB).mean() < (0.5 if suffix != ".jpg" else 30)


def test_what_is_left_out() -> None:
    written = BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 500)
    Image.fromarray(RGB).save(written, format="PNG", pnginfo=info, icc_profile=b"profile")
    bare = without_metadata(written.getvalue())
    assert bare is not None and b"Comment" not in bare and b"iCCP" not in bare
    with Image.open(BytesIO(bare)) as image:
        assert np.array_equal(np.asarray(image), RGB)
    for form in ("JPEG", "WEBP"):
        plain, full = BytesIO(), BytesIO()
        Image.fromarray(RGB).save(plain, format=form)
        exif = Image.Exif()
        exif[0x010E] = "described"
        Image.fromarray(RGB).save(full, format=form, exif=exif, icc_profile=b"profile")
        bare = without_metadata(full.getvalue())
        assert bare is not None and b"described" in full.getvalue() and b"described" not in bare
        with Image.open(plain) as expected, Image.open(BytesIO(bare)) as image:
            assert np.array_equal(np.asarray(image), np.asarray(expected))
    assert without_metadata(b"GIF89a") is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".bmp"])
def test_pixels_that_are_cut_off(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(errors.ImageFileError) as raised:
        read_image(path)
    assert str(raised.value) in (
        f"{path} is truncated or damaged; copy or export it again",
        f"{path} is no picture that can be read; convert it to PNG, JPEG or TIFF",
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    raster = read_raster(path)
    assert np.array_equal(raster.pixels, expected) and raster.orientation == orientation
    if suffix == ".png":
        Image.fromarray(RGB[..., 0]).save(path, exif=exif)
        assert np.array_equal(read_mask(path), expected[..., 0])


def deep(path: Path, pixels: Any, **how: Any) -> None:
    """A PNG of 16 bits per channel, written by hand: no filter, or one row after the other in seven passes."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    extra = how.get("extra", b"")
    path.write_bytes(PNG + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("without", ["", "imagecodecs"])
def test_sixteen_bits_stay(tmp_path: Path, channels: int, without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tconv.segmentation.data import pictures

    if without:
        found = pictures.find_spec
        monkeypatch.setattr(pictures, "find_spec", lambda name: None if name == without else found(name))
    pixels = np.random.default_rng(0).integers(0, 4096, (20, 30, channels)).astype(np.uint16)
    deep(tmp_path / "a.png", pixels, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21))))
    raster = read_raster(tmp_path / "a.png")
    assert raster.pixels.dtype == np.uint16 and np.array_equal(raster.pixels, pixels)
    assert raster.alpha == (channels in (2, 4)) and raster.channels == (1 if channels < 3 else 3)


def test_masks_of_sixteen_bits_lie_and_are_seen_through_as_those_of_eight(tmp_path: Path) -> None:
    mask = np.arange(1, 13, dtype=np.uint16).reshape(3, 4, 1)
    exif = Image.Exif()
    exif[274] = 6
    deep(tmp_path / "turned.png", np.repeat(mask, 3, axis=2), extra=chunk(b"eXIf", exif.tobytes()[6:]))
    assert np.array_equal(read_mask(tmp_path / "turned.png"), np.rot90(mask[..., 0], -1))
    alpha = (mask % 2 * 65535).astype(np.uint16)
    for colours in (mask, np.repeat(mask, 3, axis=2)):
        deep(tmp_path / "clear.png", np.concatenate([colours, alpha], axis=2))
        assert np.array_equal(read_mask(tmp_path / "clear.png"), np.where(mask % 2, mask, 0)[..., 0])


def test_sixteen_bits_without_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tconv.segmentation.data import pictures

    deep(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint16))
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(errors.ImageFileError) as raised:
        read_image(tmp_path / "a.png")
    assert str(raised.value) == (
        f"{tmp_path}/a.png is a PNG of 16 bits per channel, which needs imagecodecs: {extras.cure('segmentation')}"
    )


def test_sixteen_bits_that_are_damaged_or_huge(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    deep(path, np.random.default_rng(0).integers(0, 4096, (20, 30, 3)).astype(np.uint16))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(errors.ImageFileError, match=r"a\.png is truncated or damaged; copy or export it again"):
        read_image(path)
    head = struct.pack(">IIBBBBB", 60000, 60000, 16, 2, 0, 0, 0)
    path.write_bytes(PNG + chunk(b"IHDR", head) + chunk(b"IEND", b""))
    with pytest.raises(errors.ImageFileError, match=r"claims 3,600,000,000 pixels, which may be a decompression bomb"):
        read_image(path)


@pytest.mark.parametrize(("error", "said"), [
    (struct.error("unpack requires a buffer"), "is truncated or damaged; copy or export it again"),
    (SyntaxError("broken PNG file"), "is truncated or damaged; copy or export it again"),
    (OSError("image file is truncated (3 bytes not processed)"), "is truncated or damaged; copy or export it again"),
    (ValueError("failed to read 2304 bytes, got 2179"), "is truncated or damaged; copy or export it again"),
    (TypeError("'<' not supported between instances of 'tuple' and 'int'"), "cannot be read (TypeError: '<' not "
     "supported between instances of 'tuple' and 'int'); export it again, or convert it to PNG or to a plain TIFF"),
    (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
    (OSError("decoder jpeg2k not available"), "is of a kind that cannot be read (decoder jpeg2k not available); "
     "convert it to PNG or to a plain TIFF"),
    (KeyError("<COMPRESSION.JPEG: 7> requires the 'imagecodecs' package"),
     f"is compressed in a way that needs imagecodecs: {extras.cure('segmentation')}"),
    (RuntimeError("odd\x1b"), "cannot be read (RuntimeError: odd\\x1b); export it again, or convert it to PNG or to a "
     "plain TIFF"),
    (MemoryError(), "needs more memory than there is; cut it into tiles"),
])  # fmt: skip
def test_whatever_is_raised_is_said_in_one_sentence(error: Exception, said: str) -> None:
    with pytest.raises(errors.ImageFileError) as raised, guarded("a\n.png"):
        raise error
    assert str(raised.value) == f"a\\n.png {said}"


def test_what_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        read_image(tmp_path / "none.png")
    assert str(raised.value) == f"{tmp_path}/none.png: there is no such file or folder"
    with pytest.raises(IsADirectoryError, match="this is a folder; give a file"):
        read_image(tmp_path)
    with pytest.raises(KeyboardInterrupt), guarded("a.png"):
        raise KeyboardInterrupt


def test_a_limit_of_pillow_that_was_lifted_stays_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    Image.fromarray(RGB).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")
    assert Image.MAX_IMAGE_PIXELS is None
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[8:33] = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(
        errors.ImageFileError, match="claims more than 178,956,970 pixels, which may be a decompression"
    ):
        read_image(tmp_path / "a.png")
