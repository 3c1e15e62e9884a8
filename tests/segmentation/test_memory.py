"""Memory is bounded: by what is said, or by a quarter of the machine; in prediction and in validation alike."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from segmentation.test_predict import alive

from tconv import errors
from tconv.segmentation import FCN8s, UNet, memory, synthetic
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Samples, measure
from tconv.segmentation.evaluate import classes_of, evaluate
from tconv.segmentation.memory import available, budget
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.predict.tiles import scores, tiling_of
from tconv.segmentation.train import Settings, train


@pytest.mark.parametrize(("text", "size"), [
    ("2GiB", 2**31), ("1.5g", 3 * 2**29), ("500M", 500 * 2**20), ("100000 k", 102_400_000), ("70000000", 70_000_000),
])  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert budget(text) == size


def silent(name: str) -> int:
    """`os.sysconf` of a system that does not know the name."""
    raise ValueError(name)


def test_a_quarter_of_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget() == max(2**26, available() // 4)
    (tmp_path / "max").write_text("4294967296\n")
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "none"), str(tmp_path / "max")))
    assert available() <= 2**32 and budget() <= 2**30
    (tmp_path / "max").write_text("max\n")
    assert available() > 2**28
    with monkeypatch.context() as unknown:
        unknown.setattr(os, "sysconf", silent)
        assert available() == 2**32
    for text, message in (
        ("all", "--memory 'all' is no size; write one as in 500MiB or 2GiB"),
        ("3MB", "--memory 3MB is too little for a network; give at least 64MiB"),
    ):
        with pytest.raises(errors.TconvError) as raised:
            budget(text)
        assert str(raised.value) == message


def test_networks_say_what_they_need() -> None:
    unet = UNet(3, 2, (4, 8, 16))
    assert (unet.stride, unet.reach, unet.normed(16)) == (8, 52, 2)
    assert UNet(3, 2, (4, 8), up="bicubic").reach > UNet(3, 2, (4, 8)).reach
    assert (FCN8s().stride, FCN8s().reach, FCN8s().normed(16)) == (32, 160, 2)
    assert UNet(3, 2, (64, 128)).floats > 8 * UNet(3, 2, (8, 16)).floats / 2 > 0 < FCN8s().floats


def test_tiles_follow_memory() -> None:
    network = UNet(3, 2, (32, 64, 128))
    wide, small = tiling_of(network, 512), tiling_of(network, 512, 2**26)
    assert (wide.tile, wide.whole) == (512, 2**20)
    assert small.tile < 512 and small.whole < 2**20 and small.tile % network.stride == 0
    assert 4 * network.floats * small.whole <= 2**26
    assert tiling_of(network, small.tile).tile == small.tile  # what was chosen stays chosen


def test_validation_in_tiles_is_validation(tmp_path: Path) -> None:
    synthetic.write(tmp_path, "cells", 3, 160)
    found = check(tmp_path)
    assert found.legend is not None
    samples = Samples(found.items, found.legend, measure(found.items, 1))
    torch.manual_seed(0)
    network = UNet(1, 3, (4, 8)).eval()
    whole = Confusion.empty(3)
    for n in range(3):
        image, truth = samples.whole(n)
        whole += Confusion.of(truth.numpy(), scores(network, image).argmax(dim=0).numpy(), 3)
    assert np.array_equal(evaluate(network, samples, 3).counts, whole.counts)
    cut = replace(tiling_of(network, 64), whole=0)
    tiled = sum(
        (Confusion.of(samples[n][1], classes_of(network, samples[n][0], samples.normal, cut), 3) for n in range(3)),
        Confusion.empty(3),
    )
    assert np.abs(tiled.counts - whole.counts).sum() <= 4  # where two scores are equal to rounding


def test_a_bottleneck_of_one_pixel_is_refused_before_the_first_step(cells: Path, tmp_path: Path) -> None:
    settings = Settings(epochs=1, features=(4, 8, 16, 32), size=16, batch=1)
    with pytest.raises(errors.TconvError) as raised:
        train(cells, tmp_path / "run", settings)
    assert str(raised.value) == (
        "a batch of 1 crop of 16 pixels leaves one pixel per channel on the coarsest map, of stride 16, and batch norm "
        "needs two: give --batch 2, or --size 32"
    )
    assert not (tmp_path / "run").exists()
    train(cells, tmp_path / "run", replace(settings, batch=2))
    train(cells, tmp_path / "fcn", replace(settings, model="fcn8s", features=(2,) * 5))


MEASURE = """
import sys
import numpy as np
from pathlib import Path
from PIL import Image
from tconv.segmentation.train import Settings, train

folder = Path(sys.argv[1])
y, x = np.mgrid[:4000, :6000]
for n in range(2):
    pixels = np.stack([(x + n) % 256, y % 256, (x + y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "images" / f"{n}.png", compress_level=1)
    Image.fromarray(((x // 500 + y // 500) % 2).astype(np.uint8)).save(folder / "masks" / f"{n}.png", compress_level=1)
del pixels, x, y
settings = Settings(epochs=1, features=(8, 16), size=64, batch=2, held_out=0.5)
train(folder, folder / "run", settings, memory=2**28)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) / 1024)
"""


@pytest.mark.slow
def test_a_photograph_of_24_megapixels_does_not_end_a_training(tmp_path: Path) -> None:
    for place in ("images", "masks"):
        (tmp_path / place).mkdir()
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 2500  # MiB; the maps of one such image alone have 6,000


def test_alive_networks_have_a_tile_at_least(cells: Path) -> None:
    network = alive(UNet(3, 3, (4, 8)))
    assert tiling_of(network, 1).tile >= 2 * tiling_of(network, 1).margin + 2 * tiling_of(network, 1).stride
