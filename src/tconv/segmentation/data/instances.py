"""Masks that number objects instead of naming classes, as napari, QuPath and Cellpose write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tconv.arrays import Array

FEW = 5  # objects: fewer in every mask may as well be classes
MANY = 255  # values: more cannot be classes
LOOKED_AT = 100  # objects of a mask, to see whether each is in one piece
MOSTLY = 0.9


@dataclass(frozen=True)
class Census:
    """What speaks for numbers of objects in a mask.

    Attributes:
        objects: values other than 0.
        counted: whether they are 1 to n without a gap.
        largest: value.
        whole: which part of those that were looked at is in one piece.
    """

    objects: int
    counted: bool
    largest: int
    whole: float

    @property
    def speaks(self) -> bool:
        """Whether this mask, for itself, looks as if it numbered objects."""
        return self.objects >= FEW and self.whole >= MOSTLY


NOTHING = Census(0, False, 0, 0.0)  # speaks for them


def census(mask: Array, values: Array) -> Census:
    """Of a mask (height, width) and its sorted values."""
    numbers = values[values != 0]
    counted = bool(len(numbers)) and int(numbers[0]) == 1 and int(numbers[-1]) == len(numbers)
    if len(numbers) < FEW:
        return Census(len(numbers), counted, int(values[-1]), 1.0)
    return Census(len(numbers), counted, int(values[-1]), _whole(mask, numbers))


def are_instances(found: Sequence[Census]) -> bool:
    """Whether the masks of a folder number objects.

    More values than there may be classes, or larger ones than classes have; or 1 to n in nearly every mask, with n not
    always the same. In each case nearly every object is in one piece: classes come back in several places, and are not
    numbered anew in each image.
    """
    filled = [each for each in found if each.objects]
    if not filled:
        return False
    most = max(each.objects for each in filled)
    whole = float(np.mean([each.whole for each in filled if each.objects >= FEW] or [0.0]))
    if most > MANY or max(each.largest for each in filled) > MANY:
        return whole >= MOSTLY
    counted = sum(each.counted for each in filled) / len(filled)
    differ = len({each.objects for each in filled}) > 1 or len(filled) == 1
    return most >= FEW and differ and counted >= MOSTLY and whole >= MOSTLY


def _whole(mask: Array, numbers: Array) -> float:
    """Which part of some objects is in one piece."""
    from scipy import ndimage

    chosen = numbers[:: max(1, len(numbers) // LOOKED_AT)]
    renumbered = np.searchsorted(numbers, mask) + 1  # as huge numbers would make a huge list of places
    renumbered[mask == 0] = 0
    places = ndimage.find_objects(renumbered.astype(np.int32))
    pieces = []
    for number in np.searchsorted(numbers, chosen) + 1:
        place = places[number - 1]
        if place is not None:
            pieces.append(ndimage.label(renumbered[place] == number, np.ones((3, 3)))[1] == 1)
    return float(np.mean(pieces)) if pieces else 1.0
