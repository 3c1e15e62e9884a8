"""Prediction: tiles without seams, any kind of image, by window where it is large; what is bad is reported."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from PIL import Image

from tconv import errors
from tconv.segmentation import Card, FCN8s, UNet, palette
from tconv.segmentation.data.dataset import Normal
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.predict import windows
from tconv.segmentation.predict.files import find_images, predict
from tconv.segmentation.predict.tasks import Wish
from tconv.segmentation.predict.tiles import Tiling, as_scores, image_scores, scores, tiling_of


def alive(model: torch.nn.Module) -> torch.nn.Module:
    """A network with scores that vary: batch norm with what training would have found on noise, and a U-Net's classes
    about equally often."""
    torch.manual_seed(1)
    model.train()
    for _ in range(8):
        model(torch.randn(2, 3, 64, 64))
    model.eval()
    if isinstance(model, UNet):
        with torch.no_grad():
            assert model.final_conv.bias is not None
            model.final_conv.bias -= model(torch.randn(2, 3, 64, 64)).mean(dim=(0, 2, 3))
    return model


def tiled_scores(model: torch.nn.Module, image: torch.Tensor, tiling: Tiling) -> torch.Tensor:
    """In tiles, however small the image is."""
    cut = replace(tiling, whole=0)
    return image_scores(model, lambda y, x: image[:, y, x], (image.shape[1], image.shape[2]), cut, as_scores)


def card(channels: int = 3) -> Card:
    arguments = {"in_channels": channels, "out_channels": 3, "features": [4, 8]}
    return Card("unet", arguments, ("a", "b", "c"), (0, 1, 2), palette(3), (0.5,) * channels, (0.25,) * channels, 32)


@pytest.mark.parametrize(
    ("size", "tile", "margin"), [(1, 64, 0), (64, 64, 16), (65, 64, 16), (200, 96, 16), (517, 128, 32)]
)
def test_weights_of_tiles_add_up_to_one(size: int, tile: int, margin: int) -> None:
    tiling, total = Tiling(tile, margin, 16), np.zeros(size)
    cuts = tiling.cuts(size)
    for cut in cuts:
        assert cut.start % 16 == 0 and cut.stop - cut.start <= tile
        total[cut.first : cut.last] += cut.weights
        assert cut.start == 0 or cut.first - cut.start >= margin
        assert cut.stop == size or cut.stop - cut.last >= margin
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("model", [
    UNet(3, 3, (4, 8)), UNet(3, 3, (4, 8), up="bicubic"), UNet(3, 3, (4, 8), up="pixelshuffle"), FCN8s(3, 3, (2,) * 5),
], ids=["transposed", "bicubic", "pixelshuffle", "fcn8s"])  # fmt: skip
@pytest.mark.parametrize("shape", [(481, 90), (100, 512)])
def test_tiles_show_no_seam(model: torch.nn.Module, shape: tuple[int, int]) -> None:
    model = alive(model)
    image = torch.randn(3, *shape)
    whole = scores(model, image)
    tiled = tiled_scores(model, image, tiling_of(model, 64))
    assert whole.std() > 1e-3
    assert (whole - tiled).abs().max() < 1e-3 * whole.abs().max()
    assert len(tiling_of(model, 64).cuts(max(shape))) > 1


def test_the_default_network_shows_no_seam() -> None:
    model = alive(UNet(3, 3))
    image = torch.randn(3, 64, 1000)
    whole, tiled = scores(model, image), tiled_scores(model, image, tiling_of(model))
    assert len(tiling_of(model).cuts(1000)) == 3
    assert (whole - tiled).abs().max() < 1e-3 * whole.abs().max()


def test_images_smaller_than_the_network_reaches() -> None:
    assert scores(UNet(3, 2, (4, 8)).eval(), torch.randn(3, 1, 2)).shape == (2, 1, 2)


def test_tilings_that_cannot_be() -> None:
    with pytest.raises(errors.TconvError, match="tile 64 is too small for margin 32; give at least 128"):
        Tiling(64, 32, 32)
    with pytest.raises(errors.TconvError, match="tile 100 and margin 16 must be multiples of 16, the network's stride"):
        Tiling(100, 16, 16)


def pixels(*shape: int, dtype: Any = np.uint8) -> Any:
    top = np.iinfo(dtype).max if dtype != np.float32 else 1
    return (np.random.default_rng(0).random(shape) * top).astype(dtype)


@pytest.fixture
def network() -> torch.nn.Module:
    return alive(UNet(3, 3, (4, 8)))


def test_every_kind_of_image(tmp_path: Path, network: torch.nn.Module) -> None:
    Image.fromarray(pixels(20, 30)).save(tmp_path / "grey.png")
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "rgb.jpg")
    Image.fromarray(pixels(20, 30, 4)).save(tmp_path / "rgba.png")
    Image.fromarray(pixels(20, 30, dtype=np.uint16)).save(tmp_path / "deep.png")
    tifffile.imwrite(tmp_path / "deep_rgb.tif", pixels(20, 30, 3, dtype=np.uint16), photometric="rgb")
    tifffile.imwrite(tmp_path / "float.tif", pixels(20, 30, 3, dtype=np.float32), photometric="rgb")
    tifffile.imwrite(tmp_path / "five.tif", pixels(5, 20, 30), metadata={"axes": "CYX"})
    Image.new("CMYK", (4, 4)).save(tmp_path / "ink.jpg")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:200])
    name = os.fsdecode(b"\xff.png")
    (tmp_path / "grey.png").rename(tmp_path / name)
    outcome = predict(network, card(), find_images(str(tmp_path)), tmp_path / "out")
    assert len(outcome.written) == 6
    for path in outcome.written:
        assert read_mask(path).shape == (20, 30) and read_mask(path).max() <= 2
    said = "\n".join(map(str, outcome.problems))
    assert "five.tif has 5 channels and the model takes 3; give it such images" in said
    assert "ink.jpg has the colour mode CMYK" in said and "cut.png is truncated or damaged" in said
    assert len(outcome.problems) == 3


def test_what_is_written(tmp_path: Path, network: torch.nn.Module) -> None:
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "a.png")
    wish = Wish(overlay=True, probabilities=True)
    predict(network, card(), [tmp_path / "a.png"], tmp_path / "out", wish)
    probabilities = np.load(tmp_path / "out" / "a_probabilities.npy")
    assert probabilities.shape == (3, 20, 30)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.mode == "P" and (image.getpalette() or [])[:9] == [n for colour in palette(3) for n in colour]
        assert np.array_equal(np.asarray(image), probabilities.argmax(axis=0))
    with Image.open(tmp_path / "out" / "a_overlay.png") as image:
        assert image.size == (30, 20)


def test_what_is_done_is_skipped(tmp_path: Path, network: torch.nn.Module) -> None:
    for name in ("a", "b"):
        Image.fromarray(pixels(20, 30, 3)).save(tmp_path / f"{name}.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"done")
    found = find_images(str(tmp_path / "?.png"))
    outcome = predict(network, card(), found, tmp_path / "out")
    assert [path.name for path in outcome.skipped] == ["a.png"] and (tmp_path / "out" / "a.png").read_bytes() == b"done"
    assert outcome.foreign == outcome.skipped  # nobody knows what it is, so it stays as it is
    again = predict(network, card(), found, tmp_path / "out", Wish(again=True))
    assert [path.name for path in again.written] == ["b.png"] and (tmp_path / "out" / "a.png").read_bytes() == b"done"
    assert str(again.problems[0]).endswith("a.png was not written by tconv and is not replaced; give another folder")
    (tmp_path / "out" / "a.png").unlink()
    assert len(predict(network, card(), found, tmp_path / "out", Wish(again=True)).written) == 2
    outcome = predict(network, card(), found, tmp_path / "out")
    assert (len(outcome.skipped), outcome.foreign) == (2, [])
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "a.bmp")
    assert "shares its name with a.bmp; rename one" in str(
        predict(network, card(), find_images(str(tmp_path)), tmp_path / "new").problems[0]
    )


def test_an_overlay_is_no_image_s_mask(tmp_path: Path, network: torch.nn.Module) -> None:
    for name in ("a", "a_overlay"):
        Image.fromarray(pixels(20, 30, 3)).save(tmp_path / f"{name}.png")
    found = find_images(str(tmp_path / "*.png"))
    outcome = predict(network, card(), found, tmp_path / "out", Wish(overlay=True))
    assert [path.name for path in outcome.written] == ["a_overlay.png"]
    assert "would have its overlay where a_overlay.png has its mask; rename one" in str(outcome.problems[0])
    assert len(predict(network, card(), found, tmp_path / "plain").written) == 2


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "a.png")
    monkeypatch.setattr(os, "fsync", refuse)
    outcome = predict(network, card(), [tmp_path / "a.png"], tmp_path / "out")
    assert str(outcome.problems[0]).endswith(
        "out/a.png cannot be written: Read-only file system; what was there before is untouched"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_by_window(tmp_path: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LARGE", 1000)
    image = pixels(700, 300, 3)
    tifffile.imwrite(tmp_path / "big.tif", image, photometric="rgb", tile=(64, 64), bigtiff=True)
    array = zarr.create_array(tmp_path / "big.zarr", shape=image.shape, chunks=(100, 100, 3), dtype="uint8")
    array[:] = image
    Image.fromarray(image).save(tmp_path / "whole.png")
    found = [tmp_path / name for name in ("big.tif", "whole.png")]
    outcome = predict(network, card(), found, tmp_path / "out", Wish(tile=128))
    outcome.written += predict(network, card(), [tmp_path / "big.zarr"], tmp_path / "zarr", Wish(tile=128)).written
    assert [path.name for path in outcome.written] == ["big.tif", "whole.png", "big.zarr"] and not outcome.problems
    whole = read_mask(outcome.written[1])
    tiff, stored = tifffile.imread(outcome.written[0]), zarr.open_array(outcome.written[2], mode="r")[:]
    assert tiff.shape == whole.shape and np.array_equal(tiff, stored)
    assert (tiff != whole).mean() < 1e-3  # where two scores are equal to rounding
    assert not [path for path in tmp_path.rglob("*part*")]


def test_what_cannot_be_read_by_window(
    tmp_path: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LARGE", 1000)
    monkeypatch.setattr(windows, "PIECE", 2**16)
    image = pixels(200, 200, 3)
    tifffile.imwrite(tmp_path / "one.tif", image, photometric="rgb", compression="zlib", rowsperstrip=200)
    array = zarr.create_array(tmp_path / "piece.zarr", shape=image.shape, chunks=image.shape, dtype="uint8")
    array[:] = image
    tifffile.imwrite(tmp_path / "cut.tif", image, photometric="rgb")
    with (tmp_path / "cut.tif").open("r+b") as file:
        file.truncate(100_000)
    tifffile.imwrite(tmp_path / "plain.tif", image.astype(">u2"), photometric="rgb", byteorder=">")  # in one strip, too
    tifffile.imwrite(tmp_path / "planes.tif", image.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    outcome = predict(network, card(), find_images(str(tmp_path)), tmp_path / "out")
    assert [path.name for path in outcome.written] == ["plain.tif", "planes.tif"]
    large = "is compressed in pieces of 0.0 GiB, each of which would have to be decoded whole; write it in tiles, as " \
        "with `vips tiffsave IN OUT.tif --tile --bigtiff`"  # fmt: skip
    assert [problem.message for problem in outcome.problems] == [
        f"{tmp_path}/cut.tif is truncated or damaged; copy or export it again",
        f"{tmp_path}/one.tif {large}",
        f"{tmp_path}/piece.zarr {large}",
    ]
    assert (tifffile.imread(tmp_path / "out" / "planes.tif") == classes_of(network, image)).mean() > 0.999


def classes_of(network: torch.nn.Module, image: Any) -> Any:
    """The classes of an image in one piece."""
    return scores(network, Normal(card().mean, card().std)(image)).argmax(dim=0).numpy()


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no image there; give a file, a folder or a glob of"):
        find_images(str(tmp_path / "*.png"))
