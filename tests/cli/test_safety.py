"""Whatever a command is asked to write, and wherever: nothing that was there before is changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import tifffile
import torch
from cli.calling import called
from PIL import Image

from tconv.segmentation import Card, UNet, palette, save

Tconv: TypeAlias = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def tconv(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tconv:
    """Run `tconv LINE` beside photographs, labelled data, a model and an array."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCONV_DEBUG", raising=False)
    rng = np.random.default_rng(0)
    for place in ("photos", "data/images", "data/masks"):
        Path(place).mkdir(parents=True)
    for n in range(3):
        pixels = rng.integers(0, 256, (32, 40, 3), np.uint8)
        Image.fromarray(pixels).save(f"photos/{n}.png")
        Image.fromarray(pixels).save(f"data/images/{n}.png")
        Image.fromarray((pixels[..., 0] > 99).astype(np.uint8)).save(f"data/masks/{n}.png")
    Image.fromarray(pixels).save("photos/jpeg.jpg")
    tifffile.imwrite("photos/tiff.tif", pixels, photometric="rgb")
    np.save("x.npy", np.ones((2, 2)))
    os.symlink("photos", "link")
    arguments: dict[str, Any] = {"in_channels": 3, "out_channels": 2, "features": [4]}
    torch.manual_seed(0)
    card = Card("unet", arguments, ("a", "b"), (0, 1), palette(2), (0.5,) * 3, (0.25,) * 3, 32)
    Path("run").mkdir()
    save("run/best.safetensors", UNet(**arguments), card)
    shutil.copy("run/best.safetensors", "model.onnx")

    def run(line: str) -> tuple[int, str, str]:
        return called(line.split(), capsys)

    return run


def hashes() -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in Path().rglob("*") if path.is_file()}


HOLDS = "holds the inputs; write to another folder, so that none of them is replaced"
HOW = "write to another name, or let --again replace it"
REFUSED = {
    "segment predict run photos -o photos": f"photos {HOLDS}",
    "segment predict run photos -o photos --again": f"photos {HOLDS}",
    "segment predict run link/0.png -o photos --again": f"photos {HOLDS}",
    "segment predict run photos -o link": f"link {HOLDS}",
    "segment predict run photos/0.png photos/1.png -o ./photos/../photos": f"photos/../photos {HOLDS}",
    "segment predict run data/images -o x.npy": "x.npy is a file; give a folder to write to",
    "segment predict run - -o photos/0.png": "standard input is empty; send an image, as in tconv ... - < photo.png",
    "segment train data -o data --epochs 1": f"data {HOLDS}",
    "segment train data -o data/images --epochs 1": f"data/images {HOLDS}",
    "segment train data -o data/masks --epochs 1": f"data/masks {HOLDS}",
    "segment train data -o run --epochs 1": "run/best.safetensors is there already; give another folder for the run",
    "segment check-data data -o data/images/0.png": "data/images/0.png is the input itself; write to another name",
    "segment check-data data -o data/masks/1.png --again": "data/masks/1.png is the input itself; write to another "
    "name",
    "segment check-data data -o data/images/sheet.png": f"data/images {HOLDS}",
    "segment check-data data -o photos/0.png": f"photos/0.png is there already; {HOW}",
    "segment make-data cells data -n 1 --size 48": "data holds data already; give another folder, so that none is "
    "replaced",
    "segment export run -o model.onnx": f"model.onnx is there already; {HOW}",
    "upsample photos/0.png -o photos/0.png": "photos/0.png is the input itself; write to another name",
    "upsample photos/0.png -o link/0.png --again": "link/0.png is the input itself; write to another name",
    "upsample photos/0.png -o photos/1.png": f"photos/1.png is there already; {HOW}",
    "upsample photos/0.png -o data/masks/0.png": f"data/masks/0.png is there already; {HOW}",
    "see run photos -o photos/0.png --again": "photos/0.png is the input itself; write to another name",
    "see run photos -o link/sheet.png": f"link {HOLDS}",
    "see run photos/0.png -o data/masks/0.png": f"data/masks/0.png is there already; {HOW}",
    "decompose photos -o photos --again": f"photos {HOLDS}",
    "decompose photos/0.png -o link": f"link {HOLDS}",
    "decompose data/images/0.png --inpaint data/masks/0.png -o data/masks": f"data/masks {HOLDS}",
    "decompose photos -o x.npy": "x.npy is a file; give a folder to write to",
    "explain --x x.npy --w [[1]] --svg x.npy": "x.npy is the input itself; write to another name",
    "explore --x x.npy --w [[1]] -o x.npy": "x.npy is the input itself; write to another name",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_would_change_an_input_is_refused(tconv: Tconv, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        buffer = BytesIO()

    monkeypatch.setattr("sys.stdin", Empty)
    before = hashes()
    status, _, err = tconv(line)
    assert status == 2 and err == f"tconv: {REFUSED[line]}\n"
    assert hashes() == before
    Empty.buffer.close()


def test_a_mask_that_a_person_drew_is_never_replaced(tconv: Tconv) -> None:
    before = hashes()
    status, out, _ = tconv("segment predict run data/images -o data/masks")
    assert (status, out) == (0, "wrote 0 masks to data/masks, skipped 3 that have one, 3 of them not by tconv\n")
    status, out, _ = tconv("segment predict run data/images -o data/masks --again")
    assert status == 1 and out.count("was not written by tconv and is not replaced; give another folder") == 3
    assert hashes() == before
    assert tconv("segment predict run data/images -o masks")[0] == 0
    written = hashes()
    assert tconv("segment predict run data/images -o masks --again")[1].endswith("wrote 3 masks to masks\n")
    assert hashes() == written and {name: written[name] for name in before} == before


def test_masks_that_were_made_with_the_data_are_no_predictions(tconv: Tconv) -> None:
    assert tconv("segment make-data cells made -n 3 --size 48")[0] == 0
    arguments: dict[str, Any] = {"in_channels": 1, "out_channels": 3, "features": [4]}
    card = Card("unet", arguments, ("a", "b", "c"), (0, 1, 2), palette(3), (0.5,), (0.25,), 32)
    save("grey.safetensors", UNet(**arguments), card)
    before = hashes()
    status, out, _ = tconv("segment predict grey.safetensors made/images -o made/masks --again")
    assert status == 1 and out.count("was not written by tconv and is not replaced") == 3
    assert hashes() == before


def test_a_run_among_images_that_a_list_names(tconv: Tconv) -> None:
    Path("lists").mkdir()
    Path("lists/pairs.csv").write_text("".join(f"../photos/{n}.png,../data/masks/{n}.png\n" for n in range(3)))
    before = hashes()
    for place in ("photos", "data/masks", "lists"):
        assert tconv(f"segment train lists -o {place} --epochs 1")[2] == f"tconv: {place} {HOLDS}\n"
    assert hashes() == before


def test_a_model_as_input_is_no_output(tconv: Tconv) -> None:
    shutil.copy("run/best.safetensors", "net.pt2")
    before = hashes()
    assert tconv("segment export net.pt2 -o net.pt2 --again --size 32")[2] == (
        "tconv: net.pt2 is the input itself; write to another name\n"
    )
    assert hashes() == before


def test_a_file_name_of_coco_never_leaves_the_folder(tconv: Tconv, tmp_path: Path) -> None:
    Path("coco/images").mkdir(parents=True)
    shutil.copy("photos/0.png", "coco/images/in.png")
    secret = (tmp_path / "photos" / "1.png").resolve()
    names = ["in.png", "../photos/1.png", str(secret), "images/../../photos/1.png", "..\\photos\\2.png", "a\0.png"]
    entries = [{"id": n, "file_name": name, "height": 32, "width": 40} for n, name in enumerate(names)]
    box = [{"id": n, "image_id": n, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]} for n in range(len(names))]
    Path("coco/annotations.json").write_text(
        json.dumps({"images": entries, "annotations": box, "categories": [{"id": 1, "name": "red\x1b[31m"}]})
    )
    status, out, err = tconv("segment check-data coco")
    assert (status, err) == (1, "") and out.count("does not exist; copy it there, or remove its entry") == 5
    assert "1 sound pairs, 5 problems" in out and "\x1b" not in out and r"1 red\x1b[31m" in out


def test_names_with_escapes_are_printed_as_escapes(tconv: Tconv) -> None:
    shutil.copy("photos/0.png", "photos/\x1b[2Ja.png")
    Path("photos/\x1b[31mb.png").write_bytes(b"no picture")
    status, out, err = tconv("segment predict run photos -o masks")
    assert status == 1 and "\x1b" not in out + err
    assert r"photos/\x1b[31mb.png is no picture that can be read" in out
    for line in ("see run photos -o sheet.png --layer downs.0", "decompose photos -o parts --kernels 2 --passes 1"):
        status, out, err = tconv(line)
        assert status == 1 and "\x1b" not in out + err and r"photos/\x1b[31mb.png is no picture" in out
    status, out, err = tconv("upsample photos/\x1b[31mb.png -o c.png")
    assert status == 2 and "\x1b" not in out + err and r"photos/\x1b[31mb.png is not a PNG" in err
