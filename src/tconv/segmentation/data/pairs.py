"""Which mask belongs to which image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from tconv.segmentation.data.masks import Legend
from tconv.segmentation.data.outlines import Outlines
from tconv.segmentation.data.pixels import SUFFIXES, shown

ENDINGS = ("", "_mask", "-mask", "_masks", "_label", "_labels", "_gt", "_seg")  # what a mask's name may add


@dataclass(frozen=True)
class Pair:
    """An image and its mask, a file or outlines in one; `name` is the image's, without suffix."""

    name: str
    image: Path
    mask: Path | Outlines

    @property
    def mask_file(self) -> Path:
        """The file that holds the mask."""
        return self.mask.path if isinstance(self.mask, Outlines) else self.mask


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and what to do."""

    path: Path
    message: str

    def __str__(self) -> str:
        return self.message if shown(self.path) in self.message else f"{shown(self.path)}: {self.message}"


@dataclass
class Listing:
    """What lies in a data folder, before any image or mask is read.

    Attributes:
        pairs: by name.
        problems: files without partner, and what else is wrong.
        notes: what one should know.
        legend: which value means which class, where the layout says so.
    """

    pairs: list[Pair]
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)
    legend: Legend | None = None


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name; hidden files, folders and other files are left out."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())
    return sorted(found)


def match(images: Iterable[Path], masks: Iterable[Path], all_masked: bool = True) -> Listing:
    """Pair by the whole stem, to which a mask may add one of `ENDINGS`.

    Args:
        images, masks: files.
        all_masked: whether an image without mask is a problem; else it is noted.
    """
    by_stem: dict[str, list[Path]] = {}
    for mask in masks:
        by_stem.setdefault(mask.stem, []).append(mask)
    pairs, problems, used, bare = [], [], set(), 0
    for image in images:
        names = [image.stem + ending for ending in ENDINGS if image.stem + ending in by_stem]
        candidates = [mask for name in names for mask in by_stem[name]]
        used.update(candidates)
        if len(candidates) == 1:
            pairs.append(Pair(image.stem, image, candidates[0]))
        elif candidates:
            problems.append(Problem(image, f"has {len(candidates)} masks ({_names(candidates)}); keep one"))
        elif all_masked:
            close = get_close_matches(image.stem, by_stem, n=1)
            meant = f", unless it is {shown(by_stem[close[0]][0].name)} under another name" if close else ""
            problems.append(Problem(image, f"has no mask; add {shown(image.stem)}.png to the masks{meant}"))
        else:
            bare += 1
    alone = sorted({mask for masks in by_stem.values() for mask in masks} - used)
    problems += [Problem(mask, "is a mask without image; add the image, or remove the mask") for mask in alone]
    listing = unique(pairs, problems)
    if bare:
        listing.notes.append(f"images without a mask, which are left out, as usual in this layout: {bare}")
    return listing


def unique(pairs: list[Pair], problems: list[Problem]) -> Listing:
    """Without images of one name, whose predictions would overwrite one another."""
    count = Counter(pair.name for pair in pairs)
    shared = [pair for pair in pairs if count[pair.name] > 1]
    wrong = [Problem(p.image, "shares its name with another image; rename one and its mask") for p in shared]
    return Listing([pair for pair in pairs if count[pair.name] == 1], problems + wrong)


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(shown(path.name) for path in paths)
