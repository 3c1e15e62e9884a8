"""`tconv demo`: what it prints and writes; and the race, which is run but not judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tconv import cli, errors, extras
from tconv.cli import demo, digits, race
from tconv.segmentation.train import Settings

SECONDS = {
    "tconv_prepared": (0.010, 0.020, 0.030, 0.040),
    "tconv_functional": (0.011, 0.021, 0.031, 0.041),
    "torch_default": (0.020, 0.030, 0.040, 0.050),
    "torch_channels_last": (0.030, 0.010, 0.050, 0.080),
}


@pytest.fixture
def quick_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "race", lambda: SECONDS)


@pytest.fixture
def quick_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "IMAGES", 12)
    monkeypatch.setattr(digits, "UNSEEN", 4)
    monkeypatch.setattr(digits, "SETTINGS", Settings(epochs=1, features=(4, 8), size=48))


@pytest.mark.usefixtures("quick_race", "quick_training")
def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["demo", "-o", "some/where"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert err == ""
    assert ["2", "3", "*", "0", "1", "0", "=", "0", "3", "7", "3"] in lines
    assert [line[0] for line in lines if line and line[-1].startswith("+")] == [
        "astronaut",
        "chelsea",
        "coffee",
        "rocket",
    ]
    assert ["1024", "->", "512,", "32", "x", "32", "10.0", "11.0", "20.0", "30.0", "2.00"] in lines
    assert ["512", "->", "256,", "64", "x", "64", "20.0", "21.0", "30.0", "10.0", "0.50"] in lines
    assert ["all", "four", "100.0", "104.0", "140.0", "170.0", "1.40"] in lines
    with Image.open("some/where/demo.png") as image:
        assert image.format == "PNG"
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save("photo.png")
    kernel = "some/where/learned_x2.npy"
    assert np.load(kernel).shape == (10, 10)
    assert f"tconv upsample photo.jpg --kernel {kernel} -o photo_x2.jpg\n" in out
    assert cli.run(["upsample", "photo.png", "--kernel", kernel, "-o", "large.png"]) == 0
    assert "10 images to learn from, 2 held out" in out and "epoch 1: loss" in out
    reached = [line.strip() for line in out.splitlines()]
    first = next(n for n, line in enumerate(reached) if line.startswith("U-Net, on handwriting"))
    assert [line.rsplit(maxsplit=1)[0].strip() for line in reached[first : first + 4]] == [
        "U-Net, on handwriting that it has not seen",
        "U-Net, on images that were held out",
        "each pixel by its colour",
        "always the most frequent class",
    ]
    with Image.open("some/where/digits.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
    with Image.open("some/where/features.png") as image:
        assert image.width > 1000 and len(image.convert("RGB").getcolors(1 << 24) or ()) > 100
    assert cli.run(["segment", "predict", "some/where/digits.safetensors", "photo.png", "-o", "masks"]) == 0


@pytest.mark.usefixtures("quick_race")
def test_without_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", "-o", str(tmp_path), "--no-training"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"demo.png", "learned_x2.npy"}
    capsys.readouterr()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "accelerate" else True)
    demo.network(tmp_path)
    assert capsys.readouterr().out.endswith(f"segmentation needs accelerate: {extras.cure('segmentation')}\n")


def test_a_folder_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        cli.main(["demo", "-o", str(tmp_path / "file")])
    assert capsys.readouterr().err == (
        f"tconv: {tmp_path}/file: there is a file of this name already; give another name\n"
    )


def test_without_torch(capsys: pytest.CaptureFixture[str]) -> None:
    from tconv.cli.demo import up_layers
    from tconv.cli.screen import show

    show(up_layers({name: seconds for name, seconds in SECONDS.items() if name.startswith("tconv")}))
    out = capsys.readouterr().out
    assert "PyTorch is not installed." in out and "torch\n" not in out


@pytest.mark.parametrize("contender", race.CONTENDERS, ids=lambda contender: contender.__name__)
def test_all_contenders_compute_the_same(contender: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    x, w, bias = (rng.standard_normal(shape, np.float32) for shape in ((1, 3, 4, 5), (3, 2, 2, 2), (2,)))
    expected = race.tconv_functional(x, w, bias)()
    np.testing.assert_allclose(np.asarray(contender(x, w, bias)()), np.asarray(expected), atol=1e-5)


def test_the_race_is_run() -> None:
    seconds = race.race(rounds=1)
    assert list(seconds) == [contender.__name__ for contender in race.CONTENDERS]
    assert all(len(times) == len(race.LAYERS) and min(times) > 0 for times in seconds.values())


def test_a_contender_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_to_do() -> None:
        raise AssertionError("only its name is used")

    monkeypatch.setattr(race, "CONTENDERS", (nothing_to_do,))
    monkeypatch.setattr(race.sys, "executable", "/bin/false")
    with pytest.raises(errors.TconvError, match="the timing of nothing_to_do stopped with status 1"):
        race.race()
