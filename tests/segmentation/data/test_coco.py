"""COCO files: outlines have the pixels that COCO counts, people's layouts are found, every fault is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as codes

from tconv import cli, errors
from tconv.segmentation import load
from tconv.segmentation.data.check import check
from tconv.segmentation.data.coco import read_coco
from tconv.segmentation.data.gallery import contact_sheet
from tconv.segmentation.data.layouts import find_pairs
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.data.outlines import Outlines, run_lengths
from tconv.segmentation.train import Settings, train

SHAPE = (30, 40)
BOX = [5, 4, 15, 4, 15, 12, 5, 12]  # columns 5 to 14, rows 4 to 11
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]


def annotation(number: int, region: Any, image: Any = 1, category: Any = 3, crowd: int = 0) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "segmentation": region, "iscrowd": crowd}


def write(folder: Path, annotations: list[Any], count: int = 2, name: str = "annotations.json",
          images: str = "images", **others: Any) -> Path:  # fmt: skip
    """A COCO folder with photographs of noise, and its file."""
    (folder / images).mkdir(parents=True, exist_ok=True)
    entries = []
    for n in range(1, count + 1):
        pixels = np.random.default_rng(n).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / images / f"{n}.png")
        entries.append({"id": n, "file_name": f"{n}.png", "height": SHAPE[0], "width": SHAPE[1]})
    content = {"images": entries, "annotations": annotations, "categories": CATEGORIES} | others
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder / name


def box(value: int = 1, rows: slice = slice(4, 12), columns: slice = slice(5, 15)) -> Any:
    mask = np.zeros(SHAPE, np.uint8)
    mask[rows, columns] = value
    return mask


def compressed(mask: Any) -> str:
    text: bytes = codes.encode(np.asfortranarray(mask))["counts"]
    return text.decode()


# outlines


@pytest.mark.parametrize("form", ["polygon", "flat polygon", "two polygons", "list", "string"])
def test_every_form_of_a_region(tmp_path: Path, form: str) -> None:
    columns = box().T.ravel()
    lengths = np.diff(np.concatenate(([0], np.flatnonzero(np.diff(columns)) + 1, [columns.size]))).tolist()
    region: Any = {
        "polygon": [BOX],
        "flat polygon": BOX,
        "two polygons": [[5, 4, 9, 4, 9, 12, 5, 12], [9, 4, 15, 4, 15, 12, 9, 12]],
        "list": {"size": list(SHAPE), "counts": lengths},
        "string": {"size": list(SHAPE), "counts": compressed(box())},
    }[form]
    write(tmp_path, [annotation(1, region, category=18)])
    found = check(tmp_path)
    assert not found.problems and str(found.legend) == "0 background, 1 car, 2 dog"
    assert np.array_equal(read_mask(found.items[0].pair.mask), box(2))
    assert found.items[1].counts == {0: 1200}  # an image without annotation is all background


def test_strings_are_read_as_pycocotools_writes_them() -> None:
    rng = np.random.default_rng(0)
    for height, width, share in ((1, 1, 0.5), (7, 3, 0.5), (200, 300, 0.001), (300, 200, 0.4), (640, 480, 0.0)):
        mask = (rng.random((height, width)) < share).astype(np.uint8)
        region = {"size": [height, width], "counts": compressed(mask)}
        runs, _ = run_lengths(region, (height, width))
        assert np.array_equal(Outlines(Path(), (height, width), ((1, runs),)).draw(), mask)


def test_later_regions_lie_on_earlier_ones_and_crowds_below(tmp_path: Path) -> None:
    crowd = {"size": list(SHAPE), "counts": compressed(box(1, slice(0, 30), slice(0, 20)))}
    over = [10, 4, 20, 4, 20, 12, 10, 12]
    write(
        tmp_path, [annotation(1, [BOX]), annotation(2, [over], category=18), annotation(3, crowd, category=18, crowd=1)]
    )
    found = check(tmp_path)
    expected = box(2, slice(0, 30), slice(0, 20))
    expected[4:12, 5:10] = 1
    assert np.array_equal(read_mask(found.items[0].pair.mask), expected)
    assert found.notes == [
        "outlines of different classes overlap in 1 of 2 masks, on 1.67% of all pixels; crowds lie below, and later "
        "annotations on earlier ones"
    ]


def test_a_little_beyond_the_image_is_cut(tmp_path: Path) -> None:
    write(tmp_path, [annotation(1, [[30, 4, 44, 4, 44, 12, 30, 12]]), annotation(2, [[-0.5, 0, 5, 0, 5, 5]], image=2)])
    found = check(tmp_path)
    assert np.array_equal(read_mask(found.items[0].pair.mask), box(1, columns=slice(30, 40)))
    assert (
        found.notes[0] == "polygons that reach beyond their image: 1, annotation 1 of 1.png by 4 pixels; they are cut"
    )


# layouts and classes


@pytest.mark.parametrize(("name", "images"), [
    ("annotations.json", "images"), ("annotations/instances_default.json", "images"),
    ("annotations/instances_val2017.json", "val2017"), ("annotations/instances_val2017.json", "images/val2017"),
    ("_annotations.coco.json", "."), ("labels.json", "data"), ("result.json", "images"),
])  # fmt: skip
def test_where_files_lie(tmp_path: Path, name: str, images: str) -> None:
    path = write(tmp_path, [annotation(1, [BOX])], name=name, images=images)
    for listing in (find_pairs(tmp_path), find_pairs(path)):
        assert [pair.name for pair in listing.pairs] == ["1", "2"] and not listing.problems


def test_masks_that_were_drawn_go_first(tmp_path: Path) -> None:
    write(tmp_path, [annotation(1, [BOX])])
    (tmp_path / "masks").mkdir()
    assert find_pairs(tmp_path).legend is not None
    for n in (1, 2):
        Image.fromarray(box()).save(tmp_path / "masks" / f"{n}.png")
    assert [pair.mask_file.name for pair in find_pairs(tmp_path).pairs] == ["1.png", "2.png"]


def test_names_from_another_machine(tmp_path: Path) -> None:
    images = [
        {"id": "a", "file_name": r"C:\data\1.png", "height": 30, "width": 40},
        {"id": "b", "file_name": "/home/me/2.png", "height": 30, "width": 40},
    ]
    write(tmp_path, [annotation(1, [BOX], image="a")], images=".", **{"categories": CATEGORIES})
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": images}))
    listing = find_pairs(tmp_path)
    assert [pair.image.name for pair in listing.pairs] == ["1.png", "2.png"] and not listing.problems


def test_which_of_two_files(tmp_path: Path) -> None:
    first = write(tmp_path, [annotation(1, [BOX])], count=3, name="annotations/instances_train.json")
    second = write(tmp_path, [annotation(1, [BOX])], count=2, name="annotations/instances_val.json")
    with pytest.raises(errors.TconvError) as raised:
        check(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path} holds 2 COCO files (annotations/instances_train.json, annotations/instances_val.json); give the "
        f"one you mean, as in {first}"
    )
    assert not find_pairs(second).problems  # 3.png is in the other one
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "4.png")
    assert [str(problem) for problem in find_pairs(second).problems] == [
        f"{tmp_path}/images/4.png: is not in instances_val.json; annotate it, or remove it"
    ]


def test_a_folder_of_splits(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write(tmp_path / split, [annotation(1, [BOX])], name="_annotations.coco.json", images=".")
    with pytest.raises(errors.TconvError, match="but these in it do: train, valid; give one of them"):
        check(tmp_path)


@pytest.mark.parametrize(("categories", "said"), [
    ([{"id": 0, "name": "fish", "supercategory": "none"}, {"id": 3, "name": "pike", "supercategory": "fish"}],
     "0 background, 1 pike"),
    ([{"id": 0, "name": "car", "supercategory": "none"}, {"id": 3, "name": "car", "supercategory": "car"}],
     "0 background, 1 car"),
    ([{"id": 3, "name": "animal"}, {"id": 5, "name": "cat", "supercategory": "animal"}],
     "0 background, 1 animal, 2 cat"),
    ([{"id": 0, "name": "_background_"}, {"id": 3, "name": "leaf"}], "0 background, 1 leaf"),
])  # fmt: skip
def test_classes(tmp_path: Path, categories: list[Any], said: str) -> None:
    write(tmp_path, [annotation(1, [BOX])], categories=categories)
    assert str(check(tmp_path).legend) == said


def test_classes_can_be_renamed_and_ignored(tmp_path: Path) -> None:
    write(tmp_path, [annotation(1, [BOX]), annotation(2, [BOX], image=2, category=18)])
    (tmp_path / "classes.txt").write_text("0 ground\n1 vehicle\n2 ignore\n")
    assert str(check(tmp_path).legend) == "0 ground, 1 vehicle, 2 ignored"


# faults


FAULTS: list[tuple[Any, str]] = [
    ([[1, 2, 3, 4]], "a polygon of 2 points; give at least 3, or remove it"),
    ([[1, 2, 3, 4, 5]], "a polygon of 5 coordinates; there must be an x and a y per point"),
    ([[1, 2, 3, 4, 5, None]], "a polygon that is no list of usable numbers; correct it"),
    ([[1, 2, 3, 4, 5, float("nan")]], "a polygon that is no list of usable numbers; correct it"),
    ([[1, 2, 3, 4, 5, 10**400]], "a polygon that is no list of usable numbers; correct it"),
    ([BOX, "x"], "a polygon that is no list of usable numbers; correct it"),
    ([[41, 1, 50, 1, 50, 9]], "a polygon outside the image, 10 pixels beyond 40 x 30; correct its points, or the size"),
    ([[1, 1, 2e8, 1, 2, 3e8]], "a polygon outside the image, 299999970 pixels beyond 40 x 30; correct its points, or"),
    ([], "no outline; draw one, or remove it"),
    (None, "no outline; draw one, or remove it"),
    ("polygon", "no outline; draw one, or remove it"),
    ({"size": [40, 30], "counts": [1200]}, "run lengths for the size [40, 30]; it must be [30, 40], height and width"),
    ({"size": [30, 40], "counts": [0, 1199]}, "run lengths that do not add up to the image; export it again"),
    ({"size": [30, 40], "counts": [1300, -100]}, "run lengths that do not add up to the image; export it again"),
    ({"size": [30, 40]}, "run lengths that do not add up to the image; export it again"),
    ({"size": [30, 40], "counts": "PPPP"}, "run lengths with characters that are none; export it again"),
    ({"size": [30, 40], "counts": "\u00e9"}, "run lengths with characters that are none; export it again"),
    ({"size": [30, 40], "counts": "05"}, "run lengths that do not add up to the image; export it again"),
]  # fmt: skip


@pytest.mark.parametrize(("region", "message"), FAULTS, ids=[message[:40] for _, message in FAULTS])
def test_regions_that_cannot_be(tmp_path: Path, region: Any, message: str) -> None:
    write(tmp_path, [annotation(1, [BOX], image=2), annotation(7, region), annotation(8, [BOX])])
    found = check(tmp_path)
    said = str(found.problems[0])
    assert said.startswith(f"{tmp_path}/annotations.json: annotation 7 of 1.png has {message}"), said
    assert said.endswith("; the image is left out") and len(found.problems) == 1
    assert [item.pair.name for item in found.items] == ["2"]


def test_every_fault_of_the_lists_is_reported_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, [
        annotation(1, [BOX]), annotation(2, [BOX], image=99), annotation(3, [BOX], image=2, category=5),
        annotation(4, [BOX], image=[]),
    ], count=5)  # fmt: skip
    content = json.loads(path.read_text())
    content["images"][2]["file_name"] = "gone.png"
    content["images"][3]["width"] = None
    content["images"][4]["width"], content["images"][4]["height"] = 30, 40
    content["images"] += [{"id": 1, "file_name": "twice.png"}, {"id": 8, "file_name": None}]
    path.write_text(json.dumps(content))
    found = check(tmp_path)
    assert [item.pair.name for item in found.items] == ["1"]
    assert sorted(str(problem).removeprefix(f"{tmp_path}/") for problem in found.problems) == [
        "annotations.json: annotation 2 is of image 99, which is not in the list of images; add it there, or remove "
        "the annotation",
        "annotations.json: annotation 3 of 2.png has the category 5, which is not in the list; correct it; the image "
        "is left out",
        "annotations.json: annotation 4 has the image_id [] and the category_id 3; each must be an id",
        "annotations.json: image 1 (twice.png) must have a name and an id of its own",
        "annotations.json: image 8 (None) must have a name and an id of its own",
        "images/3.png: is not in annotations.json; annotate it, or remove it",
        "images/4.png: has height 30 and width None in annotations.json; write those of the image",
        "images/5.png is 40 x 30 and its mask, in annotations.json, 30 x 40; they must be equal: export the mask again",
        "images/gone.png: is listed in annotations.json and does not exist; copy it there, or remove its entry",
    ]


def changed(**parts: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | parts))


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("cut", lambda p: p.write_text(p.read_text()[:200]), r"is damaged \(.*\); copy or export it again"),
    ("empty", lambda p: p.write_text(""), r"is damaged \(.*\); copy or export it again"),
    ("binary", lambda p: p.write_bytes(b"\xff\xfe\x00\x01\xd8"), r"is damaged \(.*\); copy or export it again"),
    ("deep", lambda p: p.write_text("[" * 100_000), r"is damaged \(.*\); copy or export it again"),
    ("list", lambda p: p.write_text("[1, 2]"), "has no list of images, so it is not COCO's instances; export it as"),
    ("captions", changed(categories=None), "has no list of categories, so it is not COCO's instances; export it as"),
    ("empty list", changed(annotations=[]), "has no list of annotations, so it is not COCO's instances; export it as"),
    ("boxes", changed(annotations=[annotation(1, [])]), "has boxes at most, and no outlines; export it with polygons"),
    ("category ids", changed(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]),
     "must give each category a name and an id of its own, a whole number"),
    ("too many", changed(categories=[{"id": n, "name": f"c{n}"} for n in range(300)]),
     "has 300 classes; there must be 1 to 254"),
    ("no image", changed(images=[{"id": 1, "file_name": "x.jpg", "height": 3, "width": 3}]),
     r"lists 1 images, the first x\.jpg, and none is in .*, .*/images; put them there"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_files_that_are_broken(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = write(tmp_path, [annotation(1, [BOX])])
    damage(path)
    with pytest.raises(errors.TconvError, match=r"annotations\.json " + message):
        read_coco(path)


# as data


def test_a_training_on_a_coco_folder(tmp_path: Path) -> None:
    coco = tmp_path / "coco"
    write(coco, [annotation(n, [BOX], image=n, category=18 if n % 2 else 3) for n in range(1, 7)], count=6)
    result = train(coco, tmp_path / "run", Settings(epochs=1, features=(4, 8), size=32, batch=2))
    found = check(coco)
    assert result.card.classes == ("background", "car", "dog") and not found.problems
    assert load(tmp_path / "run")[1].values == (0, 1, 2)
    assert np.asarray(contact_sheet(found, title="coco")).std() > 10


def test_a_model_is_not_measured_on_other_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = tmp_path / "coco"
    path = write(coco, [annotation(n, [BOX], image=n) for n in (1, 2)])
    train(coco, tmp_path / "run", Settings(epochs=1, features=(4, 8), size=32, batch=2, held_out=0.5))
    assert cli.run(["segment", "eval", str(tmp_path / "run"), str(path)]) == 0
    path.write_text(path.read_text().replace('"dog"', '"cat"'))
    with pytest.raises(SystemExit):
        cli.run(["segment", "eval", str(tmp_path / "run"), str(coco)])
    assert capsys.readouterr().err == (
        f"tconv: {coco} calls the value 2 cat, and the model dog; write classes.txt alike\n"
    )
