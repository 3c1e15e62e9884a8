"""`tconv segment ...`, from data to masks, in process; and refusals word by word."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from cli.calling import called
from PIL import Image

from tconv import extras

Tconv: TypeAlias = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def tconv(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tconv]:
    """Run `tconv segment LINE` in an empty folder: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCONV_DEBUG", raising=False)
    before = dict(os.environ)

    def run(line: str) -> tuple[int, str, str]:
        return called(["segment", *line.split()], capsys)

    yield run
    for name in set(os.environ) - set(before):  # what Accelerate leaves
        del os.environ[name]


def said(tconv: Tconv, line: str) -> str:
    status, out, err = tconv(line)
    assert (status, err) == (0, ""), err
    return out


def test_from_data_to_masks(tconv: Tconv, tmp_path: Path) -> None:
    assert said(tconv, "make-data cells data -n 8 --size 48") == (
        "wrote 8 synthetic images and masks of 48 x 48 pixels to data\n"
    )
    out = said(tconv, "check-data data -o sheet.png")
    assert "8 sound pairs, 0 problems" in out and "3 classes: 0 background, 1 cell, 2 nucleus" in out
    (tmp_path / "few.toml").write_text('epochs = 3\nfeatures = [4, 8]\nsize = 32\nup = "bilinear"\n')
    out = said(tconv, "train data -o run --config few.toml --epochs 1 --features 4,6 --batch 2")
    assert "IoU majority" in out and "IoU colour" in out and "best of 1 epochs: 1" in out
    settings = (tmp_path / "run" / "settings.toml").read_text()
    assert "epochs = 1\n" in settings and "features = [4, 6]\n" in settings and 'up = "bilinear"\n' in settings
    assert "best of 1 epochs: 1" in said(tconv, "train data -o run --resume")
    assert said(tconv, "predict run data/images -o masks --overlay").endswith("wrote 8 masks to masks\n")
    assert said(tconv, "predict run data/images -o masks").endswith(
        "wrote 0 masks to masks, skipped 8 that have one (--again writes them)\n"
    )
    assert len(list((tmp_path / "masks").glob("*.png"))) == 16
    assert "8 images" in said(tconv, "eval run data")
    assert said(tconv, "export run -o m.pt2 --size 32").startswith("wrote m.pt2 for 32 x 32 pixels; its scores differ")


def test_a_bad_file_is_reported_and_the_rest_is_done(tconv: Tconv, tmp_path: Path) -> None:
    said(tconv, "make-data cells data -n 8 --size 48")
    (tmp_path / "data" / "images" / "cells_0003.png").write_bytes(b"\x89PNG")
    said_first = "problem: data/images/cells_0003.png is no picture that can be read; convert it to PNG, JPEG or TIFF\n"
    status, out, err = tconv("check-data data")
    assert (status, err) == (1, "") and out.startswith(said_first)
    out = said(tconv, "train data -o run --epochs 1 --features 4,8 --size 32")
    assert "left out: data/images/cells_0003.png is no picture" in out
    status, out, err = tconv("predict run data/images -o masks")
    assert (status, err) == (1, "") and out.startswith(said_first) and "wrote 7 masks to masks, 1 problems" in out
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(tmp_path / "data" / "masks" / "cells_0001.png")
    (tmp_path / "data" / "classes.txt").unlink()
    assert tconv("eval run data") == (
        2,
        "left out: data/images/cells_0003.png is no picture that can be read; convert it to PNG, JPEG or TIFF\n",
        "tconv: data has masks with value 9; the model knows 0 background, 1 cell, 2 nucleus\n",
    )


def test_longer_further_and_together(tconv: Tconv, tmp_path: Path) -> None:
    """`--resume --epochs`, `--from`, `--folds`, and predictions by several networks."""
    said(tconv, "make-data cells data -n 8 --size 48")
    said(tconv, "train data -o run --epochs 1 --features 4,8 --size 32")
    out = said(tconv, "train data -o run --resume --epochs 2")
    assert "goes on after epoch 1" in out and "epoch 2: loss" in out and "best of 2 epochs" in out
    out = said(tconv, "train data -o next --from run --epochs 1")
    assert "features 4,8" in out and "from run: " in out and "tensors taken over" in out
    out = said(tconv, "train data -o folds --folds 2 --epochs 1 --features 4,8 --size 32 --no-refine")
    assert "mean IoU of the folds: " in out and out.endswith("wrote folds, whose networks predict together\n")
    assert "wrote 8 masks to masks" in said(tconv, "predict run next folds data/images -o masks --flips horizontal")
    assert "8 images" in said(tconv, "eval folds data")
    (tmp_path / "few.toml").write_text("minutes = 0.05\n")
    out = said(tconv, "train data -o timed --config few.toml")
    assert "features 16,32: a crop of 48 has 12 pixels left at the bottom, and " in out and "steps 48 per epoch" in out
    assert "minutes = 0.05\n" in (tmp_path / "timed" / "settings.toml").read_text()
    assert "goes on after epoch" in said(tconv, "train data -o timed --resume")


@pytest.mark.parametrize(("line", "message"), [
    ("train none -o run", "none: there is no such folder"),
    ("train . -o run --features 16,x", 'invalid value for --features: unable to convert "x" into int'),
    ("train . -o run --config none.toml", "none.toml: there is no such file"),
    ("train . -o run --epochs 0", "epochs 0 must be at least 1"),
    ("predict none x -o out", "none: there is no such model; give a run folder of `tconv segment train`"),
    ("make-data faces x", "faces train is no synthetic set; choose of digits, cells, fabric and train, test, shifted"),
    ("train . -o run --minutes 0", "minutes 0 must be above 0, as in 10"),
    ("train . -o run --from none", "none: there is no such checkpoint; give a run folder, or a file of weights"),
    ("train . -o run --from none --resume", "--from begins a training and --resume goes on with one; give one of them"),
    ("export run -o model.h5", "model.h5: write to a name that ends in .onnx or .pt2"),
])  # fmt: skip
def test_refusals(tconv: Tconv, line: str, message: str) -> None:
    status, out, err = tconv(line)
    assert (status, out) == (2, "") and err.removeprefix("tconv: ").strip().endswith(message), err


def test_prediction_on_a_cluster_that_is_none(tconv: Tconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from tconv.segmentation import Card, UNet, palette, save
    from tconv.segmentation.predict import cluster

    arguments = {"in_channels": 3, "out_channels": 2, "features": [4]}
    torch.manual_seed(0)
    save(
        "model.safetensors",
        UNet(**arguments),
        Card("unet", arguments, ("a", "b"), (0, 1), palette(2), (0.5,) * 3, (0.25,) * 3, 32),
    )
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save("a.png")
    line = "predict model.safetensors a.png -o masks --dask"
    status, out, err = tconv(f"{line} localhost:8786")
    assert (status, out) == (2, "") and not (tmp_path / "masks").exists()
    assert err == "tconv: --dask 'localhost:8786' is no scheduler's address; write tcp://HOST:PORT\n"
    monkeypatch.setattr(cluster, "CONNECT", 1)
    with socket.socket() as silent:  # somebody listens who is no scheduler
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert tconv(f"{line} {address}") == (
            2, "", f"tconv: no Dask scheduler answers at {address}; start one with `dask scheduler`, and workers with "
            f"`dask worker {address}`\n",
        )  # fmt: skip
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert tconv(f"{line} {address}") == (2, "", f"tconv: --dask needs distributed: {extras.cure('dask')}\n")


@pytest.mark.parametrize(
    "command", ["make-data", "check-data", "train", "predict", "eval", "export", "compare-upsampling"]
)
def test_help(tconv: Tconv, command: str) -> None:
    out = said(tconv, f"{command} --help")
    assert out.startswith(f"Usage: tconv segment {command}") and f"tconv segment {command}" in out[20:]
