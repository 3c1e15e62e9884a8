"""TIFFs as programs write them: what is a channel, what is alpha, what is a page, what is no pixel."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from tconv import errors, extras
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.data.pixels import read_image, read_raster

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
GREY = RGB[..., 0]


def bands(count: int, dtype: Any = np.uint16) -> Any:
    return np.random.default_rng(count).integers(0, 250, (count, 20, 30)).astype(dtype)


def refusal(path: Path, axes: str = "") -> str:
    with pytest.raises(errors.ImageFileError) as raised:
        read_raster(path, axes)
    return str(raised.value).removeprefix(f"{path} ")


# compression


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma", None])
def test_compressions_without_loss(tmp_path: Path, compression: str | None) -> None:
    mask = (GREY > 99).astype(np.uint8)
    for name, data in {"a.tif": RGB, "m.tif": mask}.items():
        if compression == "zstd":  # which Pillow wrote only from 12.0 on
            tifffile.imwrite(tmp_path / name, data, compression=compression)
        else:
            Image.fromarray(data).save(tmp_path / name, compression=compression)
    assert np.array_equal(read_image(tmp_path / "a.tif"), RGB)
    assert np.array_equal(read_mask(tmp_path / "m.tif"), mask)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "webp", "jpeg"])
def test_what_libvips_writes(tmp_path: Path, compression: str) -> None:
    pyvips = pytest.importorskip("pyvips")
    smooth = np.repeat(np.arange(0, 120, 4, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(smooth).tobytes(), 30, 20, 3, "uchar")
    how = {"predictor": "horizontal"} if compression in ("lzw", "deflate") else {"Q": 95}
    image.copy(interpretation="srgb").tiffsave(str(tmp_path / "a.tif"), compression=compression, **how)
    found = read_image(tmp_path / "a.tif")
    exact = compression not in ("webp", "jpeg")
    assert found.shape == (20, 30, 3) and np.abs(found.astype(int) - smooth).max() <= (0 if exact else 8)


def test_without_imagecodecs_pillow_reads_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, key: int) -> Any:
        raise KeyError(f"<COMPRESSION.LZW: {key}> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.tifffile.CompressionCodec, "__getitem__", refuse)
    Image.fromarray(RGB).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(read_image(tmp_path / "a.tif"), RGB)
    tifffile.imwrite(tmp_path / "b.tif", bands(5).transpose(1, 2, 0), photometric="minisblack", planarconfig="contig",
                     extrasamples=["unspecified"] * 4, compression=None)  # fmt: skip
    with (tmp_path / "b.tif").open("r+b") as file:  # the same, said to be in LZW
        content = bytearray(file.read())
        at = content.index(struct.pack("<HHI", 259, 3, 1))
        struct.pack_into("<H", content, at + 8, 5)
        file.seek(0)
        file.write(content)
    assert refusal(tmp_path / "b.tif") == (
        f"is compressed in a way that needs imagecodecs: {extras.cure('segmentation')}"
    )


# channels, alpha, pages


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("axes", ["CYX", "ome"])
def test_an_axis_of_channels(tmp_path: Path, count: int, axes: str) -> None:
    data = bands(count)
    how: dict[str, Any] = {"ome": True} if axes == "ome" else {"imagej": True}
    tifffile.imwrite(tmp_path / "a.tif", data, metadata={"axes": "CYX"}, photometric="minisblack", **how)
    raster = read_raster(tmp_path / "a.tif")
    assert (raster.channels, raster.alpha) == (count, False)
    assert np.array_equal(raster.pixels, data.transpose(1, 2, 0))


@pytest.mark.parametrize(("count", "photometric", "extra", "channels", "alpha"), [
    (4, "rgb", ["unspecified"], 4, False), (4, "rgb", ["unassalpha"], 3, True), (4, "rgb", ["assocalpha"], 3, True),
    (4, "minisblack", ["unspecified"] * 3, 4, False), (2, "minisblack", ["unassalpha"], 1, True),
    (2, "minisblack", ["unspecified"], 2, False), (5, "rgb", ["unspecified", "unassalpha"], 4, True),
])  # fmt: skip
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_alpha_is_what_the_file_calls_alpha(
    tmp_path: Path, count: int, photometric: str, extra: list[str], channels: int, alpha: bool, planar: str
) -> None:
    data = bands(count)
    stored = data if planar == "separate" else data.transpose(1, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, extrasamples=extra, planarconfig=planar)
    raster = read_raster(tmp_path / "a.tif")
    assert (raster.channels, raster.alpha) == (channels, alpha)
    assert np.array_equal(raster.fitted(channels, tmp_path).pixels, data[:channels].transpose(1, 2, 0))


def test_alpha_between_the_bands_comes_last(tmp_path: Path) -> None:
    data = bands(5)
    tifffile.imwrite(tmp_path / "a.tif", data.transpose(1, 2, 0), photometric="rgb", planarconfig="contig",
                     extrasamples=["unassalpha", "unspecified"])  # fmt: skip
    assert np.array_equal(read_image(tmp_path / "a.tif"), data[[0, 1, 2, 4, 3]].transpose(1, 2, 0))


def write_pages(path: Path, *pages: Any, **how: Any) -> None:
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, contiguous=False, metadata=None, **how)


@pytest.mark.parametrize(("name", "write"), [
    ("ZYX", lambda p: tifffile.imwrite(p, bands(6), imagej=True, metadata={"axes": "ZYX"})),
    ("TYX", lambda p: tifffile.imwrite(p, bands(6), imagej=True, metadata={"axes": "TYX"})),
    ("ZYX", lambda p: tifffile.imwrite(p, bands(6), ome=True, metadata={"axes": "ZYX"}, photometric="minisblack")),
    ("IYX", lambda p: write_pages(p, *bands(6))), ("QYX", lambda p: tifffile.imwrite(p, bands(6))),
])  # fmt: skip
def test_slices_moments_and_pages_are_no_channels(tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / "a.tif")
    assert refusal(tmp_path / "a.tif") == (
        f"has the axes {name} (6 x 20 x 30), of which {name[0]} may be slices, moments or separate pictures; say by "
        f"--axes CYX that they are channels, or by --axes {name} that each is a picture"
    )
    for page in (0, 4):
        assert np.array_equal(read_image(tmp_path / "a.tif", "zyx", page)[..., 0], bands(6)[page])
    assert np.array_equal(read_image(tmp_path / "a.tif", "CYX"), bands(6).transpose(1, 2, 0))


def test_slices_of_channels(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 255, (3, 2, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    assert refusal(tmp_path / "a.tif").endswith(
        "has the axes ZCYX (3 x 2 x 20 x 30), of which Z may be slices, moments or separate pictures; write one file "
        "per picture"
    )
    assert np.array_equal(read_image(tmp_path / "a.tif", "ZCYX", 1), data[1].transpose(1, 2, 0))
    assert np.array_equal(read_image(tmp_path / "a.tif", "CZYX", 1), data[:, 1].transpose(1, 2, 0))


def test_axes_that_are_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", bands(6))
    assert refusal(tmp_path / "a.tif", "YX") == ("has the axes QYX (6 x 20 x 30), and --axes YX names 2; name each one")
    law = "must name Y and X once, C at most once, and at most one axis of pictures, as in CYX or ZYX"
    for axes in ("ZTYX", "CCX", "CY", "cyxx", "2YX"):
        with pytest.raises(errors.TconvError) as raised:
            read_image(tmp_path / "a.tif", axes)
        assert str(raised.value) == f"--axes {axes} {law}"
    tifffile.imwrite(tmp_path / "b.tif", bands(6).transpose(1, 2, 0), photometric="minisblack")
    assert np.array_equal(read_image(tmp_path / "b.tif", "yxc"), bands(6).transpose(1, 2, 0))
    tifffile.imwrite(tmp_path / "c.tif", GREY)
    assert read_image(tmp_path / "c.tif", "YX").shape == (20, 30, 1)


def test_pages_of_other_sizes(tmp_path: Path) -> None:
    write_pages(tmp_path / "a.tif", GREY, np.zeros((7, 9), np.uint8))
    assert refusal(tmp_path / "a.tif") == "holds 2 images (20 x 30, 7 x 9); write one file per image"


def test_reduced_copies_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RGB, photometric="rgb", metadata=None)
        file.write(np.ascontiguousarray(RGB[::2, ::2]), photometric="rgb", subfiletype=1, metadata=None)
    assert np.array_equal(read_image(tmp_path / "a.tif"), RGB)


# what the photometric tag says


def test_palettes_are_colours_in_images_and_indices_in_masks(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(16)
    image.save(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif"), np.asarray(image.convert("RGB")))
    assert np.array_equal(read_mask(tmp_path / "a.tif"), np.asarray(image))


def test_white_is_zero(tmp_path: Path) -> None:
    for name, data in (("a", GREY), ("b", bands(1)[0])):
        tifffile.imwrite(tmp_path / f"{name}.tif", data, photometric="miniswhite")
        assert np.array_equal(read_image(tmp_path / f"{name}.tif")[..., 0], ~data)
    tifffile.imwrite(tmp_path / "bits.tif", GREY > 99, photometric="miniswhite")
    assert np.array_equal(read_mask(tmp_path / "bits.tif"), GREY <= 99)
    Image.fromarray(GREY > 99).save(tmp_path / "bits.tif")
    assert np.array_equal(read_image(tmp_path / "bits.tif")[..., 0], (GREY > 99) * 255)


@pytest.mark.parametrize("compression", [None, "jpeg"])
def test_ycbcr_as_it_is_shown(tmp_path: Path, compression: str | None) -> None:
    smooth = np.repeat(np.arange(0, 120, 4, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    Image.fromarray(smooth).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - smooth).max() < 9


def test_inks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.tif")
    assert refusal(tmp_path / "a.tif") == "has the colour mode CMYK; convert it to RGB or grey with 8 or 16 bits"
    Image.fromarray(RGB).convert("LAB").save(tmp_path / "a.tif")
    assert refusal(tmp_path / "a.tif") == "has the colour mode CIELAB; convert it to RGB or grey with 8 or 16 bits"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path: Path, orientation: int) -> None:
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", extratags=tag)
    with Image.open(tmp_path / "a.tif") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(tmp_path / "a.tif"), expected)
    tifffile.imwrite(tmp_path / "m.tif", GREY, extratags=tag)
    assert np.array_equal(read_mask(tmp_path / "m.tif"), expected[..., 0])


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "int32", "float16", "float64"])
def test_other_numbers_become_float32(tmp_path: Path, dtype: str) -> None:
    data = (np.arange(600).reshape(20, 30) % 100).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", data)
    found = read_image(tmp_path / "a.tif")
    assert found.dtype == np.float32 and np.array_equal(found[..., 0], data)


# pixels that are none


def geotiff(path: Path, data: Any, nodata: str = "", **how: Any) -> None:
    tags: list[Any] = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True), (34737, "s", 0, "WGS 84|", True),
    ]  # fmt: skip
    if nodata:
        tags.append((42113, "s", 0, nodata, True))
    tifffile.imwrite(path, data, extratags=tags, metadata=None, **how)


def test_nan_and_nodata(tmp_path: Path) -> None:
    data = bands(3, np.float32)
    data[0, 3, 4], data[1, 5, 6], data[:, 7, 8] = np.nan, -9999, np.inf
    geotiff(tmp_path / "a.tif", data, "-9999", photometric="minisblack", planarconfig="separate")
    raster = read_raster(tmp_path / "a.tif")
    assert raster.valid is not None
    assert np.argwhere(~raster.valid).tolist() == [[3, 4], [5, 6], [7, 8]]
    assert np.isfinite(raster.pixels).all()


def test_an_unsigned_nodata_counts_where_all_channels_have_it(tmp_path: Path) -> None:
    data = np.maximum(RGB, 1)
    data[2, 3], data[4, 5, 0] = 0, 0
    geotiff(tmp_path / "a.tif", data, "0", photometric="rgb")
    raster = read_raster(tmp_path / "a.tif")
    assert raster.valid is not None and np.argwhere(~raster.valid).tolist() == [[2, 3]]
    geotiff(tmp_path / "b.tif", data, "nan", photometric="rgb")
    assert read_raster(tmp_path / "b.tif").valid is None
    geotiff(tmp_path / "c.tif", data, "none", photometric="rgb")
    assert read_raster(tmp_path / "c.tif").valid is None


def test_where_it_lies(tmp_path: Path) -> None:
    geotiff(tmp_path / "a.tif", RGB, photometric="rgb")
    place = read_raster(tmp_path / "a.tif").place
    assert [tag[0] for tag in place.tags] == [33550, 33922, 34735, 34737] and place.tags[0][3] == (10.0, 10.0, 0.0)
    Image.fromarray(RGB).save(tmp_path / "b.tif")
    (tmp_path / "b.tfw").write_text("10\n0\n0\n-10\n500000\n4000000\n")
    Image.fromarray(RGB).save(tmp_path / "c.jpg")
    (tmp_path / "c.jgw").write_text("10 0 0 -10 500000 4000000")
    for name in ("b.tif", "c.jpg"):
        assert read_raster(tmp_path / name).place.world == "10\n0\n0\n-10\n500000\n4000000\n"
    (tmp_path / "b.tfw").write_text("nonsense")
    assert not read_raster(tmp_path / "b.tif").place


# what is damaged


def test_metadata_of_ome_that_are_no_xml(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None, description="<?xml version='1.0'?><OME broken </OME>")
    assert np.array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


def patched(path: Path, tag: int, value: int) -> None:
    """A tag of one short or long number, overwritten."""
    content = bytearray(path.read_bytes())
    start = struct.unpack_from("<I", content, 4)[0]
    for n in range(struct.unpack_from("<H", content, start)[0]):
        at = start + 2 + 12 * n
        if struct.unpack_from("<H", content, at)[0] == tag:
            struct.pack_into(
                "<I" if struct.unpack_from("<H", content, at + 2)[0] == 4 else "<H", content, at + 8, value
            )
    path.write_bytes(content)


@pytest.mark.parametrize(("tag", "value"), [(256, 0), (257, 0), (322, 0), (323, 0), (277, 0)])
def test_heads_that_cannot_be(tmp_path: Path, tag: int, value: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.tile(RGB, (2, 2, 1)), photometric="rgb", tile=(16, 16), metadata=None,
                     compression="zlib")  # fmt: skip
    patched(tmp_path / "a.tif", tag, value)
    assert refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("how", [{"tile": (16, 16)}, {"rowsperstrip": 4}, {"rowsperstrip": 4, "compression": "zlib"}])
def test_a_head_that_claims_more_than_there_is(tmp_path: Path, how: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", metadata=None, **how)
    assert np.array_equal(read_image(tmp_path / "a.tif"), RGB)
    patched(tmp_path / "a.tif", 257, 2000)
    assert refusal(tmp_path / "a.tif") == "is truncated or damaged; copy or export it again"


def test_a_picture_by_the_name_of_another_format(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.tif", format="PNG")
    tifffile.imwrite(tmp_path / "b.png", RGB, photometric="rgb")
    for name in ("a.tif", "b.png"):
        assert np.array_equal(read_image(tmp_path / name), RGB)
    (tmp_path / "c.tif").touch()
    assert refusal(tmp_path / "c.tif") == "is empty; copy it again"
