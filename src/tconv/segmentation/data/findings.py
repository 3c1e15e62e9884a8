"""What a data folder holds: the sound pairs, what is wrong, and what one should know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tconv.arrays import Array
from tconv.names import shown
from tconv.segmentation.data.instances import Census
from tconv.segmentation.data.legend import Legend
from tconv.segmentation.data.pairs import Pair, Problem

CLASSES = "classes.txt"


@dataclass(frozen=True)
class Item:
    """A pair that is sound.

    Attributes:
        pair: its files.
        shape: height, width, and channels that are measured.
        digest: of the image's pixels; equal images have equal ones.
        counts: pixels of each value in the mask, where the image has numbers.
        contested: pixels that would have another value if outlines lay on one another in the opposite order.
        turned: whether the image is turned by its EXIF and its mask is not.
        alpha: whether the image has an alpha channel, which is left out.
        missing: pixels of the image that are none.
    """

    pair: Pair
    shape: tuple[int, int, int]
    digest: str
    counts: dict[int, int]
    contested: int = 0
    turned: bool = False
    alpha: bool = False
    missing: int = 0


@dataclass
class Found:
    """What a data folder holds.

    Attributes:
        items: the sound pairs, by name.
        problems: what is wrong; those files are left out.
        notes: what one should know.
        legend: which value means which class; None where there is no sound pair.
        named: whether the folder says so, by classes.txt, a colour table or its layout.
        conflict: why nothing can be learned before a person has decided; or "".
    """

    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    legend: Legend | None = None
    named: bool = False
    conflict: str = ""

    def balance(self) -> dict[int, int]:
        """Pixels per value over all sound masks."""
        total: Counter[int] = Counter()
        for item in self.items:
            total.update(item.counts)
        return dict(sorted(total.items()))


@dataclass(frozen=True)
class Seen:
    """A sound pair, and what decides what its mask means.

    Attributes:
        item: the pair, its counts by the values that are stored.
        edges: values that only line others.
        census: what speaks for numbered objects.
        coloured: whether the values are colours.
        palette: of which the values are indices, as colours' codes; or None.
    """

    item: Item
    edges: Array
    census: Census
    coloured: bool = False
    palette: tuple[int, ...] | None = None


def stray_text(path: Path, mask: Array, value: int, why: str) -> str:
    """What is said of a value that a mask should not have."""
    row, column = np.argwhere(mask == value)[0]
    count = int((mask == value).sum())
    return (
        f"{shown(path)} has {count} pixels of value {value}, the first in row {row}, column {column}, which {why}; "
        f"correct the mask, or name its classes in {CLASSES}"
    )
