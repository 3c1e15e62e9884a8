"""Folders of images and masks: pairs, problems, split, augmentation, synthetic sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from tconv import errors
from tconv.segmentation import synthetic
from tconv.segmentation.data.augment import Augmentation, generator
from tconv.segmentation.data.check import Found, check
from tconv.segmentation.data.dataset import Batches, Samples, measure
from tconv.segmentation.data.gallery import contact_sheet
from tconv.segmentation.data.masks import make_legend, read_legend, read_mask, write_mask
from tconv.segmentation.data.pairs import find_pairs
from tconv.segmentation.data.pixels import read_image
from tconv.segmentation.data.split import split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    synthetic.write(tmp_path / "data", "cells", 6, 48)
    return tmp_path / "data"


def problems(found: Found) -> str:
    return "\n".join(map(str, found.problems))


def test_a_sound_folder(folder: Path) -> None:
    found = check(folder)
    assert (len(found.items), found.problems, found.notes) == (6, [], [])
    assert found.legend is not None and found.legend.names == ("background", "cell", "nucleus")
    assert sum(found.balance().values()) == 6 * 48 * 48
    assert np.asarray(contact_sheet(found)).std() > 10


@pytest.mark.parametrize(("images", "masks", "ending"), [
    ("images", "masks", ""), ("imgs", "masks", "_mask"), ("train", "train_masks", "_mask"),
    ("JPEGImages", "SegmentationClass", ""), ("images", "annotations/trimaps", ""),
])  # fmt: skip
def test_layouts(tmp_path: Path, images: str, masks: str, ending: str) -> None:
    for place, name in ((images, "a.1"), (images, "b"), (masks, f"a.1{ending}"), (masks, f"b{ending}")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / place / f"{name}.png")
    (tmp_path / images / ".hidden.png").touch()
    (tmp_path / images / "notes.txt").touch()
    pairs, wrong = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["a.1", "b"] and not wrong


def test_a_list(folder: Path) -> None:
    lines = ["image,mask", "images/cells_0000.png,masks/cells_0001.png", "images/none.png,masks/cells_0002.png", "x"]
    (folder / "pairs.csv").write_text("\n".join(lines))
    pairs, wrong = find_pairs(folder)
    assert [pair.mask.name for pair in pairs] == ["cells_0001.png"]
    assert [str(problem) for problem in wrong] == [
        f"{folder}/images/none.png: is listed in pairs.csv, line 3, and does not exist",
        f"{folder}/pairs.csv: line 4 names no mask; write IMAGE,MASK",
    ]


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
        "images/cells_0002.png is 48 x 48 and its mask cells_0002.png 48 x 47; they must be equal: export the",
        "masks/cells_0003.png has 1 pixels of value 77, the first in row 5, column 7, which is not in classes.txt",
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


# bad files, each with a line that names it and the cure


def make_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(path.with_suffix(".jpg"), exif=exif)


def bomb(path: Path) -> None:
    import struct
    import zlib

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    ihdr = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + ihdr + struct.pack(">I", 8) + b"IDAT" + bytes(12))


NAN: Any = np.full((4, 4), np.nan, np.float32)
BAD: list[tuple[str, Any, str]] = [
    ("empty.png", lambda p: p.touch(), "is empty; copy it again"),
    ("text.png", lambda p: p.write_text("hello"), "is no picture that can be read; convert it to PNG, JPEG or TIFF"),
    ("ink.jpg", lambda p: Image.new("CMYK", (4, 4)).save(p), "has the colour mode CMYK; convert it to RGB or grey"),
    ("nan.tif", lambda p: tifffile.imwrite(p, NAN), "has 16 values that are NaN or infinite; replace them"),
    ("wide.tif", lambda p: tifffile.imwrite(p, np.zeros((4, 4))), "has dtype float64; convert it to uint8, uint16"),
    ("cut.tif", lambda p: p.write_bytes(b"II*\0\x08\0\0\0\x05"), "is truncated or damaged; copy or export it again"),
    ("pages.tif", lambda p: tifffile.imwrite(p, np.zeros((2, 5, 4, 4, 3), np.uint8), photometric="rgb"), "has the"),
    ("bomb.png", bomb, "claims more than 178,956,970 pixels, which may be a decompression bomb; if you trust it, "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "message"), BAD, ids=[name for name, *_ in BAD])
def test_bad_images(tmp_path: Path, name: str, make: Any, message: str) -> None:
    make(tmp_path / name)
    with pytest.raises(errors.ImageFileError) as raised:
        read_image(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path}/{name} {message}")


def test_a_photograph_lies_as_it_is_shown(tmp_path: Path) -> None:
    make_exif(tmp_path / "turned.png")
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
    assert len(check(folder).items) == 6
    (folder / "masks" / name).unlink()
    assert r"images/\xff\xfe.png: has no mask" in problems(check(folder))


@pytest.mark.parametrize(("array", "photometric", "shape"), [
    (np.zeros((4, 5), np.uint16), "minisblack", (4, 5, 1)), (np.zeros((4, 5, 3), np.uint8), "rgb", (4, 5, 3)),
    (np.zeros((7, 4, 5), np.float32), "minisblack", (4, 5, 7)),
])  # fmt: skip
def test_tiffs(tmp_path: Path, array: Any, photometric: str, shape: tuple[int, ...]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", array, photometric=photometric)
    assert read_image(tmp_path / "a.tif").shape == shape


def test_masks(tmp_path: Path) -> None:
    classes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    write_mask(tmp_path / "m.png", classes, [(n, n, n) for n in range(12)])
    assert np.array_equal(read_mask(tmp_path / "m.png"), classes)
    Image.new("RGB", (4, 4), "red").save(tmp_path / "c.png")
    with pytest.raises(
        errors.ImageFileError, match=r"c\.png is a mask in colours; convert it to a palette or grey PNG"
    ):
        read_mask(tmp_path / "c.png")
    Image.new("RGB", (4, 4), (7, 7, 7)).save(tmp_path / "g.png")
    assert read_mask(tmp_path / "g.png").tolist() == [[7] * 4] * 4


def test_legends(tmp_path: Path) -> None:
    assert str(make_legend([0, 255])) == "0 background, 255 class 1"
    assert make_legend([0, 1, 2, 255]).ignore == 255
    assert make_legend([0, 128, 255]).values == (0, 128, 255)
    assert make_legend([0, 255]).classes(np.array([[255, 0]], np.uint8)).tolist() == [[1, 0]]
    with pytest.raises(errors.ImageFileError, match="value 3 is none of the classes 0 background, 1 class 1"):
        make_legend([0, 1]).classes(np.array([[3]], np.uint8))
    (tmp_path / "c.txt").write_text("0 sky\n255 ignore\n4 old tree\n")
    legend = read_legend(tmp_path / "c.txt")
    assert (legend.values, legend.names, legend.ignore) == ((0, 4), ("sky", "old tree"), 255)
    (tmp_path / "c.txt").write_text("0 sky\n0 sea\n")
    with pytest.raises(errors.TconvError, match="must name up to 255 classes, each value once: lines of VALUE NAME"):
        read_legend(tmp_path / "c.txt")


def test_no_data(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        check(tmp_path / "none")
    with pytest.raises(errors.TconvError, match="holds no images/ and masks/"):
        check(tmp_path)


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


# augmentation


@pytest.mark.parametrize("flip", ["none", "both"])
def test_image_and_mask_go_together(flip: str) -> None:
    classes = torch.from_numpy(next(synthetic.SETS["cells"][0](1, 96, 3, "train"))[1])
    image = classes[None].float()
    augmentation = Augmentation(64, flip=flip, light=0, noise=0)
    crops = [augmentation(image, classes, generator(0, 0, n)) for n in range(20)]
    for crop, mask in crops:
        assert crop.shape == (1, 64, 64) and mask.dtype == torch.int64
        kept = mask != 255
        agreement = ((crop[0].round() == mask) | ~kept).float().mean()
        assert agreement > 0.93  # bilinear and nearest differ along edges only
    again = augmentation(image, classes, generator(0, 0, 3))
    assert torch.equal(again[0], crops[3][0]) and not torch.equal(crops[3][0], crops[4][0])


def test_an_augmentation_that_does_nothing() -> None:
    image, mask = torch.randn(3, 40, 40), torch.randint(0, 3, (40, 40), dtype=torch.uint8)
    crop, classes = Augmentation(40, zoom=0, turn=0, light=0, noise=0)(image, mask, generator(0, 0, 0))
    torch.testing.assert_close(crop, image, atol=1e-4, rtol=1e-4)
    assert torch.equal(classes, mask.long())


def test_beyond_a_small_image_nothing_is_learned() -> None:
    image, mask = torch.zeros(1, 20, 20), torch.ones(20, 20, dtype=torch.uint8)
    _, classes = Augmentation(40, zoom=0, turn=0)(image, mask, generator(0, 0, 0))
    assert sorted(classes.unique().tolist()) == [1, 255] and (classes == 1).sum() == 400


def test_batches_are_the_same_wherever_they_are_made(folder: Path) -> None:
    found = check(folder)
    assert found.legend is not None
    samples = Samples(found.items, found.legend, measure(found.items, 1))
    one = Batches(samples, Augmentation(32), 4, seed=1)
    two = [Batches(samples, Augmentation(32), 2, 1, processes=2, rank=rank) for rank in (0, 1)]
    assert one.steps() == two[0].steps() == 1
    whole, parts = one.make(5, 0), [batches.make(5, 0) for batches in two]
    assert torch.equal(whole[0], torch.cat([part[0] for part in parts]))
    assert torch.equal(next(one.epoch(5))[1], whole[1])
    assert not torch.equal(one.make(6, 0)[0], whole[0])
    image, classes = samples.whole(0)
    assert image.shape == (1, 48, 48) and classes.shape == (48, 48)
    stack = torch.cat([samples.whole(n)[0].flatten() for n in range(6)])
    assert stack.mean().abs() < 1e-4 and stack.std() == pytest.approx(1, abs=1e-3)


# synthetic sets


@pytest.mark.parametrize(("kind", "channels", "classes"), [("digits", 3, 11), ("cells", 1, 3)])
def test_synthetic_sets(kind: str, channels: int, classes: int) -> None:
    make, names = synthetic.SETS[kind]
    parts = {part: list(make(16, 96, 0, part)) for part in synthetic.PARTS}
    for samples in parts.values():
        for image, mask in samples:
            assert image.shape == (96, 96, channels) and image.dtype == mask.dtype == np.uint8
        assert len({int(v) for _, mask in samples for v in np.unique(mask)}) == classes == len(names)
    again = next(make(1, 96, 0, "train"))
    assert np.array_equal(again[0], parts["train"][0][0]) and np.array_equal(again[1], parts["train"][0][1])
    assert not np.array_equal(parts["train"][0][1], parts["test"][0][1])


def test_synthetic_refusals(tmp_path: Path) -> None:
    with pytest.raises(errors.TconvError, match="faces train is no synthetic set; choose of digits, cells and train"):
        synthetic.write(tmp_path, "faces", 1)
    with pytest.raises(errors.TconvError, match="1 images of 8 pixels: there must be at least 1, of at least 48"):
        synthetic.write(tmp_path, "cells", 1, 8)
