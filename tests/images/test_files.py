"""Pictures come back from a file as they went in, and every file that cannot be read or written is refused by name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from tconv.errors import ImageFileError
from tconv.images import Picture, files, upsample
from tconv.images.files import Reader, check_target, writer

Array = np.ndarray
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def noise(channels: int, dtype: Any = np.uint8, height: int = 23, width: int = 31) -> Array:
    rng = np.random.default_rng(channels)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def picture(pixels: Array) -> Picture:
    return Picture(*pixels.shape, pixels.dtype)


def save(path: Path, pixels: Array, **options: Any) -> Path:
    """With encoders that are not libvips, where they know the kind of picture."""
    if path.suffix == ".tif":
        alpha = ["unassalpha"] if pixels.shape[2] in (2, 4) else None
        photometric = "rgb" if pixels.shape[2] > 2 else "minisblack"
        squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        tifffile.imwrite(path, squeezed, photometric=photometric, extrasamples=alpha, planarconfig="contig", **options)
    else:
        Image.fromarray(pixels.squeeze(), MODES[pixels.shape[2]]).save(path, **options)
    return path


def read(path: Path) -> Array:
    reader = Reader(path)
    return np.concatenate([reader.read(10) for _ in range(0, reader.picture.height, 10)])


def write(path: Path, pixels: Array, like: Reader) -> None:
    with writer(path, picture(pixels), like) as send:
        for y in range(0, len(pixels), 7):
            send(pixels[y : y + 7])


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """A small RGB picture."""
    return save(tmp_path / "some.png", noise(3))


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("dtype, suffix", [(np.uint8, ".png"), (np.uint8, ".tif"), (np.uint16, ".tif")])
def test_reads_what_others_wrote(tmp_path: Path, channels: int, dtype: Any, suffix: str) -> None:
    pixels = noise(channels, dtype)
    path = save(tmp_path / f"a{suffix}", pixels)
    assert Reader(path).picture == picture(pixels)
    assert np.array_equal(read(path), pixels)


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".PNG", ".tiff"])
def test_lossless_round_trip(tmp_path: Path, some: Path, channels: int, dtype: Any, suffix: str) -> None:
    pixels, path = noise(channels, dtype), tmp_path / f"b{suffix}"
    write(path, pixels, like=Reader(some))
    assert Reader(path).picture == picture(pixels)
    assert np.array_equal(read(path), pixels)
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(path).reshape(pixels.shape), pixels)
    elif dtype is np.uint8:
        with Image.open(path) as found:
            assert np.array_equal(np.asarray(found).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_round_trip(tmp_path: Path, some: Path, channels: int) -> None:
    ramp = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)[..., None].repeat(channels, axis=2)
    write(tmp_path / "c.jpg", ramp, like=Reader(some))
    with Image.open(tmp_path / "c.jpg") as found:
        assert found.mode == MODES[channels]
    assert np.abs(read(tmp_path / "c.jpg").astype(int) - ramp).max() <= 3


def test_palettes_and_bilevel_pixels_are_expanded(tmp_path: Path) -> None:
    image = Image.fromarray(noise(3)).quantize(7)
    image.save(tmp_path / "palette.png")
    assert np.array_equal(read(tmp_path / "palette.png"), np.asarray(image.convert("RGB")))
    bilevel = noise(1)[..., 0] > 127
    Image.fromarray(bilevel).save(tmp_path / "bilevel.png")
    assert np.array_equal(read(tmp_path / "bilevel.png")[..., 0], bilevel * 255)


@pytest.mark.parametrize("options", [{"planarconfig": "separate"}, {"tile": (16, 16)}, {"compression": "zlib"}])
def test_layouts_of_tiff(tmp_path: Path, options: Any) -> None:
    pixels = noise(3)
    laid_out = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "d.tif", laid_out, photometric="rgb", **options)
    assert np.array_equal(read(tmp_path / "d.tif"), pixels)


@pytest.mark.parametrize("into", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_metadata_are_kept(tmp_path: Path, suffix: str, into: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"  # orientation: lies on its side
    source = tmp_path / f"source{suffix}"
    Image.fromarray(noise(3)).save(source, exif=exif, icc_profile=profile, dpi=(200, 200))
    upsample(source, tmp_path / f"target{into}", 2, "nearest")
    with Image.open(tmp_path / f"target{into}") as found:
        assert found.info["icc_profile"] == profile
        assert found.info["dpi"] == pytest.approx((200, 200), abs=0.01)
        assert found.getexif()[0x0112] == 6
        if ".tif" not in (suffix, into):
            assert found.getexif()[0x010E] == "a description"


def test_names_are_only_names(tmp_path: Path) -> None:
    for name in (b"a[1].png", b"b.png[Q=1]", b"\xff.png", "\u00fc \u20ac.png".encode()):
        path = tmp_path / os.fsdecode(name)
        Image.fromarray(noise(3)).save(path, format="png")
        assert np.array_equal(read(path), noise(3))
    upsample(path, tmp_path / os.fsdecode(b"\xfe.png"), 1, "nearest")
    assert np.array_equal(read(tmp_path / os.fsdecode(b"\xfe.png")), noise(3))


def test_a_file_that_changed_is_read_again(some: Path) -> None:
    assert Reader(some).picture.channels == 3
    save(some, noise(1))
    assert np.array_equal(read(some), noise(1))


# what goes wrong


def damaged(name: str) -> Any:
    def make(path: Path) -> Path:
        whole = save(path / f"whole{Path(name).suffix}", noise(3, height=300, width=300))
        (path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        return path / name

    return make


def multipage(path: Path) -> Path:
    page = Image.fromarray(noise(3))
    page.save(path / "pages.tif", save_all=True, append_images=[page])
    return path / "pages.tif"


def converted(name: str, mode: str, channels: int = 3) -> Any:
    def make(path: Path) -> Path:
        Image.fromarray(noise(channels).squeeze()).convert(mode).save(path / name)
        return path / name

    return make


def holding(name: str, content: bytes) -> Any:
    def make(path: Path) -> Path:
        (path / name).write_bytes(content)
        return path / name

    return make


def five_channels(path: Path) -> Path:
    tifffile.imwrite(path / "five.tif", np.zeros((4, 4, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    return path / "five.tif"


CURE = "convert it to grey or RGB with 8 or 16 bits, with or without alpha"
UNREADABLE = [
    (holding("empty.png", b""), "empty.png is empty"),
    (
        holding("text.png", b"hello " * 100),
        "text.png is not a PNG, JPEG or TIFF picture, or its first bytes are damaged",
    ),
    (
        holding("head.png", b"\x89PNG\r\n\x1a\n\0\0"),
        "head.png is not a PNG, JPEG or TIFF picture, or its first bytes are damaged",
    ),
    (converted("anim.gif", "P"), "anim.gif is not a PNG, JPEG or TIFF picture; convert it to one of them"),
    (damaged("cut.png"), "cut.png is damaged or truncated; its pixels cannot all be read"),
    (damaged("cut.jpg"), "cut.jpg is damaged or truncated; its pixels cannot all be read"),
    (damaged("cut.tif"), "cut.tif is damaged or truncated; its pixels cannot all be read"),
    (multipage, "pages.tif has 2 pages; split it into one file per page"),
    (converted("ink.jpg", "CMYK"), f"ink.jpg has 4 channels of cmyk, uchar; {CURE}"),
    (converted("ink.tif", "CMYK"), f"ink.tif has 4 channels of cmyk, uchar; {CURE}"),
    (converted("float.tif", "F", 1), f"float.tif has 1 channels of b-w, float; {CURE}"),
    (five_channels, f"five.tif has 5 channels of b-w, uchar; {CURE}"),
]


@pytest.mark.parametrize("make, message", UNREADABLE, ids=[message.partition(" ")[0] for _, message in UNREADABLE])
def test_what_cannot_be_read_is_refused_and_leaves_nothing(tmp_path: Path, make: Any, message: str) -> None:
    source = make(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(ImageFileError) as raised:
        upsample(source, tmp_path / "target.png")
    assert str(raised.value) == f"{tmp_path}/{message}"
    assert set(tmp_path.iterdir()) == before


def test_the_system_speaks_of_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*/missing\.png'"):
        Reader(tmp_path / "missing.png")
    with pytest.raises(IsADirectoryError, match=r"Is a directory: '"):
        Reader(tmp_path)


UNWRITABLE = [
    ("a.bmp", {}, "{}/a.bmp: write to a name that ends in one of .png, .jpg, .jpeg, .tif, .tiff"),
    ("no/a.png", {}, "{}/no/a.png: there is no folder {}/no; create it first"),
    ("folder.png", {}, "{}/folder.png is a folder; give a file name"),
    ("some.png", {}, "{}/some.png is the input itself; write to another name"),
    ("link.png", {}, "{}/link.png is the input itself; write to another name"),
    (
        "a.jpg",
        {"channels": 2},
        "{}/a.jpg: JPEG holds 8-bit grey or RGB, not 5 x 4 grey + alpha, 8-bit; write a .png or .tif",
    ),
    (
        "a.jpg",
        {"dtype": np.dtype(np.uint16)},
        "{}/a.jpg: JPEG holds 8-bit grey or RGB, not 5 x 4 RGB, 16-bit; write a .png or .tif",
    ),
    (
        "a.jpeg",
        {"height": 65_501},
        "{}/a.jpeg: 5 x 65501 pixels are too many for this format, which ends at 65,500 per side; write a .png or .tif",
    ),
    (
        "a.png",
        {"width": 10_000_001},
        "{}/a.png: 10000001 x 4 pixels are too many for this format, which ends at 10,000,000 per side",
    ),
]


@pytest.mark.parametrize("name, change, message", UNWRITABLE, ids=[message for *_, message in UNWRITABLE])
def test_targets_that_are_refused(tmp_path: Path, some: Path, name: str, change: Any, message: str) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(some)
    wanted = {"height": 4, "width": 5, "channels": 3, "dtype": np.dtype(np.uint8)} | change
    with pytest.raises(ImageFileError) as raised:
        check_target(tmp_path / name, Picture(**wanted), some)
    assert str(raised.value) == message.replace("{}", str(tmp_path))


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path, some: Path) -> None:
    target = Path(shutil.copy(some, tmp_path / "target.png"))
    old = target.read_bytes()
    with pytest.raises(RuntimeError, match="stop"), writer(target, picture(noise(3)), Reader(some)) as send:
        send(noise(3)[:5])
        raise RuntimeError("stop")
    assert target.read_bytes() == old
    assert set(tmp_path.iterdir()) == {some, target}


def test_an_encoder_that_fails_is_heard(tmp_path: Path, some: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_options", lambda *_: {"Q": 1000})
    with (
        pytest.raises(ImageFileError, match=r"target\.jpg cannot be written: "),
        writer(tmp_path / "target.jpg", Picture(10**6, 100, 3, np.dtype(np.uint8)), Reader(some)) as send,
    ):
        for _ in range(1000):  # more than a pipe holds: nobody may wait for ever
            send(np.zeros((1000, 100, 3), np.uint8))
    assert set(tmp_path.iterdir()) == {some}


def test_rows_that_are_missing_are_noticed(tmp_path: Path, some: Path) -> None:
    with (
        pytest.raises(ImageFileError, match=r"target\.png cannot be written"),
        writer(tmp_path / "target.png", picture(noise(3)), Reader(some)) as send,
    ):
        send(noise(3)[:5])
    assert set(tmp_path.iterdir()) == {some}


def test_a_target_that_the_system_refuses(tmp_path: Path, some: Path) -> None:
    with pytest.raises(OSError, match="File name too long"):
        upsample(some, tmp_path / ("n" * 250 + ".png"))


def test_a_full_disk(tmp_path: Path, some: Path) -> None:
    (tmp_path / f".target.png.{os.getpid()}.part").symlink_to("/dev/full")  # where the rows go until all is well
    with pytest.raises(ImageFileError) as raised:
        upsample(some, tmp_path / "target.png")
    expected = f"{tmp_path}/target.png cannot be written: target: write error, system error: No space left on device"
    assert str(raised.value) == expected
    assert set(tmp_path.iterdir()) == {some}
