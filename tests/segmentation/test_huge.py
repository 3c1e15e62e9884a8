"""Images larger than memory: what a prediction takes does not grow with the image, and every window is right."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from segmentation.test_predict import alive, card

from tconv.segmentation import UNet, save
from tconv.segmentation.data.dataset import Normal
from tconv.segmentation.predict.tiles import scores

TILE = 512
GIB = 2**30

# Says after each prediction the most memory that it has had; ru_maxrss would count what its parent had, too.
PREDICT = """
import sys
from tconv.cli import main
from tconv.segmentation.predict import windows
windows.LARGE = 0
for path in sys.argv[3:]:
    try:
        main(["segment", "predict", sys.argv[1], path, "-o", sys.argv[2]])
    except SystemExit as left:
        assert not left.code
    print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def tile(y: int, x: int) -> Any:
    """(512, 512, 3): squares of 4 x 4 pixels, so that files stay small."""
    few = np.random.default_rng([y, x]).integers(0, 4, (TILE // 4, TILE // 4, 3), np.uint8) * 85
    return few.repeat(4, axis=0).repeat(4, axis=1)


def rows(height: int, width: int) -> Iterator[Any]:
    """The image from top to bottom, a row of tiles at a time."""
    for y in range(-(-height // TILE)):
        row = np.concatenate([tile(y, x) for x in range(-(-width // TILE))], axis=1)
        yield row[: height - y * TILE, :width]


def write_tiff(path: Path, height: int, width: int) -> None:
    tiles = (tile(y, x) for y in range(-(-height // TILE)) for x in range(-(-width // TILE)))
    tifffile.imwrite(path, tiles, shape=(height, width, 3), dtype=np.uint8, photometric="rgb", bigtiff=True,
                     tile=(TILE, TILE), compression="zlib", compressionargs={"level": 1})  # fmt: skip


def write_zarr(path: Path, height: int, width: int) -> None:
    array = zarr.create_array(path, shape=(height, width, 3), chunks=(TILE, TILE, 3), dtype="uint8")
    for y, row in enumerate(rows(height, width)):
        array[y * TILE : y * TILE + len(row)] = row


def write_striped(path: Path, height: int, width: int) -> None:
    strips = (
        zlib.compress(row[n : n + 32].tobytes(), 1) for row in rows(height, width) for n in range(0, len(row), 32)
    )
    tifffile.imwrite(path, strips, shape=(height, width, 3), dtype=np.uint8, photometric="rgb", bigtiff=True,
                     rowsperstrip=32, compression="zlib")  # fmt: skip


def write_plain(path: Path, height: int, width: int) -> None:
    """One strip, as programs write that do not compress."""
    image = tifffile.memmap(path, shape=(height, width, 3), dtype=np.uint8, photometric="rgb", bigtiff=True)
    for y, row in enumerate(rows(height, width)):
        image[y * TILE : y * TILE + len(row)] = row
        image.flush()


WRITE = {"tiled.tif": write_tiff, "array.zarr": write_zarr, "striped.tif": write_striped, "plain.tif": write_plain}


@pytest.fixture
def network(tmp_path: Path) -> torch.nn.Module:
    model = alive(UNet(3, 3, (4, 8)))
    save(tmp_path / "model.safetensors", model, card())
    return model


def peaks(folder: Path, paths: list[Path]) -> list[int]:
    """Write masks to folder/out, one after the other: the most memory that it took until then, in bytes."""
    command = [sys.executable, "-c", PREDICT, folder / "model.safetensors", folder / "out", *paths]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(text.split()[0]) * 1024 for text in done.stdout.split("VmHWM:")[1:]]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A mask to be read by window."""
    if path.suffix == ".zarr":
        yield zarr.open_array(path, mode="r")
        return
    with tifffile.TiffFile(path) as file, file.aszarr() as store:
        yield zarr.open_array(store, mode="r")


def check_windows(network: torch.nn.Module, mask: Any, height: int, width: int) -> None:
    """At corners, borders and in the middle, windows are what the network says about them and their surroundings."""
    assert mask.shape == (height, width) and mask.dtype == np.uint8
    normal, around = Normal(card().mean, card().std), 256
    for top, left in [(0, 0), (height - 500, width - 500), (height // 8 * 4, 0), (height // 12 * 4, width // 20 * 4)]:
        first = max(0, top - around), max(0, left - around)
        last = min(height, top + 500 + around), min(width, left + 500 + around)
        found = scores(network, normal(region(first, last))).argmax(dim=0).numpy().astype(np.uint8)
        inner = found[top - first[0] :, left - first[1] :][:500, :500]
        assert len(np.unique(inner)) == 3
        assert (mask[top : top + 500, left : left + 500] != inner).mean() < 1e-3  # where scores are equal to rounding


def region(first: tuple[int, int], last: tuple[int, int]) -> Any:
    """The pixels of the image from `first` to `last`."""
    y, x = first[0] // TILE, first[1] // TILE
    across = range(x, -(-last[1] // TILE))
    many = [np.concatenate([tile(n, m) for m in across], axis=1) for n in range(y, -(-last[0] // TILE))]
    whole = np.concatenate(many)
    return whole[first[0] - y * TILE : last[0] - y * TILE, first[1] - x * TILE : last[1] - x * TILE]


def test_memory_does_not_grow_with_the_image(tmp_path: Path, network: torch.nn.Module) -> None:
    small, large = [tmp_path / f"small_{name}" for name in WRITE], [tmp_path / f"large_{name}" for name in WRITE]
    for path, write in zip(small, WRITE.values(), strict=True):
        write(path, 600, 600)
    for path, write in zip(large, WRITE.values(), strict=True):
        write(path, 6000, 600)
    found = peaks(tmp_path, [*small, *large])
    for path in large:
        with opened(tmp_path / "out" / path.name) as mask:
            check_windows(network, mask, 6000, 600)
    # What is larger has 10 MB more of pixels, 39 MB as floats, as many of scores, and more in the network.
    assert len(found) == 8 and max(found) - found[3] < 38e6


@pytest.mark.slow  # 24 minutes of processor time each
@pytest.mark.parametrize("name", ["tiled.tif", "array.zarr"])
def test_an_image_of_five_gigabytes(tmp_path: Path, network: torch.nn.Module, name: str) -> None:
    WRITE[name](tmp_path / name, 40_000, 40_000)
    (peak,) = peaks(tmp_path, [tmp_path / name])
    assert peak < 4 * GIB
    with opened(tmp_path / "out" / name) as mask:
        check_windows(network, mask, 40_000, 40_000)
