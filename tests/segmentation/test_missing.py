"""Pixels that are none: left out of normalisation, loss, measurement and masks; and where an image lies stays known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from segmentation.test_predict import alive, card

from tconv import segmentation
from tconv.segmentation import UNet
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Normal, Samples, measure
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.predict import windows
from tconv.segmentation.predict.files import predict
from tconv.segmentation.predict.tasks import Wish
from tconv.segmentation.train import Settings, train

HOLE = np.s_[5:15, 8:20]
GEO: list[Any] = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True), (34737, "s", 0, "WGS 84|", True),
]  # fmt: skip


def scene(path: Path, seed: int = 0, size: tuple[int, int] = (40, 50), hole: float = -9999.0, **how: Any) -> Any:
    """A float image with a hole, a GeoTIFF."""
    data = np.random.default_rng(seed).normal(3, 2, (*size, 3)).astype(np.float32)
    data[HOLE] = hole
    tags = GEO if np.isnan(hole) else [*GEO, (42113, "s", 0, f"{hole:g}", True)]
    tifffile.imwrite(path, data, photometric="rgb", metadata=None, extratags=tags, **how)
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in ("images", "masks"):
        (tmp_path / "data" / place).mkdir(parents=True)
    for n in range(4):
        scene(tmp_path / "data" / "images" / f"{n}.tif", n, hole=[-9999.0, np.nan][n % 2])
        mask = np.zeros((40, 50), np.uint8)
        mask[10:30, 10:40] = 1
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{n}.png")
    return tmp_path / "data"


def test_they_count_nowhere(folder: Path, tmp_path: Path) -> None:
    found = check(folder)
    assert not found.problems and found.items[0].missing == 120
    assert found.notes == [
        "4 images have pixels that are NaN or nodata, which are left out (0.tif, 1.tif, 2.tif, 3.tif)"
    ]
    assert sum(found.balance().values()) == 4 * (2000 - 120)
    normal = measure(found.items, 3)
    assert normal.mean == pytest.approx((3, 3, 3), abs=0.1) and normal.std == pytest.approx((2, 2, 2), abs=0.1)
    assert found.legend is not None
    image, classes = Samples(found.items, found.legend, normal)[0]
    assert (classes[HOLE] == 255).all() and (classes == 255).sum() == 120
    assert np.abs(normal(image).numpy()[:, HOLE[0], HOLE[1]]).max() < 1e-6
    result = train(folder, tmp_path / "run", Settings(epochs=1, features=(4, 8), size=32, batch=2, held_out=0.25))
    assert result.confusion.counts.sum() == result.baselines["majority"].counts.sum() == 2000 - 120


def test_integers_are_filled_with_their_mean() -> None:
    from tconv.segmentation.data.pixels import Raster

    valid = np.array([[True, False]])
    raster = Raster(np.array([[[10], [0]]], np.uint8), valid=valid)
    assert Normal((0.5,), (1.0,)).filled(raster).ravel().tolist() == [10, 128]


@pytest.mark.parametrize("large", [False, True])
def test_masks_are_255_there_and_lie_where_the_image_lies(
    tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LARGE", 1000 if large else 2**28)
    scene(tmp_path / "a.tif", size=(300, 200), tile=(64, 64), compression="zlib")
    network = alive(UNet(3, 3, (4, 8)))
    wish = Wish(tile=128, probabilities=not large, overlay=not large)
    outcome = predict(network, card(), [tmp_path / "a.tif"], tmp_path / "out", wish)
    assert outcome.written == [tmp_path / "out" / "a.tif"] and not outcome.problems
    with tifffile.TiffFile(outcome.written[0]) as file:
        page = file.pages.first
        mask = page.asarray()
        assert [page.tags[tag[0]].value for tag in GEO] == [tag[3] for tag in GEO]
        assert page.tags[42113].value == "255" and str(page.software) == "tconv segment predict"
    assert (mask[HOLE] == 255).all() and (mask == 255).sum() == 120
    assert np.array_equal(read_mask(outcome.written[0]), mask)
    if not large:
        probabilities = np.load(tmp_path / "out" / "a_probabilities.npy")
        assert np.isnan(probabilities[:, HOLE[0], HOLE[1]]).all() and np.isnan(probabilities).sum() == 360
    assert len(predict(network, card(), [tmp_path / "a.tif"], tmp_path / "out", wish).skipped) == 1


def test_a_world_file_goes_with_the_mask(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jgw").write_text("10\n0\n0\n-10\n500000\n4000000\n")
    outcome = predict(alive(UNet(3, 3, (4, 8))), card(), [tmp_path / "a.jpg"], tmp_path / "out")
    assert outcome.written == [tmp_path / "out" / "a.png"]
    assert (tmp_path / "out" / "a.pgw").read_text() == "10\n0\n0\n-10\n500000\n4000000\n"


def test_a_model_of_four_bands(tmp_path: Path) -> None:
    for place in ("images", "masks"):
        (tmp_path / "data" / place).mkdir(parents=True)
    for n in range(3):
        data = np.random.default_rng(n).integers(0, 65535, (32, 40, 4)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "data" / "images" / f"{n}.tif", data, photometric="rgb",
                         extrasamples=["unspecified"], planarconfig="contig")  # fmt: skip
        mask = np.zeros((32, 40), np.uint8)
        mask[4:20, 6:24] = 1
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{n}.png")
    train(tmp_path / "data", tmp_path / "run", Settings(epochs=1, features=(4, 8), size=16, held_out=0.34))
    network, model_card = segmentation.load(tmp_path / "run")
    assert model_card.channels == 4
    images = sorted((tmp_path / "data" / "images").iterdir())
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(tmp_path / "rgba.png")
    outcome = predict(network, model_card, [*images, tmp_path / "rgba.png"], tmp_path / "out")
    assert len(outcome.written) == 3
    assert str(outcome.problems[0]) == (
        f"{tmp_path}/rgba.png has 3 channels beside alpha and the model takes 4; give it such images"
    )


def test_axes_are_remembered(tmp_path: Path) -> None:
    for place in ("images", "masks"):
        (tmp_path / "data" / place).mkdir(parents=True)
    for n in range(3):
        tifffile.imwrite(tmp_path / "data" / "images" / f"{n}.tif", np.random.default_rng(n).random((5, 32, 40), "f4"))
        mask = np.zeros((32, 40), np.uint8)
        mask[4:20, 6:24] = 1
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{n}.png")
    assert len(check(tmp_path / "data").problems) == 3
    settings = Settings(epochs=1, features=(4, 8), size=16, held_out=0.34, axes="CYX")
    train(tmp_path / "data", tmp_path / "run", settings)
    network, model_card = segmentation.load(tmp_path / "run")
    assert (model_card.channels, model_card.axes) == (5, "CYX")
    outcome = predict(network, model_card, [tmp_path / "data" / "images" / "0.tif"], tmp_path / "out")
    assert len(outcome.written) == 1


def test_pages_that_are_pictures(tmp_path: Path) -> None:
    for place in ("images", "masks"):
        (tmp_path / "data" / place).mkdir(parents=True)
    for n in range(2):
        stack = np.random.default_rng(n).integers(0, 255, (3, 32, 40), np.uint8)
        tifffile.imwrite(tmp_path / "data" / "images" / f"{n}.tif", stack, imagej=True, metadata={"axes": "ZYX"})
        masks = np.zeros((3, 32, 40), np.uint8)
        masks[:, 4 : 12 + n, 6:24] = 1
        masks[2, 20:30] = 1
        tifffile.imwrite(tmp_path / "data" / "masks" / f"{n}.tif", masks, photometric="minisblack")
    found = check(tmp_path / "data", axes="ZYX")
    assert [item.pair.name for item in found.items] == [f"{n}[{page}]" for n in range(2) for page in range(3)]
    assert [item.counts[1] for item in found.items] == [144, 144, 144 + 400, 162, 162, 162 + 400]
    settings = Settings(epochs=1, features=(4, 8), size=16, batch=2, held_out=0.34, axes="ZYX")
    train(tmp_path / "data", tmp_path / "run", settings)
    network, model_card = segmentation.load(tmp_path / "run")
    outcome = predict(network, model_card, [tmp_path / "data" / "images" / "0.tif"], tmp_path / "out")
    with tifffile.TiffFile(outcome.written[0]) as file:
        assert file.series[0].shape == (3, 32, 40) and len(file.pages) == 3
    tifffile.imwrite(tmp_path / "data" / "masks" / "1.tif", masks[:2], photometric="minisblack")
    assert str(check(tmp_path / "data", axes="ZYX").problems[0]).endswith(
        "1.tif holds 3 pictures and its mask, 1.tif, 2; there must be a mask for each"
    )
