"""The folder layouts that people have, small but real: checked as they are, and trained on."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tconv import errors
from tconv.segmentation.card import palette
from tconv.segmentation.data.check import check
from tconv.segmentation.data.layouts import find_pairs
from tconv.segmentation.data.masks import write_mask


def photo(path: Path, shape: tuple[int, int] = (30, 40), seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = seed or zlib.crc32(path.stem.encode())  # not hash(), which differs from process to process
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)).save(path)


def blob(inside: int, seam: int | None = None, outside: int = 0) -> Any:
    """A mask, (30, 40), with a rectangle, which a seam of two pixels may surround."""
    mask = np.full((30, 40), outside, np.uint8)
    mask[6:20, 8:24] = inside if seam is None else seam
    mask[8:18, 10:22] = inside
    return mask


@pytest.mark.parametrize(("images", "masks", "ending"), [
    ("images", "masks", ""), ("imgs", "masks", "_mask"), ("images", "labels", "_gt"), ("images", "annotations", ""),
])  # fmt: skip
def test_two_folders(tmp_path: Path, images: str, masks: str, ending: str) -> None:
    for place, name in ((images, "a.1"), (images, "b"), (masks, f"a.1{ending}"), (masks, f"b{ending}")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / place / f"{name}.png")
    (tmp_path / images / ".hidden.png").touch()
    (tmp_path / images / "notes.txt").touch()
    listing = find_pairs(tmp_path)
    assert [pair.name for pair in listing.pairs] == ["a.1", "b"] and not listing.problems


def test_carvana(tmp_path: Path) -> None:
    for n in range(1, 5):
        name = f"0cdf5b5d0ce1_0{n}"
        photo(tmp_path / "train" / f"{name}.jpg")
        (tmp_path / "train_masks").mkdir(exist_ok=True)
        image = Image.fromarray(blob(1))
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(tmp_path / "train_masks" / f"{name}_mask.gif")
    (tmp_path / "train_masks.csv").write_text("img,rle_mask\n")
    found = check(tmp_path)
    assert len(found.items) == 4 and not found.problems and not found.notes
    assert str(found.legend) == "0 background, 1 class 1" and found.balance() == {0: 4 * 976, 1: 4 * 224}


def test_pascal_voc(tmp_path: Path) -> None:
    voc = tmp_path / "VOCdevkit" / "VOC2012"
    colours = palette(256)
    for n, value in enumerate((15, 15, 8), 1):
        photo(voc / "JPEGImages" / f"2007_00000{n}.jpg")
        write_mask(voc / "SegmentationClass" / f"2007_00000{n}.png", blob(value, seam=255), colours)
    for n in range(4, 9):
        photo(voc / "JPEGImages" / f"2007_00000{n}.jpg")
    photo(voc / "SegmentationObject" / "2007_000001.png")
    found = check(voc)
    assert len(found.items) == 3 and not found.problems
    assert found.notes == ["images without a mask, which are left out, as usual in this layout: 5"]
    assert str(found.legend) == "0 background, 8 class 1, 15 class 2, 255 ignored"
    write_mask(voc / "SegmentationClass" / "2007_000099.png", blob(15), colours)
    assert "2007_000099.png: is a mask without image" in str(check(voc).problems[0])
    with pytest.raises(errors.TconvError, match="but these in it do: VOC2012; give one of them"):
        check(tmp_path / "VOCdevkit")


def test_oxford_pets(tmp_path: Path) -> None:
    for name in ("Abyssinian_1", "Abyssinian_2", "yorkshire_terrier_1"):
        photo(tmp_path / "images" / f"{name}.jpg")
        (tmp_path / "annotations" / "trimaps").mkdir(parents=True, exist_ok=True)
        Image.fromarray(blob(1, seam=3, outside=2)).save(tmp_path / "annotations" / "trimaps" / f"{name}.png")
    (tmp_path / "images" / "Abyssinian_2.mat").touch()
    (tmp_path / "annotations" / "trimaps" / "._Abyssinian_1.png").touch()
    (tmp_path / "annotations" / "list.txt").write_text("Abyssinian_1 1 1 1\n")
    found = check(tmp_path)
    assert len(found.items) == 3 and not found.problems and not found.notes
    assert str(found.legend) == "2 background, 1 pet, 3 ignored"
    Image.fromarray(blob(4, outside=2)).save(tmp_path / "annotations" / "trimaps" / "Abyssinian_2.png")
    assert (
        "Abyssinian_2.png has 224 pixels of value 4, the first in row 6, column 8, which is none of the named"
        in str(check(tmp_path).problems[0])
    )
    (tmp_path / "classes.txt").write_text("2 background\n1 pet\n3 seam\n4 other\n")
    assert str(check(tmp_path).legend) == "2 background, 1 pet, 3 seam, 4 other"


def test_a_list(folder: Path) -> None:
    lines = ["image,mask", "images/cells_0000.png,masks/cells_0001.png", "images/none.png,masks/cells_0002.png", "x"]
    (folder / "pairs.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    listing = find_pairs(folder)
    assert [pair.mask_file.name for pair in listing.pairs] == ["cells_0001.png"]
    assert [str(problem) for problem in listing.problems] == [
        f"{folder}/images/none.png: is listed in pairs.csv, line 3, and does not exist",
        f"{folder}/pairs.csv: line 4 names no mask; write IMAGE,MASK",
    ]


def test_no_data(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none: there is no such folder"):
        check(tmp_path / "none")
    with pytest.raises(errors.TconvError, match=r"holds no images/ and masks/ \(nor .*\); create one of these"):
        check(tmp_path)
    for place in ("images", "masks"):
        (tmp_path / place).mkdir()
    with pytest.raises(errors.TconvError, match="holds no image; put some into it"):
        check(tmp_path)
    (tmp_path / "a.png").touch()
    with pytest.raises(NotADirectoryError, match=r"a\.png is no folder; give one that holds images/ and masks/, or a"):
        check(tmp_path / "a.png")
