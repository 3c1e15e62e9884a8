"""COCO: one JSON file lists images, categories and the outlines of what is on the images."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from tconv import errors
from tconv.arrays import Array
from tconv.names import printable, shown
from tconv.segmentation.data.legend import IGNORED, Legend
from tconv.segmentation.data.outlines import Outlines, run_lengths
from tconv.segmentation.data.pairs import Listing, Pair, Problem, composed, pictures, unique
from tconv.segmentation.data.pictures import MOST

NAMES = ("annotations.json", "_annotations.coco.json", "labels.json", "result.json")  # the second is Roboflow's
BACKGROUND = "background"

Entry: TypeAlias = dict[str, Any]  # of a list in the file
Files: TypeAlias = dict[Any, tuple[Path, tuple[int, int]]]  # an image and its (height, width), by its id


def annotation_files(folder: Path) -> list[Path]:
    """The COCO files of a folder, by their names alone."""
    named = [folder / name for name in NAMES if (folder / name).is_file()]
    return named + sorted((folder / "annotations").glob("instances_*.json"))


def read_coco(path: Path) -> Listing:
    """Images and outlines of a COCO file.

    Background is 0 and the categories are 1, 2, ... in the order of their ids. Crowds, which are coarse, lie below;
    later annotations lie on earlier ones. An image with an annotation that cannot be drawn is left out: without it, the
    mask would teach something wrong.

    Raises:
        OSError: it cannot be opened.
        TconvError: damaged, no COCO, without outlines, or none of its images is there.
    """
    images, annotations, categories = _load(path)
    problems: list[Problem] = []
    annotations = _sound(path, annotations, {entry.get("id") for entry in images if _is_id(entry.get("id"))}, problems)
    values, legend = _classes(path, categories, {annotation["category_id"] for annotation in annotations})
    found = _find(path, images, problems)
    regions, notes = _regions(path, annotations, found, values, problems)
    pairs = [
        Pair(file.stem, file, Outlines(path, shape, tuple(regions[number])))
        for number, (file, shape) in found.items()
        if number in regions
    ]
    problems += _unlisted(path, images, {file.parent for file, _ in found.values()})
    listing = unique(sorted(pairs, key=lambda pair: pair.image), problems)
    listing.notes, listing.legend = notes, legend
    return listing


def _load(path: Path) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Images, annotations and categories."""
    try:
        content = json.loads(path.read_bytes())  # in UTF-8, 16 or 32, with or without a mark
    except (ValueError, RecursionError) as error:
        raise errors.TconvError(f"{shown(path)} is damaged ({error}); copy or export it again") from error
    parts = ("images", "annotations", "categories")
    lists: list[Any] = [content.get(name) if isinstance(content, dict) else None for name in parts]
    for name, part in zip(parts, lists, strict=True):
        if not isinstance(part, list) or not part or not all(isinstance(entry, dict) for entry in part):
            raise errors.TconvError(
                f"{shown(path)} has no list of {name}, so it is not COCO's instances; export it as COCO with polygons"
            )
    images, annotations, categories = lists
    if not any(annotation.get("segmentation") for annotation in annotations):
        raise errors.TconvError(f"{shown(path)} has boxes at most, and no outlines; export it with polygons")
    return images, annotations, categories


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and value != ""


def _sound(path: Path, annotations: list[Entry], images: set[Any], problems: list[Problem]) -> list[Entry]:
    """The annotations that say of which image and category they are; the others are problems."""
    sound = []
    for annotation in annotations:
        image, category = annotation.get("image_id"), annotation.get("category_id")
        if not _is_id(image) or not _is_id(category):
            what = f"has the image_id {image} and the category_id {category}; each must be an id"
        elif image not in images:
            what = f"is of image {image}, which is not in the list of images; add it there, or remove the annotation"
        else:
            sound.append(annotation)
            continue
        problems.append(Problem(path, f"annotation {annotation.get('id')} {what}"))
    return sound


def _classes(path: Path, categories: list[Entry], annotated: set[Any]) -> tuple[dict[Any, int], Legend]:
    """The value of each category id, and what the values mean.

    What only groups other categories, as the first one in Roboflow's files does, is no class.
    """
    sound = all(type(category.get("id")) is int and isinstance(category.get("name"), str) for category in categories)
    if not sound or len({category["id"] for category in categories}) < len(categories):
        raise errors.TconvError(f"{shown(path)} must give each category a name and an id of its own, a whole number")
    values, names = dict[Any, int](), [BACKGROUND]
    for category in sorted(categories, key=lambda category: int(category["id"])):
        number, name = category["id"], category["name"]
        groups = any(other.get("supercategory") == name for other in categories if other is not category)
        if name.strip("_").lower() == BACKGROUND:
            values[number] = 0
        elif number in annotated or not groups:
            values[number] = len(names)
            names.append(printable(name))
    if not 1 < len(names) <= IGNORED:
        raise errors.TconvError(f"{shown(path)} has {len(names) - 1} classes; there must be 1 to {IGNORED - 1}")
    return values, Legend(tuple(range(len(names))), tuple(names))


def _find(path: Path, images: list[Entry], problems: list[Problem]) -> Files:
    """The images that are there."""
    places, found, missing = _places(path), Files(), list[str]()
    for entry in images:
        number, name = entry.get("id"), entry.get("file_name")
        size: Any = entry.get("height"), entry.get("width")
        if not _is_id(number) or not isinstance(name, str) or not name or number in found:
            problems.append(Problem(path, f"image {number} ({name}) must have a name and an id of its own"))
            continue
        file = _file(_home(path), places, name)
        if file is None:
            missing.append(name)
        elif not _is_size(*size):
            why = f"has height {size[0]} and width {size[1]} in {shown(path.name)}; write those of the image"
            problems.append(Problem(file, why))
        else:
            found[number] = file, size
    if len(missing) == len(images):
        where = ", ".join(shown(place) for place in places)
        raise errors.TconvError(
            f"{shown(path)} lists {len(missing)} images, the first {missing[0]}, and none is in {where}; put them there"
        )
    place = next(iter(found.values()))[0].parent if found else places[0]
    why = f"is listed in {shown(path.name)} and does not exist; copy it there, or remove its entry"
    problems += [Problem(place / name, why) for name in missing]
    return found


def _is_size(height: Any, width: Any) -> bool:
    whole = all(isinstance(length, int) and length > 0 for length in (height, width))
    return whole and height * width <= MOST  # as for images: more may be a bomb


def _home(path: Path) -> Path:
    """The data folder that a COCO file belongs to."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def _places(path: Path) -> list[Path]:
    """Where the images of a COCO file may lie: beside it, or as people arrange them around `annotations/`."""
    home = _home(path)
    split = path.stem.removeprefix("instances_")
    names = (".", "images", split, f"images/{split}", "data", "JPEGImages")
    return [home / name for name in names if (home / name).is_dir()]


def _file(home: Path, places: list[Path], name: str) -> Path | None:
    """The image with the name, which may have been written on another machine; never one outside the data folder."""
    name = name.replace("\\", "/")
    if "\0" in name:
        return None
    tried = (place / part for part in (name, composed(name), Path(name).name) for place in places)
    return next((file for file in tried if _within(home, file) and file.is_file()), None)


def _within(home: Path, file: Path) -> bool:
    """Whether a path, its dots worked out, lies in a folder; a link that lies there may lead elsewhere."""
    return Path(os.path.abspath(file)).is_relative_to(os.path.abspath(home))


def _regions(
    path: Path, annotations: list[Entry], found: Files, values: dict[Any, int], problems: list[Problem]
) -> tuple[dict[Any, list[tuple[int, Array]]], list[str]]:
    """The regions by image id, without images of which one cannot be drawn; and notes."""
    regions: dict[Any, list[tuple[int, Array]]] = {number: [] for number in found}
    cut: list[tuple[float, str]] = []
    for annotation in sorted(annotations, key=lambda annotation: not annotation.get("iscrowd")):
        number, image, category = (annotation.get(name) for name in ("id", "image_id", "category_id"))
        if image not in found:
            continue
        name = f"annotation {number} of {shown(found[image][0].name)}"
        try:
            if category not in values:
                raise errors.ImageFileError(f"the category {category}, which is not in the list; correct it")
            runs, beyond = run_lengths(annotation.get("segmentation"), found[image][1])
        except errors.ImageFileError as error:
            problems.append(Problem(path, f"{name} has {error}; the image is left out"))
            regions.pop(image, None)
            continue
        if image in regions:
            regions[image].append((values[category], runs))
            cut += [(beyond, name)] if beyond > 1 else []
    if not cut:
        return regions, []
    most, name = max(cut)
    return regions, [f"polygons that reach beyond their image: {len(cut)}, {name} by {most:.0f} pixels; they are cut"]


def _unlisted(path: Path, images: list[Entry], folders: set[Path]) -> list[Problem]:
    """Images that lie among those of the file, and are neither in it nor in another beside it."""
    names = _names(images)
    alone = [file for folder in sorted(folders) for file in pictures(folder) if file.name not in names]
    if alone:
        for other in annotation_files(_home(path)):
            with suppress(errors.TconvError, OSError):
                names |= _names(_load(other)[0])
        alone = [file for file in alone if file.name not in names]
    return [Problem(file, f"is not in {shown(path.name)}; annotate it, or remove it") for file in alone]


def _names(images: list[Entry]) -> set[str]:
    """The images' names without folders."""
    return {str(entry.get("file_name")).replace("\\", "/").rpartition("/")[2] for entry in images}
