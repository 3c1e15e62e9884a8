"""`tconv see`: the picture, the list, and the lines when it cannot be done. In process."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from cli.calling import called
from PIL import Image

from tconv.segmentation import Card, UNet, export_torch, palette, save

Tconv: TypeAlias = Callable[[str], tuple[int, str, str]]

CODE = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3, stride=2))

def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(2016, 2))
"""


@pytest.fixture
def tconv(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tconv:
    """Run `tconv see LINE` where a run, photographs and one's own code lie: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TCONV_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    arguments = {"in_channels": 3, "out_channels": 2, "features": [4, 6]}
    torch.manual_seed(0)
    model = UNet(**arguments).eval()
    save(
        "run/best.safetensors",
        model,
        Card("unet", arguments, ("a", "b"), (0, 1), palette(2), (0.5,) * 3, (0.2,) * 3, 32),
    )
    export_torch(model, torch.randn(1, 3, 24, 28), "model.pt2")
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for n in range(3):
        Image.fromarray(rng.integers(0, 256, (24, 28, 3), np.uint8)).save(f"photos/{n}.png")
    Path("see_nets.py").write_text(CODE)

    def run(line: str) -> tuple[int, str, str]:
        return called(["see", *line.split()], capsys)

    return run


def test_a_picture_of_a_run(tconv: Tconv) -> None:
    status, out, err = tconv("run photos -o sheet.png")
    assert (status, err) == (0, ""), err
    lines = out.splitlines()
    assert lines[0] == "downs.0: DualConv: 4 channels of 24 x 28; one activation sees 5 x 5 pixels"
    assert lines[-1] == "wrote sheet.png: 8 layers, 41 channels, 3 images"
    with Image.open("sheet.png") as opened:
        assert opened.format == "PNG" and opened.width > 1000


def test_chosen_layers_channels_and_methods(tconv: Tconv) -> None:
    line = "run photos/0.png -o out/sheet.svg --layer downs.?,bottleneck --channels 1,3 -n 4 --method guided"
    status, out, err = tconv(f"{line} --title Levels")
    assert (status, err) == (0, ""), err
    assert out.splitlines()[-1] == "wrote out/sheet.svg: 3 layers, 6 channels, 1 images"
    svg = Path("out/sheet.svg").read_text()
    assert svg.count("<image") == 3 * 2 * 4 * 2 and ">Levels<" in svg and "guided backpropagation" in svg
    assert svg.index(">downs.1<") < svg.index(">bottleneck<")


def test_the_list(tconv: Tconv) -> None:
    status, out, err = tconv("run photos --list")
    assert (status, err) == (0, ""), err
    assert out.splitlines()[0].split() == ["layer", "kind", "channels", "map", "sees"]
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()[1:]}
    assert rows["bottleneck"] == "DualConv 12 6 x 7 32 x 32, the whole image"
    assert rows["pool"] == "MaxPool2d (2 calls) 6 6 x 7 16 x 16"


def test_an_exported_program_and_ones_own_code(tconv: Tconv) -> None:
    status, out, err = tconv("model.pt2 photos -o a.svg --layer bottleneck --channels 0 --mean .5,.5,.5 --std .2,.2,.2")
    assert (status, err) == (0, ""), err
    assert tconv("run photos -o b.svg --layer bottleneck --channels 0")[0] == 0
    places = [
        re.findall(r"<title>channel 0: .* in (.*)</title>", Path(name).read_text()) for name in ("a.svg", "b.svg")
    ]
    assert places[0] == places[1] and len(places[0]) == 2 * 9
    status, out, err = tconv("see_nets:build photos -o c.png --channels all")
    assert (status, err) == (0, "") and out.splitlines()[-1] == "wrote c.png: 2 layers, 6 channels, 3 images"


def test_bad_files_are_left_out_and_the_rest_is_done(tconv: Tconv) -> None:
    Path("photos/bad.png").write_bytes(b"\x89PNG")
    said = "left out: photos/bad.png is no picture that can be read; convert it to PNG, JPEG or TIFF\n"
    status, out, err = tconv("run photos -o sheet.png --layer downs.0")
    assert (
        (status, err) == (1, "") and said in out and out.endswith("wrote sheet.png: 1 layers, 4 channels, 3 images\n")
    )
    assert Path("sheet.png").exists()


def test_no_image_that_can_be_used(tconv: Tconv) -> None:
    Path("bad").mkdir()
    Path("bad/a.png").touch()
    said = "tconv: none of the images could be used; the first: bad/a.png is empty; copy it again\n"
    assert tconv("run bad --list") == (2, "", said)
    Image.fromarray(np.zeros((1, 3, 3), np.uint8)).save("bad/a.png")
    status, out, err = tconv("run bad/a.png -o a.png")
    assert (status, out) == (2, "") and err.startswith(
        "tconv: none of the images could be used; the first: bad/a.png: the model cannot compute an image of shape "
        "(1, 3, 1, 3), float32: "
    )


FAILURES = [
    ("run photos", "say where to write, as in -o sheet.png; or --list, to see which layers there are"),
    ("run photos -o sheet.jpg", "'sheet.jpg' must end in .svg or .png, which says what is written"),
    ("run photos -o a.png --method lrp",
     "method 'lrp' is unknown; choose one of deconvnet, guided, gradient, gradient_times_input"),
    ("run photos -o a.png --layer botleneck",
     "there is no layer 'botleneck' in this UNet; did you mean bottleneck or "
     "bottleneck.dualconv or bottleneck.dualconv.5?"),
    ("run photos -o a.png --channels 8..2", "--channels 8..2 is no range; write the lower number first, as in 0..8"),
    ("run photos -o a.png --channels 90..92 --layer downs.0",
     "--channels 90..92 begins behind the last of a layer with 4; give lower ones"),
    ("run photos -o a.png --channels x", "--channels 'x' is not an integer; write one, or one per axis as in 2,1"),
    ("run photos -o a.png --channels 7 --layer downs.0", "channel 7 is not there: layer 'downs.0' has 4, 0 to 3"),
    ("run photos -o a.png --mean .5,x",
     "--mean '.5,x' is no list of numbers; write one per channel, as in 0.5,0.5,0.5"),
    ("run none -o a.png",
     "none: no image there; give a file, a folder or a glob of .png, .jpg, .jpeg, .bmp, .webp, .gif, .tif, .tiff"),
    ("none photos -o a.png",
     "none: there is no such model; give a run folder of `tconv segment train`, a .pt2 file, or MODULE:CALLABLE"),
    ("see_nets:gone photos -o a.png", "see_nets:gone: see_nets has no gone; write MODULE:CALLABLE"),
    ("see_nets:flat photos --list",
     "no layer of this Sequential gives a map (batch, channels, *size) that depends on the image; there is nothing to "
     "see in it"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), FAILURES, ids=[message[:50] for _, message in FAILURES])
def test_one_line_when_it_fails(tconv: Tconv, line: str, message: str) -> None:
    assert tconv(line) == (2, "", f"tconv: {message}\n")
    assert not Path("a.png").exists()


def test_help(tconv: Tconv) -> None:
    status, out, err = tconv("--help")
    assert (status, err) == (0, "") and out.startswith("Usage: tconv see") and "--list" in out
