"""Every problem of a folder is found, named and left out; the split."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tconv import errors
from tconv.segmentation.data.check import Found, check
from tconv.segmentation.data.gallery import contact_sheet
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.data.pixels import read_image
from tconv.segmentation.data.split import split


def problems(found: Found) -> str:
    return "\n".join(map(str, found.problems))


def test_a_sound_folder(folder: Path) -> None:
    found = check(folder)
    assert (len(found.items), found.problems, found.notes) == (6, [], [])
    assert found.legend is not None and found.legend.names == ("background", "cell", "nucleus")
    assert sum(found.balance().values()) == 6 * 48 * 48
    assert np.asarray(contact_sheet(found)).std() > 10


def test_every_problem_is_reported_at_once(folder: Path) -> None:
    images, masks = folder / "images", folder / "masks"
    (masks / "cells_0000.png").rename(masks / "cell_0000.png")
    (images / "cells_0001.png").write_bytes((images / "cells_0001.png").read_bytes()[:300])
    Image.new("L", (48, 47)).save(masks / "cells_0002.png")
    stray = read_mask(masks / "cells_0003.png").copy()
    stray[5, 7] = 77
    Image.fromarray(stray).save(masks / "cells_0003.png")
    found = check(folder)
    assert [item.pair.name for item in found.items] == ["cells_0004", "cells_0005"]
    text = problems(found)
    assert len(found.problems) == 5
    for said in (
        "images/cells_0000.png: has no mask; add cells_0000.png to the masks, unless it is cell_0000.png",
        "masks/cell_0000.png: is a mask without image; add the image, or remove the mask",
        "images/cells_0001.png is truncated or damaged; copy or export it again",
        "images/cells_0002.png is 48 x 48 and its mask, in cells_0002.png, 48 x 47; they must be equal: ",
        "masks/cells_0003.png has 1 pixels of value 77, the first in row 5, column 7, which is none of the named",
    ):
        assert said in text, said


def test_strays_and_blurred_masks_are_found_without_classes(folder: Path) -> None:
    (folder / "classes.txt").unlink()
    first, second = (folder / "masks" / f"cells_000{n}.png" for n in (1, 2))
    stray = read_mask(first).copy()
    stray[5, 7] = 77
    Image.fromarray(stray).save(first)
    blurred = Image.fromarray((read_mask(second) > 0).astype(np.uint8) * 255)
    blurred.resize((96, 96), Image.Resampling.BICUBIC).resize((48, 48), Image.Resampling.BICUBIC).save(second)
    text = problems(check(folder))
    assert "cells_0001.png has 1 pixels of value 77" in text and "which is in 1 of 5 masks only" in text
    assert "cells_0002.png has " in text and "it is anti-aliased or was a JPEG; export it with hard edges" in text


def test_notes(folder: Path) -> None:
    (folder / "classes.txt").write_text("0 background\n1 cell\n2 nucleus\n3 debris\n")
    (folder / "images" / "copy.png").write_bytes((folder / "images" / "cells_0000.png").read_bytes())
    Image.fromarray(read_mask(folder / "masks" / "cells_0000.png")).save(folder / "masks" / "copy.png")
    notes = "\n".join(check(folder).notes)
    assert "no mask has a pixel of debris" in notes
    assert "equal images: cells_0000.png, copy.png; they stay on one side of the split" in notes
    assert "masks have different palettes, or some have none" in notes


def test_a_photograph_lies_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (8, 4, 3)
    for place in ("images", "masks"):
        (tmp_path / place).mkdir()
    (tmp_path / "turned.jpg").rename(tmp_path / "images" / "turned.jpg")
    Image.new("L", (8, 4)).save(tmp_path / "masks" / "turned.png")
    assert "its orientation in the EXIF was applied; they must be equal" in problems(check(tmp_path))


def test_names_that_are_no_text(folder: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    (folder / "images" / "cells_0000.png").rename(folder / "images" / name)
    (folder / "masks" / "cells_0000.png").rename(folder / "masks" / name)
    found = check(folder)
    assert len(found.items) == 6 and np.asarray(contact_sheet(found)).std() > 10
    (folder / "masks" / name).unlink()
    assert r"images/\xff\xfe.png: has no mask" in problems(check(folder))


def test_the_split_is_seeded_and_keeps_equal_images_together(folder: Path) -> None:
    for place in ("images", "masks"):
        for n in range(5):
            source = folder / place / "cells_0000.png"
            (folder / place / f"copy_{n}.png").write_bytes(source.read_bytes())
    items = check(folder).items
    for seed in range(8):
        training, held = split(items, 0.4, seed)
        assert {i.digest for i in training}.isdisjoint(i.digest for i in held)
        assert len(training) + len(held) == 11 and split(items, 0.4, seed)[1] == held
    assert len({tuple(i.pair.name for i in split(items, 0.4, seed)[1]) for seed in range(8)}) > 1
    with pytest.raises(errors.TconvError, match=r"the held-out fraction 1.5 must lie between 0 and 1"):
        split(items, 1.5)
    with pytest.raises(errors.TconvError, match="1 different images are too few: one must be held out"):
        split(items[:1])
