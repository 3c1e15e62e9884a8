"""Which mask belongs to which image, in the folder layouts that people have."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tconv import errors
from tconv.segmentation.data.pixels import SUFFIXES, shown

LIST = "pairs.csv"
LAYOUTS = (
    ("images", "masks"),
    ("imgs", "masks"),
    ("train", "train_masks"),  # Carvana
    ("JPEGImages", "SegmentationClass"),  # Pascal VOC
    ("images", "annotations/trimaps"),  # Oxford pets
    ("images", "labels"),
    ("images", "annotations"),
)
ENDINGS = ("", "_mask", "-mask", "_masks", "_label", "_labels", "_gt", "_seg")  # what a mask's name may add


@dataclass(frozen=True)
class Pair:
    """An image and its mask; `name` is the image's, without suffix."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and what to do."""

    path: Path
    message: str

    def __str__(self) -> str:
        return self.message if shown(self.path) in self.message else f"{shown(self.path)}: {self.message}"


def find_pairs(folder: Path) -> tuple[list[Pair], list[Problem]]:
    """All pairs of a data folder, by name, and every image or mask without a partner.

    `pairs.csv`, with a line IMAGE,MASK per pair, goes before folders named as in `LAYOUTS`.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        TconvError: the folder has no layout that is known.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{shown(folder)}: there is no such folder")
    if not folder.is_dir():
        raise NotADirectoryError(f"{shown(folder)} is no folder; give one that holds images/ and masks/")
    if (folder / LIST).exists():
        return _listed(folder)
    for images, masks in LAYOUTS:
        if (folder / images).is_dir() and (folder / masks).is_dir():
            return match(pictures(folder / images), pictures(folder / masks))
    raise errors.TconvError(
        f"{shown(folder)} holds no images/ and masks/ (nor {LIST}, imgs/ and masks/, train/ and train_masks/, "
        f"JPEGImages/ and SegmentationClass/, images/ and annotations/trimaps/); create one of these"
    )


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name; hidden files, folders and other files are left out."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())
    return sorted(found)


def match(images: Iterable[Path], masks: Iterable[Path]) -> tuple[list[Pair], list[Problem]]:
    """Pair by the whole stem, to which a mask may add one of `ENDINGS`."""
    by_stem: dict[str, list[Path]] = {}
    for mask in masks:
        by_stem.setdefault(mask.stem, []).append(mask)
    pairs, problems, used = [], [], set()
    for image in images:
        names = [image.stem + ending for ending in ENDINGS if image.stem + ending in by_stem]
        candidates = [mask for name in names for mask in by_stem[name]]
        used.update(candidates)
        if len(candidates) == 1:
            pairs.append(Pair(image.stem, image, candidates[0]))
        elif candidates:
            problems.append(Problem(image, f"has {len(candidates)} masks ({_names(candidates)}); keep one"))
        else:
            close = get_close_matches(image.stem, by_stem, n=1)
            meant = f", unless it is {shown(by_stem[close[0]][0].name)} under another name" if close else ""
            problems.append(Problem(image, f"has no mask; add {shown(image.stem)}.png to the masks{meant}"))
    alone = sorted({mask for masks in by_stem.values() for mask in masks} - used)
    problems += [Problem(mask, "is a mask without image; add the image, or remove the mask") for mask in alone]
    return _unique(pairs, problems)


def _unique(pairs: list[Pair], problems: list[Problem]) -> tuple[list[Pair], list[Problem]]:
    """Without images of one name, whose predictions would overwrite one another."""
    count = Counter(pair.name for pair in pairs)
    shared = [pair for pair in pairs if count[pair.name] > 1]
    problems += [Problem(p.image, "shares its name with another image; rename one and its mask") for p in shared]
    return [pair for pair in pairs if count[pair.name] == 1], problems


def _listed(folder: Path) -> tuple[list[Pair], list[Problem]]:
    pairs, problems = [], []
    with (folder / LIST).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row or (number == 1 and not (folder / row[0]).exists() and Path(row[0]).suffix == ""):
                continue  # an empty line, or a heading
            if len(row) < 2:
                problems.append(Problem(folder / LIST, f"line {number} names no mask; write IMAGE,MASK"))
                continue
            pair = Pair(Path(row[0]).stem, folder / row[0].strip(), folder / row[1].strip())
            missing = [path for path in (pair.image, pair.mask) if not path.is_file()]
            problems += [Problem(path, f"is listed in {LIST}, line {number}, and does not exist") for path in missing]
            if not missing:
                pairs.append(pair)
    return _unique(pairs, problems)


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(shown(path.name) for path in paths)
