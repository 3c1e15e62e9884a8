"""`tconv upsample`: the file, the one line, and the lines when it cannot be done."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tconv import cli
from tconv.cli import upsample as command
from tconv.images import Upsampler

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where a photograph and a kernel lie."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("photo.png")
    Image.fromarray(np.zeros((1, 2000), np.uint8)).save("wide.png")
    np.save("kernel.npy", np.ones((2, 2)))


def opened(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
def test_enlarges(capsys: pytest.CaptureFixture[str], kernel: str) -> None:
    assert cli.run(["upsample", "photo.png", "--scale", "3", "--kernel", kernel, "-o", "large.png"]) == 0
    out, err = capsys.readouterr()
    line = rf"photo\.png \(12 x 9 RGB, 8-bit\) -> large\.png \(36 x 27 RGB, 8-bit\): {kernel} x3, \d+\.\d\d s\n"
    assert re.fullmatch(line, out) and err == ""
    assert np.array_equal(opened("large.png"), Upsampler(kernel, 3, 3)(PIXELS))


def test_defaults_are_bicubic_and_twice() -> None:
    cli.run(["upsample", "photo.png", "--out", "large.png"])
    assert np.array_equal(opened("large.png"), Upsampler("bicubic", 2, 3)(PIXELS))


def test_a_kernel_of_ones_is_nearest() -> None:
    cli.run(["upsample", "photo.png", "--kernel", "kernel.npy", "-o", "large.png"])
    assert np.array_equal(opened("large.png"), PIXELS.repeat(2, axis=0).repeat(2, axis=1))


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(command, "PATIENCE", -1.0)
    cli.run(["upsample", "photo.png", "-o", "large.png"])
    out, err = capsys.readouterr()
    assert "100%" in err and out.count("\n") == 1


FAILURES = [
    (["missing.png"], "missing.png: there is no such file or folder"),
    (["kernel.npy"], "kernel.npy is not a PNG, JPEG or TIFF picture, or its first bytes are damaged"),
    (["photo.png", "-o", "photo.png"], "photo.png is the input itself; write to another name"),
    (["photo.png", "-o", "no/large.png"], "no/large.png: there is no folder no; create it first"),
    (
        ["photo.png", "-o", "large.gif"],
        "large.gif: write to a name that ends in one of .png, .jpg, .jpeg, .tif, .tiff",
    ),
    (["photo.png", "--scale", "0"], "scale 0 must be at least 1"),
    (
        ["wide.png", "--scale", "50", "-o", "large.jpg"],
        "large.jpg: 100000 x 50 pixels are too many for this format, which ends at 65,500 per side; "
        "write a .png or .tif",
    ),
    (
        ["photo.png", "--kernel", "lanczos"],
        "kernel 'lanczos' is unknown; choose one of nearest, bilinear, bicubic, or give an array (.npy)",
    ),
    (["photo.png", "--kernel", "missing.npy"], "--kernel missing.npy: No such file or directory"),
    (
        ["photo.png", "--scale", "3", "--kernel", "kernel.npy"],
        "kernel (2, 2) is smaller than the scale (3, 3): some pixels would get no value; use a kernel of at least "
        "(3, 3)",
    ),
]


@pytest.mark.parametrize("arguments, line", FAILURES, ids=[line for _, line in FAILURES])
def test_one_line_when_it_fails(capsys: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    if "-o" not in arguments:
        arguments = [*arguments, "-o", "large.png"]
    with pytest.raises(SystemExit) as left:
        cli.main(["upsample", *arguments])
    assert left.value.code == 2
    assert capsys.readouterr() == ("", f"tconv: {line}\n")
    assert sorted(path.name for path in Path().iterdir()) == ["kernel.npy", "photo.png", "wide.png"]
