"""Every problem of a data folder, found in one pass: nothing is discovered in the middle of a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.data.layouts import find_pairs
from tconv.segmentation.data.masks import Legend, fringe, make_legend, palette_of, read_legend, read_mask
from tconv.segmentation.data.outlines import Outlines
from tconv.segmentation.data.pairs import Pair, Problem
from tconv.segmentation.data.pixels import is_turned, read_image, shown

CLASSES = "classes.txt"
BLURRED = 4  # values that nowhere fill a 2 x 2 square: from so many on, a mask is anti-aliased
RARE = 0.05  # of the masks: a value that only fringes, in no more of them, is a stray

Report = Callable[[int, int], object]


@dataclass(frozen=True)
class Item:
    """A pair that is sound.

    Attributes:
        pair: its files.
        shape: height, width, channels.
        digest: of the image's pixels; equal images have equal ones.
        counts: pixels of each value in the mask.
        contested: pixels that would have another value if outlines lay on one another in the opposite order.
    """

    pair: Pair
    shape: tuple[int, int, int]
    digest: str
    counts: dict[int, int]
    contested: int = 0


@dataclass
class Found:
    """What a data folder holds.

    Attributes:
        items: the sound pairs, by name.
        problems: what is wrong; those files are left out.
        notes: what one should know.
        legend: which value means which class; None where there is no sound pair.
        named: whether the folder says so, by classes.txt or its layout.
    """

    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    legend: Legend | None = None
    named: bool = False

    def balance(self) -> dict[int, int]:
        """Pixels per value over all sound masks."""
        total: Counter[int] = Counter()
        for item in self.items:
            total.update(item.counts)
        return dict(sorted(total.items()))


def check(folder: Path, on_progress: Report | None = None) -> Found:
    """Read every image and mask of a folder once.

    Args:
        folder: in one of the layouts of `pairs`; `classes.txt` in it says which mask values there are.
        on_progress: called after every pair with (done, in all).

    Raises:
        FileNotFoundError, NotADirectoryError, TconvError: the folder as such is none that can be read.
    """
    listing = find_pairs(folder)
    found = Found(problems=listing.problems, notes=listing.notes)
    named = read_legend(folder / CLASSES) if (folder / CLASSES).exists() else listing.legend
    allowed: set[int | None] = {*named.values, named.ignore} if named else set()
    fringes: dict[str, Array] = {}
    palettes: dict[tuple[int, ...] | None, Pair] = {}
    for done, pair in enumerate(listing.pairs, 1):
        try:
            item, edges = _examine(pair, allowed)
        except (errors.TconvError, OSError) as error:
            found.problems.append(Problem(pair.image, str(error)))
        else:
            found.items.append(item)
            fringes[pair.name] = edges
            palettes.setdefault(palette_of(pair.mask), pair)
        if on_progress:
            on_progress(done, len(listing.pairs))
    found.named = named is not None
    if not found.named:
        _strays(found, fringes)
    _palettes(found, palettes)
    if found.items:
        found.legend = named or make_legend(sorted(found.balance()), indices=None not in palettes)
        _notes(found, found.legend)
    return found


def _examine(pair: Pair, allowed: set[int | None]) -> tuple[Item, Array]:
    """The pair as an item, and the values that only fringe others; raises for what is wrong with it."""
    image, mask = read_image(pair.image), read_mask(pair.mask)
    if image.shape[:2] != mask.shape:
        height, width = image.shape[:2]
        turned = "; its orientation in the EXIF was applied" if is_turned(pair.image) else ""
        raise errors.ImageFileError(
            f"{shown(pair.image)} is {width} x {height} and its mask, in {shown(pair.mask_file.name)}, "
            f"{mask.shape[1]} x {mask.shape[0]}{turned}; they must be equal: export the mask again"
        )
    values, edges = fringe(mask)
    stray = sorted(set(values.tolist()) - allowed) if allowed else []
    if not allowed and len(edges) >= BLURRED:
        raise errors.ImageFileError(
            f"{shown(pair.mask_file)} has {len(values)} values, {len(edges)} of which only line others: it is "
            f"anti-aliased or was a JPEG; export it with hard edges as a PNG"
        )
    if stray:
        raise errors.ImageFileError(_stray(pair.mask_file, mask, stray[0], "is none of the named classes"))
    counts = dict(zip(values.tolist(), np.bincount(mask.ravel())[values].tolist(), strict=True))
    digest = blake2b(image.tobytes(), digest_size=12).hexdigest()
    height, width, channels = image.shape
    contested = pair.mask.draw(upside_down=True) != mask if isinstance(pair.mask, Outlines) else np.False_
    return Item(pair, (height, width, channels), digest, counts, int(contested.sum())), edges


def _stray(path: Path, mask: Array, value: int, why: str) -> str:
    row, column = np.argwhere(mask == value)[0]
    count = int((mask == value).sum())
    return (
        f"{shown(path)} has {count} pixels of value {value}, the first in row {row}, column {column}, which {why}; "
        f"correct the mask, or name its classes in {CLASSES}"
    )


def _strays(found: Found, fringes: dict[str, Array]) -> None:
    """Move masks with a value that hardly any mask has, and that nowhere fills a square, to the problems."""
    holders = Counter(value for item in found.items for value in item.counts)
    solid = {value for item in found.items for value in item.counts if value not in fringes[item.pair.name]}
    limit = max(1, RARE * len(found.items))
    strays = {value for value, masks in holders.items() if value not in solid and masks <= limit < len(found.items)}
    for item in [item for item in found.items if strays & item.counts.keys()]:
        value = min(strays & item.counts.keys())
        why = f"is in {holders[value]} of {len(holders) and len(found.items)} masks only"
        path = item.pair.mask_file
        found.items.remove(item)
        found.problems.append(Problem(path, _stray(path, read_mask(path), value, why)))


def _palettes(found: Found, palettes: dict[tuple[int, ...] | None, Pair]) -> None:
    if len(palettes) > 1:
        names = " and ".join(
            f"{shown(pair.mask_file.name)} ({'palette' if p else 'grey'})" for p, pair in palettes.items()
        )
        found.notes.append(
            f"masks have different palettes, or some have none: {names}; the same value may mean different classes"
        )


def _notes(found: Found, legend: Legend) -> None:
    balance, total = found.balance(), sum(found.balance().values())
    absent = [name for value, name in zip(legend.values, legend.names, strict=True) if not balance.get(value)]
    if absent:
        found.notes.append(f"no mask has a pixel of {', '.join(absent)}")
    rare = [
        name
        for value, name in zip(legend.values, legend.names, strict=True)
        if 0 < balance.get(value, 0) < 1e-3 * total
    ]
    if rare:
        found.notes.append(f"less than a thousandth of all pixels is {', '.join(rare)}")
    same: dict[str, list[str]] = {}
    for item in found.items:
        same.setdefault(item.digest, []).append(shown(item.pair.image.name))
    for names in same.values():
        if len(names) > 1:
            found.notes.append(f"equal images: {', '.join(names)}; they stay on one side of the split")
    contested = [item.contested for item in found.items if item.contested]
    if contested:
        found.notes.append(
            f"outlines of different classes overlap in {len(contested)} of {len(found.items)} masks, on "
            f"{sum(contested) / total:.2%} of all pixels; crowds lie below, and later annotations on earlier ones"
        )
    kinds = Counter(item.shape[2] for item in found.items)
    if len(kinds) > 1:
        said = ", ".join(f"{count} with {channels} channels" for channels, count in sorted(kinds.items()))
        found.notes.append(f"images differ: {said}; grey becomes RGB, alpha is dropped")
