"""What people type out of habit: several images, streams, JSON, short options, names from other tools."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from cli.calling import called
from PIL import Image

from tconv import __version__, extras
from tconv.cli import screen
from tconv.segmentation import Card, UNet, palette, save, synthetic
from tconv.segmentation.data.masks import read_mask

Tconv: TypeAlias = Callable[[str], tuple[int, str, str]]
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def tconv(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tconv:
    """Run `tconv LINE` beside a model and two photographs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCONV_DEBUG", raising=False)
    for name in "ab":
        Image.fromarray(PIXELS).save(f"{name}.png")
    write_model()

    def run(line: str) -> tuple[int, str, str]:
        return called(line.split(), capsys)

    return run


def write_model(**metrics: float) -> None:
    arguments: dict[str, Any] = {"in_channels": 3, "out_channels": 2, "features": [4]}
    torch.manual_seed(0)
    card = Card("unet", arguments, ("a", "b"), (0, 1), palette(2), (0.5,) * 3, (0.25,) * 3, 32, metrics=metrics)
    save("m.safetensors", UNet(**arguments), card)


def test_several_images_and_globs(tconv: Tconv) -> None:
    Path("sub").mkdir()
    Image.fromarray(PIXELS).save("sub/c.png")
    status, out, err = tconv("segment predict m.safetensors a.png b.png sub/*.png a.png -o masks")
    assert (status, err) == (0, "") and out.endswith("wrote 3 masks to masks\n")
    assert sorted(path.name for path in Path("masks").iterdir()) == ["a.png", "b.png", "c.png"]
    assert tconv("segment predict m.safetensors -o masks")[2] == (
        "tconv: name the images: files, folders or globs, or - for standard input\n"
    )


def through(line: str, content: bytes) -> tuple[int, bytes, str]:
    """Status, standard output and error of a command that gets `content`."""
    done = subprocess.run(
        [sys.executable, "-m", "tconv", *line.split()], input=content, capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_one_image_through_a_pipe(tconv: Tconv, tmp_path: Path) -> None:
    assert tconv("segment predict m.safetensors a.png -o masks")[0] == 0
    expected = read_mask(tmp_path / "masks" / "a.png")
    status, out, err = through("segment predict m.safetensors - -o -", Path("a.png").read_bytes())
    assert (status, err) == (0, "wrote a mask to standard output\n")
    Path("piped.png").write_bytes(out)
    assert np.array_equal(read_mask(Path("piped.png")), expected)
    status, out, err = through("segment predict m.safetensors - -o -", b"junk")
    assert (status, out) == (2, b"")
    assert err == "tconv: standard input is no picture that can be read; convert it to PNG, JPEG or TIFF\n"
    status, out, err = through("segment predict m.safetensors - a.png -o -", b"")
    assert (status, err) == (2, "tconv: - stands for one image: give one image, and -o - or -o FILE\n")
    status, out, err = through("upsample - -o - --kernel nearest", Path("a.png").read_bytes())
    assert status == 0 and err.startswith("- (30 x 20 RGB, 8-bit) -> - (60 x 40 RGB, 8-bit): nearest x2")
    with Image.open(io.BytesIO(out)) as image:
        assert np.array_equal(np.asarray(image), PIXELS.repeat(2, axis=0).repeat(2, axis=1))


def test_json(tconv: Tconv) -> None:
    synthetic.write(Path("data"), "cells", 3, 48)
    status, out, _ = tconv("segment check-data data --json")
    found = json.loads(out)
    assert status == 0 and found["pairs"] == 3 and found["problems"] == [] and found["sizes"] == [[48, 48, 1]]
    assert [each["name"] for each in found["classes"]] == ["background", "cell", "nucleus"]
    (Path("data") / "images" / "cells_0001.png").write_bytes(b"")
    status, out, _ = tconv("segment check-data data --json")
    assert status == 1 and json.loads(out)["problems"][0]["message"].endswith("cells_0001.png is empty; copy it again")
    (Path("data") / "classes.txt").write_text("0 a\n1 b\n")
    for path in Path("data/masks").iterdir():
        Image.fromarray(np.minimum(read_mask(path), 1)).save(path)
    status, out, err = tconv("segment eval m.safetensors data --json")
    assert status == 1 and err.startswith("left out: data/images/cells_0001.png is empty")
    assert json.loads(out)["images"] == 2 and 0 <= json.loads(out)["mean_iou"] <= 1
    found = json.loads(tconv("size --in 6 --kernel 3 --stride 2 --json")[1])
    assert (found["out"], found["reachable"], found["receptive_field"]) == ([13], [[13, 14]], [2])
    found = json.loads(tconv("solve 6 12 --kernel 3 --json")[1])
    assert found["found"][0]["solutions"][0]["layers"][0]["kernel"] == 3 and found["why"] is None
    assert tconv("solve 6 500 --json")[0] == 1
    assert json.loads(tconv("show-config --json")[1])["tconv"] == __version__


@pytest.mark.parametrize(("line", "message"), [
    ("segment train . -o run --epochs 2.7", "--epochs 2.7 must be a whole number"),
    ("segment train . -o run --features 16,2.5", "--features 2.5 must be a whole number"),
    ("segment train . -o run --batch 1e2", "--batch 1e2 must be a whole number"),
    ("upsample a.png -o c.png --scale 2.5", "--scale 2.5 must be a whole number"),
    ("upsample a.png -o c.png --scale 2.0", "--scale 2.0 must be a whole number"),
    ("segment make-data cells d -n 1.5", "--number 1.5 must be a whole number"),
    ("solve 6 12 --limit 2.5", "--limit 2.5 must be a whole number"),
    ("size --in 6 --unet 2.5", "--unet 2.5 must be a whole number"),
    ("segment predict m.safetensors a.png -o masks --tile 0",
     "--tile 0 must be at least 1 pixel per side; 512 is usual"),
    ("segment predict m.safetensors a.png -o masks --tile -5",
     "--tile -5 must be at least 1 pixel per side; 512 is usual"),
    ("segment predict m.safetensors a.png -o masks --memory much",
     "--memory 'much' is no size; write one as in 500MiB or 2GiB"),
    ("segment predict m.safetensors a.png -o masks --memory 1MiB",
     "--memory 1MiB is too little for a network; give at least 64MiB"),
    ("segment predict m.safetensors a.png", "say where to write: -o FOLDER"),
    ("segment train data", "say where to write: -o FOLDER"), ("segment export m.safetensors", "say where to write: -o "
     "FILE"), ("upsample a.png", "say where to write: -o FILE"),
    ("segment train . -o run --lr 1e-3", "unknown option: --lr; here it is --rate"),
    ("segment train . -o run --batch-size 8", "unknown option: --batch-size; here it is --batch"),
    ("segment train . -o run --batch_size=8", "unknown option: --batch_size; here it is --batch"),
    ("segment predict m.safetensors a.png -o masks --overwrite", "unknown option: --overwrite; here it is --again"),
    ("upsample a.png -o c.png --factor 2", "unknown option: --factor; here it is --scale"),
    ("upsample a.png -o c.png --lr 2", "unknown option: --lr"),
    ("upsample none.png -o c.png", "none.png: there is no such file or folder"),
    ("upsample . -o c.png", ".: this is a folder; give a file"),
    ("segment predict m.safetensors none.png -o masks",
     "none.png: no image there; give a file, a folder or a glob of .png, .jpg, .jpeg, .bmp, .webp, .gif, .tif, .tiff"),
    ("segment check-data none", "none: there is no such folder"),
    ("segment pedict m.safetensors", "unknown command 'pedict'; did you mean predict? the commands are make-data, "
     "check-data, train, predict, eval, compare-upsampling, export"),
    ("segment predict m.safetensors a.png -o masks --axes ABC", "--axes ABC must name Y and X once, C at most once, "
     "and at most one axis of pictures, as in CYX or ZYX"),
    ("segment check-data . --axes YYX", "--axes YYX must name Y and X once, C at most once, and at most one axis of "
     "pictures, as in CYX or ZYX"),
])  # fmt: skip
def test_refusals(tconv: Tconv, line: str, message: str) -> None:
    status, out, err = tconv(line)
    assert (status, out, err) == (2, "", f"tconv: {message}\n")
    assert "Errno" not in err


def test_a_fraction_in_a_file_of_options(tconv: Tconv) -> None:
    Path("o.toml").write_text("epochs = 2.7\n")
    assert tconv("segment train . -o run --config o.toml")[2] == "tconv: --epochs 2.7 must be a whole number\n"


def test_short_options(tconv: Tconv) -> None:
    assert tconv("-V") == tconv("--version") == (0, f"{__version__}\n", "")
    done = subprocess.run([sys.executable, "-m", "tconv", "-V"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"
    assert tconv("segment predict m.safetensors a.png -o masks -q") == (0, "", "")
    assert tconv("upsample a.png -o c.png -q") == (0, "", "")
    Path("bad.png").touch()
    assert tconv("segment predict m.safetensors bad.png -o masks -q")[:2] == (
        1, "problem: bad.png is empty; copy it again\n"
    )  # fmt: skip


def test_completion(tconv: Tconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    status, _, err = tconv("--install-completion --shell bash")
    assert status == 0, err
    scripts = [path for path in tmp_path.rglob("*") if path.is_file() and b"check-data" in path.read_bytes()]
    assert scripts and "--install-completion" in tconv("--help")[1]


def test_lines_of_progress_without_a_terminal(
    tconv: Tconv, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "EVERY", -1.0)
    assert tconv("segment predict m.safetensors a.png b.png -o masks")[2] == "1 of 2 images\n2 of 2 images\n"
    assert tconv("segment predict m.safetensors a.png b.png -o masks --again -q")[2] == ""


def test_a_model_that_is_worse_than_a_constant_says_so(tconv: Tconv) -> None:
    write_model(mean_iou=0.2, majority=0.35)
    assert tconv("segment predict m.safetensors a.png -o masks")[1] == (
        "note: this model is worse than always answering the most frequent class: its mean IoU is 0.200, and that "
        "answer's 0.350; train longer, with more images or a smaller --rate, before you use it\n"
        "wrote 1 masks to masks\n"
    )
    write_model(mean_iou=0.9, majority=0.35)
    assert tconv("segment predict m.safetensors a.png -o more")[1] == "wrote 1 masks to more\n"


WITHOUT = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in sys.argv[1].split(",") else found(name, package)
from tconv.cli import main
main(sys.argv[2:])
"""
MORE = "accelerate,matplotlib,pycocotools,sklearn,skimage,scipy,zarr,pyvips,imagecodecs,distributed"


def without(missing: str, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, *line.split()], capture_output=True, text=True, check=False
    )


def test_prediction_needs_little(tconv: Tconv) -> None:
    done = without(MORE, "segment predict m.safetensors a.png -o masks")
    assert (done.returncode, done.stdout, done.stderr) == (0, "wrote 1 masks to masks\n", "")
    done = without("safetensors", "segment predict m.safetensors a.png -o masks")
    assert done.stderr == f"tconv: segmentation needs safetensors: {extras.cure('predict')}\n"
    done = without("accelerate", "segment train data -o run")
    assert done.stderr == f"tconv: segmentation needs accelerate: {extras.cure('segmentation')}\n"
    done = without("pyvips", "upsample a.png -o c.png")
    assert done.stderr == f"tconv: pictures need pyvips: {extras.cure('images')}\n"
