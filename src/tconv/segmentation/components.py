"""Connected pieces of a class map: those too small to be true go to what surrounds them, and holes are filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tconv.arrays import Array
from tconv.segmentation.card import Card

CORNERS = np.ones((3, 3), np.uint8)  # pieces hang together over corners too, holes only over edges


def finished(classes: Array, card: Card) -> Array:
    """The class map as the card says that predictions are finished; `classes` itself where it says nothing."""
    least, holes = card.finish.get("least", ()), card.finish.get("holes", ())
    return clean(classes, least, holes) if any(least) or any(holes) else classes


def clean(classes: Array, least: Sequence[int] = (), holes: Sequence[int] = ()) -> Array:
    """A class map without small pieces and holes; a new array.

    Args:
        classes: (height, width) uint8.
        least: per class, the pixels that a piece must have; smaller ones get the class of the nearest pixel that stays.
            0 keeps all.
        holes: per class, the pixels up to which a hole in one of its pieces is filled with it. 0 fills none.
    """
    result = classes.copy()
    gone = np.zeros(classes.shape, bool)
    for number, size in enumerate(least):
        if size > 1:
            gone |= small_pieces(result == number, size)
    if gone.any() and not gone.all():
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(gone, return_distances=False, return_indices=True)
        result = result[tuple(nearest)]
    for number, size in enumerate(holes):
        if size > 0:
            result[small_holes(result == number, size)] = number
    return result


def small_pieces(mask: Array, least: int) -> Array:
    """Where a bool mask has pieces of fewer than `least` pixels, as a bool mask."""
    labels, sizes = pieces(mask)
    small = sizes < least
    small[0] = False
    found: Array = small[labels]
    return found


def small_holes(mask: Array, most: int) -> Array:
    """Where what is not in a bool mask is enclosed by it, in pieces of up to `most` pixels, as a bool mask."""
    labels, sizes = holes(mask)
    small = sizes <= most
    small[0] = False
    found: Array = small[labels]
    return found


def holes(mask: Array) -> tuple[Array, Array]:
    """The pieces that a bool mask encloses: their numbers from 1 per pixel, 0 elsewhere, and their sizes by number."""
    from scipy.ndimage import label

    labels, count = label(~mask)
    cut = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        cut[edge] = True  # what the border cuts is not enclosed
    cut[0] = True
    numbers = np.where(cut, 0, np.cumsum(~cut))
    labels = numbers[labels]
    return labels, np.bincount(labels.ravel(), minlength=int(numbers.max()) + 1)


def pieces(mask: Array) -> tuple[Array, Array]:
    """The pieces of a bool mask: their numbers from 1 per pixel, 0 elsewhere, and their sizes by number."""
    from scipy.ndimage import label

    labels, count = label(mask, CORNERS)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)
