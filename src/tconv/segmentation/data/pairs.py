"""Which mask belongs to which image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from unicodedata import normalize

from tconv.arrays import Array
from tconv.errors import ImageFileError
from tconv.names import printable, shown
from tconv.segmentation.data.legend import Legend
from tconv.segmentation.data.masks import Mask, Stored, file_of, read_mask, resolved
from tconv.segmentation.data.pictures import is_tiff
from tconv.segmentation.data.pixels import SUFFIXES, Raster, read_raster
from tconv.segmentation.data.tiff import KNOWN, count_pages

ENDINGS = (
    "", "_mask", "-mask", "_masks", "_label", "_labels", "-label", "-labels", "_gt", "_seg", "-labelled", "_labelled",
    "_cp_masks", "_annotation", "_segmentation",
)  # fmt: skip
"""What a mask's name may add to that of its image; some are those of Cellpose, QuPath and Carvana."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Attributes:
        name: the image's, without suffix.
        image: its file.
        mask: a file, or something that is drawn from one.
        axes: what the axes of a TIFF are, if that was said.
        page: which picture of a TIFF of several.
    """

    name: str
    image: Path
    mask: Mask
    axes: str = ""
    page: int = 0

    @property
    def mask_file(self) -> Path:
        """The file that holds the mask."""
        return file_of(self.mask)

    def raster(self) -> Raster:
        """The image, read."""
        return read_raster(self.image, self.axes, self.page)

    def stored(self) -> Stored:
        """The mask, read; pages of it go with those of the image, and never are channels."""
        return resolved(self.mask, self._mask_axes, self.page)

    def values(self) -> Array:
        """The values of the mask, (height, width), uint8 or uint16."""
        return read_mask(self.mask, self._mask_axes, self.page)

    @property
    def _mask_axes(self) -> str:
        axes = self.axes.upper()
        return axes.replace("C", "") if set(axes) - set(KNOWN) else ""

    def pages(self) -> list[Pair]:
        """A pair for each picture of a TIFF of several.

        Raises:
            ImageFileError: image and mask have not as many.
        """
        count = count_pages(self.image, self.axes) if is_tiff(self.image) else 1
        if count == 1:
            return [self]
        masks = count_pages(self.mask_file, self._mask_axes) if is_tiff(self.mask_file) else 1
        if masks != count:
            raise ImageFileError(
                f"{shown(self.image)} holds {count} pictures and its mask, {shown(self.mask_file.name)}, {masks}; "
                f"there must be a mask for each"
            )
        return [replace(self, name=f"{self.name}[{n}]", page=n) for n in range(count)]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and what to do."""

    path: Path
    message: str

    def __str__(self) -> str:
        said = printable(self.message)
        return said if shown(self.path) in said else f"{shown(self.path)}: {said}"


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


def composed(name: str) -> str:
    """A name in which accents are not characters of their own, as macOS writes them."""
    return normalize("NFC", name)


def match(images: Iterable[Path], masks: Iterable[Path], all_masked: bool = True) -> Listing:
    """Pair by the whole stem, to which a mask may add one of `ENDINGS`.

    Args:
        images, masks: files.
        all_masked: whether an image without mask is a problem; else it is noted.
    """
    by_stem: dict[str, list[Path]] = {}
    for mask in masks:
        by_stem.setdefault(composed(mask.stem), []).append(mask)
    pairs, problems, used, bare = [], [], set(), 0
    for image in images:
        stem = composed(image.stem)
        candidates = [mask for ending in ENDINGS for mask in by_stem.get(stem + ending, ())]
        used.update(candidates)
        if len(candidates) == 1:
            pairs.append(Pair(image.stem, image, candidates[0]))
        elif candidates:
            problems.append(Problem(image, f"has {len(candidates)} masks ({_names(candidates)}); keep one"))
        elif all_masked:
            close = get_close_matches(stem, by_stem, n=1)
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
    sharing: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        sharing[composed(pair.name)].append(pair)
    wrong = [
        Problem(pair.image, f"shares its name with {_names(other.image for other in group if other is not pair)}; "
                            f"rename all but one, and their masks")
        for group in sharing.values() if len(group) > 1 for pair in group
    ]  # fmt: skip
    return Listing([group[0] for group in sharing.values() if len(group) == 1], problems + wrong)


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(shown(path.name) for path in paths)
