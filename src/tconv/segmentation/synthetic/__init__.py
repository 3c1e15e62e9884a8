"""Synthetic data with exact masks: `digits`, `cells` and `fabric`, each with a training, a test and a shifted part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from tconv import errors
from tconv.arrays import Array
from tconv.names import shown
from tconv.outputs import wholly
from tconv.segmentation.card import palette
from tconv.segmentation.data.findings import CLASSES
from tconv.segmentation.data.masks import write_mask
from tconv.segmentation.synthetic import cells, digits, fabric

Sample = tuple[Array, Array]
SETS: dict[str, tuple[Callable[[int, int, int, str], Iterator[Sample]], tuple[str, ...]]] = {
    "digits": (digits.make, digits.CLASSES),
    "cells": (cells.make, cells.CLASSES),
    "fabric": (fabric.make, fabric.CLASSES),
}
PARTS = ("train", "test", "shifted")


def write(folder: Path, kind: str, count: int, size: int = 96, seed: int = 0, part: str = "train") -> None:
    """Write images/, masks/ and classes.txt of a synthetic set.

    Args:
        folder: made if missing.
        kind: "digits", "cells" or "fabric".
        count: images.
        size: pixels per side, at least 48.
        seed: other seeds give other images.
        part: "train"; "test", with other handwriting and other places of the textures; "shifted", with other textures,
            lights and sizes on top.

    Raises:
        TconvError: an unknown kind or part, a size or count that is too small, or a folder that holds a set already.
    """
    if kind not in SETS or part not in PARTS:
        raise errors.TconvError(
            f"{kind} {part} is no synthetic set; choose of {', '.join(SETS)} and {', '.join(PARTS)}"
        )
    if count < 1 or size < 48:
        raise errors.TconvError(f"{count} images of {size} pixels: there must be at least 1, of at least 48")
    make, names = SETS[kind]
    for name in ("images", "masks", CLASSES):
        place = folder / name
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise errors.TconvError(
                f"{shown(folder)} holds data already; give another folder, so that none is replaced"
            )
    for n, (image, mask) in enumerate(make(count, size, seed, part)):
        with wholly(folder / "images" / f"{kind}_{n:04}.png") as path:
            Image.fromarray(image.squeeze()).save(path)
        write_mask(folder / "masks" / f"{kind}_{n:04}.png", mask, palette(len(names)))
    with wholly(folder / CLASSES) as path:
        path.write_text("".join(f"{value} {name}\n" for value, name in enumerate(names)), encoding="utf-8")
