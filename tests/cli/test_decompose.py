"""`tconv decompose`: what it writes, what it says, and what it refuses, word by word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.calling import called
from PIL import Image


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where pictures lie, one of them broken."""
    from skimage import data

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCONV_DEBUG", raising=False)
    Path("photos").mkdir()
    Image.fromarray(data.camera()[100:150, 200:264]).save("photos/man.png")
    Image.fromarray(data.astronaut()[60:110, 200:248]).save("photos/woman.jpg")
    Image.fromarray((np.random.default_rng(0).random((50, 64)) < 0.4).astype(np.uint8) * 255).save("holes.png")
    Image.fromarray(np.zeros((50, 64), np.uint8)).save("none.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("small.png")


def run(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    return called(["decompose", *line.split()], capsys)


def opened(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


def test_kernels_and_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in Path("photos").iterdir()}
    status, out, err = run("photos -o parts --kernels 6 --size 5 --passes 4 --alpha 0.03", capsys)
    assert (status, err) == (0, ""), err
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if ".png " in line[:12] or ".jpg " in line[:12]] == [
        "man.png",
        "woman.jpg",
    ]
    assert lines[-1].startswith("Wrote parts/kernels.npy, kernels.png and the pictures in ")
    kernels = np.load("parts/kernels.npy")
    assert kernels.shape == (6, 1, 5, 5) and kernels.dtype == np.float32
    assert sorted(path.name for path in Path("parts").iterdir()) == [
        "kernels.npy", "kernels.png", "man_codes.png", "man_rebuilt.png", "woman_codes.png", "woman_rebuilt.png",
    ]  # fmt: skip
    error = opened("parts/man_rebuilt.png").astype(float) - opened("photos/man.png")
    assert np.sqrt(np.mean(error**2)) < 12
    assert {path: path.read_bytes() for path in Path("photos").iterdir()} == before
    status, out, err = run("photos/man.png -o again --dictionary parts/kernels.npy --alpha 0.03", capsys)
    assert (status, err) == (0, "")
    assert np.array_equal(np.load("again/kernels.npy"), kernels)
    assert np.array_equal(opened("again/man_rebuilt.png"), opened("parts/man_rebuilt.png"))


def test_a_penalty_that_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run("photos -o parts --kernels 2 --passes 1 --alpha 1000", capsys)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "note: 2 of 2 pictures have no atoms at all; --alpha below 1000 leaves some"


def test_colours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("photos -o parts --kernels 4 --size 4 --passes 2 --colour --positive", capsys)[0] == 0
    assert np.load("parts/kernels.npy").shape == (4, 3, 4, 4) and opened("parts/woman_rebuilt.png").shape == (50, 48, 3)


def test_holes_are_filled(capsys: pytest.CaptureFixture[str]) -> None:
    whole, missing = opened("photos/man.png"), opened("holes.png") > 0
    Image.fromarray(np.where(missing, 255, whole).astype(np.uint8)).save("holed.png")
    line = "holed.png --inpaint holes.png -o whole --kernels 12 --size 6 --passes 8 --alpha 0.02"
    status, out, err = run(line, capsys)
    assert (status, err) == (0, "")
    assert out == f"filled {missing.sum():,} of 3,200 pixels; wrote whole/holed_filled.png\n"
    filled = opened("whole/holed_filled.png")[..., 0]
    assert np.array_equal(filled[~missing], whole[~missing])
    error = filled[missing].astype(float) - whole[missing]
    mean = whole[~missing].mean() - whole[missing]
    assert np.square(error).mean() < 0.2 * np.square(mean).mean()


def test_a_bad_file_is_reported_and_the_rest_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/broken.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save("photos/man.bmp")
    status, out, err = run("photos -o parts --kernels 4 --size 4 --passes 1", capsys)
    assert (status, err) == (1, "")
    assert out.splitlines()[:2] == [
        "problem: photos/broken.png is no picture that can be read; convert it to PNG, JPEG or TIFF",
        "problem: photos/man.png would be written under the name of another picture; rename one",
    ]
    assert Path("parts/woman_rebuilt.png").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "nowhere.png -o parts",
            "nowhere.png does not exist, and no file's name matches it; name a picture, a folder or a glob",
        ),
        (
            "empty -o parts",
            "empty holds no pictures; their names end in .png, .jpg, .jpeg, .bmp, .webp, .gif, .tif, .tiff",
        ),
        (
            "photos -o photos",
            "photos holds the inputs; write to another folder, so that none of them is replaced",
        ),
        (
            "photos/man.png --inpaint holes.png -o .",
            ". holds the inputs; write to another folder, so that none of them is replaced",
        ),
        ("photos -o small.png", "small.png is a file; give a folder to write to"),
        (
            "photos -o older",
            "older/woman_codes.png is there already; write to another name, or let --again replace it",
        ),
        ("bad.png -o parts", "none of the 1 pictures of bad.png can be read"),
        ("photos -o parts --kernels 0", "--kernels 0 must be at least 1"),
        ("photos -o parts --size 0", "--size 0 must be at least 1"),
        (
            "photos -o parts --size 51",
            "--size 51 fits into no picture, as none has more than 50 pixels on its shorter side; give a smaller one",
        ),
        ("photos -o parts --alpha nan", "alpha nan must be a number of at least 0"),
        ("photos -o parts --smooth -1", "smooth -1.0 must be a number of at least 0"),
        (
            "photos -o parts --alpha 0 --passes 1",
            "alpha 0 leaves nothing that makes codes sparse; give a penalty above 0, such as 0.05 for images from 0 to "
            "1",
        ),
        (
            "photos --inpaint holes.png -o parts",
            "--inpaint fills one picture, not 2; name the picture that the mask belongs to",
        ),
        (
            "photos/man.png --inpaint small.png -o parts",
            "small.png is 9 x 9 pixels, photos/man.png is 64 x 50; the mask must be as large as the picture",
        ),
        (
            "photos/man.png --inpaint none.png -o parts",
            "none.png says that nothing is missing; it must be white where pixels are missing, black elsewhere",
        ),
        (
            "photos -o parts --dictionary three.npy",
            "three.npy has kernels of shape (2, 3, 4, 4), the pictures have 1 channels; learn new ones, or use "
            "--colour",
        ),
        (
            "photos -o parts --dictionary holes.png",
            "holes.png holds no kernels; give a kernels.npy that this command wrote",
        ),
        (
            "photos -o parts --dictionary none.npy",
            "none.npy holds no kernels (No such file or directory); give a kernels.npy that this command wrote",
        ),
    ],
)
def test_refusals(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("older").mkdir()
    Path("older/woman_codes.png").touch()
    Path("bad.png").write_bytes(b"no picture")
    np.save("three.npy", np.ones((2, 3, 4, 4)))
    status, _, err = run(line, capsys)
    assert status == 2 and err.startswith(f"tconv: {message}") and err.count("\n") == 1
    assert not Path("parts").exists()
    assert err == f"tconv: {message}\n"
