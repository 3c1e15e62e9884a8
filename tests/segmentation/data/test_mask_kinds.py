"""Masks as people have them: in colours, numbered, of two annotators, in files with names from other machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
import tifffile
from PIL import Image

from tconv import errors, segmentation
from tconv.segmentation.data.check import check
from tconv.segmentation.data.colours import read_colours
from tconv.segmentation.data.findings import Found
from tconv.segmentation.data.gallery import contact_sheet
from tconv.segmentation.data.layouts import find_pairs
from tconv.segmentation.data.legend import read_legend
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.train import Settings, train
from tconv.segmentation.train.loop import prepare

SHAPE = (32, 40)
QUICK = Settings(epochs=1, features=(4, 8), size=16, batch=2, held_out=0.34)
Write = Callable[[Path, Any, int], object]


def png(path: Path, mask: Any, n: int) -> None:
    Image.fromarray(mask).save(path.with_suffix(".png"))


def drawn(n: int) -> Any:
    """Two classes in solid pieces."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:20, 6 + n : 24], mask[22:30, 5:15] = 1, 2
    return mask


def folder_of(root: Path, masks: list[Any], write: Write = png) -> Path:
    """images/ and masks/ with names a0, a1, ..."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for n, mask in enumerate(masks):
        pixels = np.random.default_rng(n).integers(0, 256, (*mask.shape[:2], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"a{n}.png")
        write(root / "masks" / f"a{n}", mask, n)
    return root


def said(found: Found) -> str:
    return "\n".join([*map(str, found.problems), *found.notes])


# 0/1 beside 0/255


@pytest.mark.parametrize(("ones", "full"), [(3, 3), (1, 5), (5, 1)])
def test_two_annotators(tmp_path: Path, ones: int, full: int) -> None:
    masks = [np.minimum(drawn(n), 1) for n in range(ones + full)]
    folder = folder_of(tmp_path, [mask * (255 if n >= ones else 1) for n, mask in enumerate(masks)])
    found = check(folder)
    left_out = range(ones, 6) if full <= ones else range(ones)
    assert [p.path.name for p in found.problems] == [f"a{n}.png" for n in left_out]
    assert found.legend is not None and found.legend.ignore is None
    what, others = ("0 and 255", "0 and 1") if full <= ones else ("0 and 1", "0 and 255")
    kept = [f"a{n}.png" for n in range(6) if n not in left_out]
    named = ", ".join(kept[:4]) + (f" and {len(kept) - 4} more" if len(kept) > 4 else "")
    assert found.problems[0].message == (
        f"holds {what}, and {len(kept)} other masks {others} ({named}); write all alike, or say in classes.txt what 0, "
        f"1 and 255 mean"
    )
    with pytest.raises(errors.TconvError) as raised:
        prepare(found, folder, QUICK)
    assert str(raised.value).startswith(f"{folder}: {len(kept)} masks hold {others} ({named}) and {6 - len(kept)} hold")
    assert str(raised.value).endswith("; write all alike, or say in classes.txt what 0, 1 and 255 mean")
    (folder / "classes.txt").write_text("0 ground\n1 thing\n255 ignore\n")
    assert not check(folder).conflict and len(check(folder).items) == 6


def test_two_depths(tmp_path: Path) -> None:
    masks = [np.minimum(drawn(n), 1) for n in range(6)]
    folder = folder_of(
        tmp_path, [m * np.uint8(255) if n < 4 else m.astype(np.uint16) * 65535 for n, m in enumerate(masks)]
    )
    assert [p.path.name for p in check(folder).problems] == ["a4.png", "a5.png"]
    assert "say in classes.txt what 0, 255 and 65535 mean" in check(folder).problems[0].message


@pytest.mark.parametrize("greys", [(127, 254), (128, 255)])
def test_two_annotators_of_several_classes(tmp_path: Path, greys: tuple[int, int]) -> None:
    masks = [drawn(n) for n in range(5)]
    for mask in masks:
        mask[mask > 1] = 2
        mask[-3:, -3:] = 2
    spread = np.array([0, *greys], np.uint8)
    found = check(folder_of(tmp_path, [spread[mask] if n > 2 else mask for n, mask in enumerate(masks)]))
    a, b = greys
    assert [(p.path.name, p.message) for p in found.problems] == [
        (f"a{n}.png", f"holds 0, {a} and {b}, and 3 other masks 0, 1 and 2 (a0.png, a1.png, a2.png); write all alike, "
                      f"or say in classes.txt what 0, 1, 2, {a} and {b} mean")
        for n in (3, 4)
    ]  # fmt: skip
    assert found.legend is not None and found.legend.values == (0, 1, 2)


def test_greys_that_are_not_evenly_spread_are_classes(tmp_path: Path) -> None:
    masks = [drawn(n) for n in range(4)]
    for mask in masks:
        mask[mask > 1] = 2
        mask[-3:, -3:] = 2
    odd = np.array([0, 60, 254], np.uint8)
    found = check(folder_of(tmp_path, [odd[mask] if n > 1 else mask for n, mask in enumerate(masks)]))
    assert not found.problems
    assert found.legend is not None and found.legend.values == (0, 1, 2, 60, 254)


def test_255_is_never_ignored_in_silence(tmp_path: Path) -> None:
    masks = [drawn(n) for n in range(3)]
    for mask in masks:
        mask[:2] = 255
    found = check(folder_of(tmp_path, masks))
    assert found.legend is not None and found.legend.ignore == 255
    assert found.notes == [
        "255 is taken for pixels to be left out; if it is a class, name all classes in classes.txt, lines of VALUE NAME"
    ]


# colours

TABLE = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)


def test_colours_are_found_and_shown(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", [TABLE[drawn(n)] for n in range(4)])
    found = check(folder)
    assert found.legend is not None and str(found.legend) == "0 background, 1 #0000ff, 2 #ff0000"
    assert said(found) == (
        "the masks are in colours, which are taken for classes in this order: 0 (0, 0, 0), 1 (0, 0, 255), 2 (255, 0, "
        "0); to name them, write classes.csv, lines of NAME,RED,GREEN,BLUE"
    )
    mask = read_mask(found.items[0].pair.mask)
    assert np.array_equal(mask, np.array([0, 2, 1])[drawn(0)])
    assert found.items[0].counts == {v: int((mask == v).sum()) for v in range(3)}
    assert np.asarray(contact_sheet(found)).std() > 10
    (folder / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nthing,255,0,0\nvoid,0,0,255\n", encoding="utf-16")
    found = check(folder)
    assert str(found.legend) == "0 ground, 1 thing, 255 ignored" and found.named and not said(found)
    assert np.array_equal(read_mask(found.items[1].pair.mask), np.array([0, 1, 255])[drawn(1)])
    train(folder, tmp_path / "run", QUICK)
    card = segmentation.load(tmp_path / "run")[1]
    assert card.palette == ((0, 0, 0), (255, 0, 0)) and card.legend == found.legend


def test_palettes_that_differ_are_one_by_their_colours(tmp_path: Path) -> None:
    order = [[0, 1, 2], [2, 0, 1], [1, 2, 0]]

    def write(path: Path, mask: Any, n: int) -> None:
        picture = Image.fromarray(np.array([order[n].index(v) for v in range(3)], np.uint8)[mask])
        picture.putpalette(TABLE[order[n]].ravel().tolist())
        picture.save(path.with_suffix(".png"))

    folder = folder_of(tmp_path, [drawn(n) for n in range(3)], write)
    assert "masks have different palettes" in said(check(folder))
    (folder / "t.csv").write_text("ground;0;0;0\nfirst;255;0;0\nsecond;0;0;255\n")
    found = check(folder, colours=folder / "t.csv")
    assert not said(found) and [item.counts for item in found.items] == [
        {v: int((drawn(n) == v).sum()) for v in range(3)} for n in range(3)
    ]


def test_transparent_is_background_and_grey_in_three_channels_is_grey(tmp_path: Path) -> None:
    clear = np.concatenate([TABLE[drawn(0)], np.where(drawn(0) == 0, 0, 255).astype(np.uint8)[..., None]], axis=2)
    clear[drawn(0) == 0, 1] = 77
    folder = folder_of(tmp_path / "a", [clear, TABLE[drawn(1)], np.zeros(SHAPE, np.uint8)])
    found = check(folder)
    assert len(found.items) == 3 and found.legend is not None and len(found.legend.colours) == 3
    folder = folder_of(tmp_path / "b", [drawn(n)[..., None].repeat(3, axis=2) for n in range(3)])
    assert str(check(folder).legend) == "0 background, 1 class 1, 2 class 2" and not said(check(folder))


def test_colours_that_are_none(tmp_path: Path) -> None:
    many = np.arange(80).reshape(8, 10).repeat(4, axis=0).repeat(4, axis=1)
    folder = folder_of(tmp_path / "a", [np.stack([many * 3, many, many * 0], axis=2).astype(np.uint8)] * 2)
    assert (
        said(check(folder)).count(
            "the masks have 80 colours, too many to be classes; export them as PNG with hard edges, or say which "
            "colours mean what by --colors classes.csv, lines of NAME,RED,GREEN,BLUE, each number 0 to 255, and each "
            "colour once"
        )
        == 2
    )

    def blurred(path: Path, mask: Any, n: int) -> None:
        Image.fromarray(mask).save(path.with_suffix(".jpg"), quality=40)

    folder = folder_of(tmp_path / "b", [TABLE[drawn(n)] for n in range(2)], blurred)
    assert "it is anti-aliased or was a JPEG; export it with hard edges as a PNG" in said(check(folder))
    folder = folder_of(tmp_path / "c", [TABLE[drawn(n)] for n in range(2)])
    (folder / "classes.csv").write_text("ground,0,0,0\nthing,255,0,0\n")
    assert (
        "a0.png has 80 pixels of colour (0, 0, 255), the first in row 22, column 5, which is not in the colour table; "
        "add it there, or correct the mask"
    ) in said(check(folder))
    (folder / "classes.csv").unlink()
    (folder / "classes.txt").write_text("0 ground\n1 thing\n")
    assert "a0.png is a mask in colours; say which colour means which class by --colors classes.csv" in said(
        check(folder)
    )


@pytest.mark.parametrize("text", [
    "name,r,g,b\nground,0,0,0\nbig tree,64,128,64\n", "0 0 0 ground\n64 128 64 big tree\n",
    "0 0 0\tground\n64 128 64\tbig tree\n", "# label:color_rgb:parts:actions\nground:0,0,0::\nbig tree:64,128,64::\n",
    "ground,#000000\nbig tree,#408040\n", "name;r;g;b\nground;0;0;0\nbig tree;64;128;64\n",
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_colours(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    legend = read_colours(tmp_path / "t.csv")
    assert (legend.names, legend.colours) == (("ground", "big tree"), ((0, 0, 0), (64, 128, 64)))


@pytest.mark.parametrize(("text", "message"), [
    ("ground,0,0,0\ntree,0,0\n", ", line 2, is no colour and name; write "),
    ("ground,0,0,0\ntree,0,0,0\n", " must name 1 to 255 classes: "), ("", " must name 1 to 255 classes: "),
])  # fmt: skip
def test_tables_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    form = "lines of NAME,RED,GREEN,BLUE, each number 0 to 255, and each colour once"
    with pytest.raises(errors.TconvError) as raised:
        read_colours(tmp_path / "t.csv")
    assert str(raised.value) == f"{tmp_path}/t.csv{message}{form}"


# numbered objects


def numbered(n: int, count: int, dtype: Any) -> Any:
    """`count` squares, numbered from 1."""
    mask = np.zeros((48, 48), dtype)
    for number in range(count):
        y, x = divmod(number, 6)
        mask[8 * y + n % 2 : 8 * y + 6, 8 * x : 8 * x + 5] = number + 1
    return mask


def tiff(path: Path, mask: Any, n: int) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), mask)


@pytest.mark.parametrize(("write", "dtype"), [
    (png, np.uint8), (png, np.uint16), (tiff, np.int32), (tiff, np.int64), (tiff, np.float32),
], ids=["8 bits", "16 bits", "napari", "napari, 64 bits", "QuPath"])  # fmt: skip
def test_numbered_objects_are_one_class(tmp_path: Path, write: Write, dtype: Any) -> None:
    folder = folder_of(tmp_path, [numbered(n, 8 + 5 * n, dtype) for n in range(4)], write)
    found = check(folder)
    assert str(found.legend) == "0 background, 1 foreground" and not found.problems
    assert found.notes == [
        "the masks number objects, up to 23 in one; all of them are taken for one class, the foreground; if the values "
        "are classes, name them in classes.txt, lines of VALUE NAME"
    ]
    mask = read_mask(found.items[0].pair.mask)
    assert np.array_equal(mask, numbered(0, 8, np.uint8) > 0)
    assert found.items[0].counts == {0: int((mask == 0).sum()), 1: int(mask.sum())}


def test_numbered_objects_can_be_named_and_are_remembered(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", [numbered(n, 2, np.uint8) for n in range(4)])  # too few to be told
    assert str(check(folder).legend) == "0 background, 1 class 1, 2 class 2"
    (folder / "classes.txt").write_text("0 ground\n* cell\n")
    found = check(folder)
    assert str(found.legend) == "0 ground, 1 cell" and not said(found)
    assert np.array_equal(read_mask(found.items[1].pair.mask), numbered(1, 2, np.uint8) > 0)
    train(folder, tmp_path / "run", QUICK)
    card = segmentation.load(tmp_path / "run")[1]
    assert card.legend == found.legend and card.objects
    other = folder_of(tmp_path / "other", [numbered(n, 3, np.uint8) for n in range(2)])
    assert [sorted(item.counts) for item in check(other, legend=card.legend).items] == [[0, 1], [0, 1]]


def test_a_table_of_colours_beside_masks_of_values(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [drawn(n) for n in range(3)])
    (folder / "classes.csv").write_text("ground,0,0,0\nfirst,255,0,0\nsecond,0,0,255\n")
    found = check(folder)
    assert str(found.legend) == "0 ground, 1 first, 2 second" and not said(found)
    assert np.array_equal(read_mask(found.items[2].pair.mask), drawn(2))


def test_numbers_beyond_16_bits(tmp_path: Path) -> None:
    whole = [numbered(n, 20, np.int64) for n in range(3)]
    masks = [np.where(mask, mask + 70_000 * n, 0) for n, mask in enumerate(whole, 1)]
    assert str(check(folder_of(tmp_path / "a", masks, tiff)).legend) == "0 background, 1 foreground"
    grid = np.arange(1, 401).reshape(20, 20).repeat(3, axis=0).repeat(3, axis=1)
    assert str(check(folder_of(tmp_path / "b", [grid, grid], tiff)).legend) == "0 background, 1 foreground"
    scattered = [np.where(mask, mask % 6 + 70_000, 0) for mask in whole]
    found = check(folder_of(tmp_path / "c", scattered, tiff))
    assert "a0.tif: has the value 70005; the values of classes end at 65535" in said(found)


def test_classes_are_not_taken_for_objects(tmp_path: Path) -> None:
    found = check(folder_of(tmp_path / "a", [drawn(n) for n in range(3)]))
    assert str(found.legend) == "0 background, 1 class 1, 2 class 2" and not found.notes
    scattered = [numbered(n, 14, np.uint8) % (6 + n % 2) for n in range(4)]  # each in several places
    assert "number objects" not in said(check(folder_of(tmp_path / "b", scattered)))
    folder = folder_of(tmp_path / "c", [numbered(n, 8 + n, np.uint8) for n in range(3)])
    (folder / "classes.txt").write_text("".join(f"{value} c{value}\n" for value in range(11)))
    legend = check(folder).legend
    assert legend is not None and len(legend.names) == 11


# names


@pytest.mark.parametrize(("one", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_written_in_either_way(tmp_path: Path, one: Any, other: Any) -> None:
    folder = folder_of(tmp_path, [drawn(0)])
    (folder / "images" / "a0.png").rename(folder / "images" / f"{normalize(one, 'Übung é')}.png")
    (folder / "masks" / "a0.png").rename(folder / "masks" / f"{normalize(other, 'Übung é')}_mask.png")
    assert len(find_pairs(folder).pairs) == 1 and not find_pairs(folder).problems
    (folder / "pairs.csv").write_text(
        f"images/{normalize(other, 'Übung é')}.png,masks/{normalize(one, 'Übung é')}_mask.png\n"
    )
    assert len(find_pairs(folder).pairs) == 1 and not find_pairs(folder).problems


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lists_from_other_machines(tmp_path: Path, encoding: str, delimiter: str) -> None:
    folder = folder_of(tmp_path, [drawn(n) for n in range(3)])
    rows = [("image", "mask"), (r"images\a0.png", r".\masks\a0.png"), ("", ""), ("images/a1.png", " masks/a1.png ")]
    (folder / "pairs.csv").write_text("".join(delimiter.join(row) + "\r\n" for row in rows), encoding=encoding)
    listing = find_pairs(folder)
    assert [(p.image.name, p.mask_file.name) for p in listing.pairs] == [("a0.png", "a0.png"), ("a1.png", "a1.png")]
    assert not listing.problems


def test_text_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes("0 Grund\n1 Straße\n".encode("utf-16"))
    assert read_legend(tmp_path / "classes.txt").names == ("Grund", "Straße")
    (tmp_path / "classes.txt").write_bytes("0 Grund\n1 Straße\n".encode("cp1252"))
    with pytest.raises(errors.TconvError, match=r"classes\.txt is no UTF-8 text; save it as such"):
        read_legend(tmp_path / "classes.txt")
    (tmp_path / "classes.txt").write_text("0 ground\n1 red\x1b[31m\n")
    assert read_legend(tmp_path / "classes.txt").names[1] == r"red\x1b[31m"


def test_one_name_for_two_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [drawn(0), drawn(1)])
    Image.new("RGB", SHAPE[::-1]).save(folder / "images" / "a0.jpg")
    problems = find_pairs(folder).problems
    assert [str(problem) for problem in problems] == [
        f"{folder}/images/a0.jpg: shares its name with a0.png; rename all but one, and their masks",
        f"{folder}/images/a0.png: shares its name with a0.jpg; rename all but one, and their masks",
    ]


def test_images_turned_by_their_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    folder = folder_of(tmp_path, [drawn(0), drawn(1)])
    pixels = np.random.default_rng(5).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images" / "a0.png", exif=exif)
    assert said(check(folder)) == (
        "1 images are turned by their EXIF, and their masks have none; look at the contact sheet whether they fit: "
        "check-data DIR -o sheet.png (a0.png)"
    )
    Image.fromarray(drawn(0)).save(folder / "masks" / "a0.png", exif=exif)
    assert not said(check(folder))
    assert np.array_equal(read_mask(check(folder).items[0].pair.mask), drawn(0)[::-1, ::-1])
    exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / "images" / "a0.png", exif=exif)
    Image.fromarray(drawn(0)).save(folder / "masks" / "a0.png")
    assert (
        "a0.png is 32 x 40 and its mask, in a0.png, 40 x 32; its orientation in the EXIF was applied; they must be "
        "equal: turn the mask likewise, as it fits the image as it is stored and not as it is shown"
    ) in said(check(folder))


# labelme


def shape(label: str, points: Any, kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}} | more


def labelme(folder: Path, name: str, shapes: list[Any], **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"{name}.jpg")
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None,
               "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(content | more))


BOX = [[5.0, 4.0], [15.0, 4.0], [15.0, 12.0], [5.0, 12.0]]


def painted(rows: int, columns: int) -> str:
    written = BytesIO()
    Image.fromarray(np.full((rows, columns), 255, np.uint8)).save(written, format="PNG")
    return base64.b64encode(written.getvalue()).decode()


@pytest.mark.parametrize("made", [
    shape("cat", BOX), shape("cat", [[5, 4], [15, 12]], "rectangle"),
    shape("cat", [[5, 4], [14, 11]], "mask", mask=painted(8, 10)),
], ids=["polygon", "rectangle", "mask"])  # fmt: skip
def test_shapes_of_labelme(tmp_path: Path, made: Any) -> None:
    labelme(tmp_path, "one", [made, shape("__ignore__", [[20, 20], [30, 20], [30, 30], [20, 30]])])
    labelme(tmp_path, "two", [shape("ant", BOX), shape("_background_", [[5, 4], [10, 4], [10, 12], [5, 12]])],
            imagePath=r"C:\photos\two.jpg")  # fmt: skip
    found = check(tmp_path)
    assert not found.problems and str(found.legend) == "0 background, 1 ant, 2 cat, 255 ignored"
    one, two = (read_mask(item.pair.mask) for item in found.items)
    expected = np.zeros(SHAPE, np.uint8)
    expected[4:12, 5:15], expected[20:30, 20:30] = 2, 255
    assert np.array_equal(one, expected)
    assert (two == 1).sum() == 8 * 5 and (two[4:12, 10:15] == 1).all()


def test_a_circle_of_labelme(tmp_path: Path) -> None:
    labelme(tmp_path, "one", [shape("cat", [[20, 16], [28, 16]], "circle")])
    mask = read_mask(check(tmp_path).items[0].pair.mask)
    assert abs(int(mask.sum()) - np.pi * 64) < 8 and mask[16, 20] == 1 and mask[16, 29] == 0


@pytest.mark.parametrize(("made", "message"), [
    (shape("cat", [[1, 1], [5, 5]], "line"),
     "shape 0 (cat) has the type 'line', which has no area; draw a polygon around what is meant; the image is "
     "left out"),
    (shape("", BOX), "shape 0 () has no label; give it one"),
    (shape("cat", [[1, 1], [5, 5]]), "shape 0 (cat) has a polygon of 2 points; give at least 3, or remove it; the "
     "image is left out"),
    (shape("cat", "abc"), "shape 0 (cat) has points that are no pairs of numbers; draw it again; the image is "
     "left out"),
    (shape("cat", [[1, 1]], "circle"), "shape 0 (cat) has 1 points, and a circle has two; draw it again; the image is "
     "left out"),
    (shape("cat", [[5, 4], [14, 11]], "mask", mask="?"), "shape 0 (cat) has a painted mask that cannot be read; "
     "paint it again; the image is left out"),
    (shape("cat", [[35, 4], [44, 11]], "mask", mask=painted(8, 10)), "shape 0 (cat) has a painted mask that reaches "
     "beyond the image; paint it again; the image is left out"),
])  # fmt: skip
def test_faults_of_labelme(tmp_path: Path, made: Any, message: str) -> None:
    labelme(tmp_path, "one", [made])
    labelme(tmp_path, "two", [shape("cat", BOX)])
    found = check(tmp_path)
    assert [str(problem) for problem in found.problems] == [f"{tmp_path}/one.json: {message}"]
    assert [item.pair.name for item in found.items] == ["two"]


def test_files_of_labelme_that_are_broken(tmp_path: Path) -> None:
    labelme(tmp_path, "two", [shape("cat", BOX)])
    three: Any = 3
    labelme(tmp_path, "a", three)
    labelme(tmp_path, "b", [], imageHeight=0)
    labelme(tmp_path, "c", [], imagePath="../x.jpg")
    (tmp_path / "c.jpg").rename(tmp_path / "other.jpg")
    (tmp_path / "d.json").write_text('{"shapes": [')
    text = said(check(tmp_path))
    for message in (
        "a.json has no list of shapes; save it again in labelme",
        "b.json has imageHeight 0 and imageWidth 40; write those of the image",
        "c.json is of the image x.jpg, which is not there; put it beside the file",
        "d.json is no JSON (",
        "images without a file of labelme, which are left out: 1",
    ):
        assert message in text, message
