"""The comparison of ways to upsample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tconv.segmentation import Card, UNet, compare, palette
from tconv.segmentation.train import Settings


def card() -> Card:
    return Card("unet", {}, ("a", "b"), (0, 1), palette(2), (0.5,), (0.25,), 32)


def test_two_ways_compared(cells: Path, tmp_path: Path) -> None:
    settings = Settings(epochs=1, features=(4, 8), size=32, batch=4)
    rows = compare.compare(cells, tmp_path, settings, ("transposed", "nearest"))
    assert [row.up for row in rows] == ["transposed", "nearest"]
    assert all(0 <= row.mean_iou <= 1 and row.seconds > 0 and row.megabytes > 0 for row in rows)
    assert rows[0].parameters > rows[1].parameters
    trained = (tmp_path / "nearest" / "best.safetensors").stat().st_mtime_ns
    again = compare.compare(cells, tmp_path, settings, ("nearest",))
    assert again[0].mean_iou == rows[1].mean_iou
    assert (tmp_path / "nearest" / "best.safetensors").stat().st_mtime_ns == trained
    compare.figure(rows, tmp_path / "compare.png")
    with Image.open(tmp_path / "compare.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_fixed_kernels_make_no_checkerboard() -> None:
    torch.manual_seed(0)
    networks: Any = {up: UNet(1, 2, (4, 8), up=up).eval() for up in ("transposed", "nearest", "bilinear")}
    found = {up: compare.checkerboard(network, card()) for up, network in networks.items()}
    assert max(found["nearest"], found["bilinear"]) < 1e-12
    assert found["transposed"] > 1e-9
