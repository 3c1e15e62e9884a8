"""The contact sheet of a data folder: samples with their masks, to see at a glance whether they fit."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tconv import errors
from tconv.arrays import Array
from tconv.names import shown
from tconv.segmentation.card import palette
from tconv.segmentation.data.findings import Found
from tconv.segmentation.data.legend import Legend
from tconv.segmentation.data.masks import GREY
from tconv.segmentation.data.sheet import Colours, coloured, overlay, reduced, sheet, visible

SAMPLES = 8


def contact_sheet(found: Found, seed: int = 0, title: str = "") -> Image.Image:
    """Up to 8 random pairs: image, mask and overlay, two pairs to a line; below, the classes and their part of all.

    Raises:
        TconvError: there is no sound pair.
    """
    if found.legend is None:
        raise errors.TconvError("there is no sound pair to draw")
    count = min(SAMPLES, len(found.items))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(found.items))[:count])
    colours = found.legend.colours or palette(len(found.legend.values))
    triples: list[list[Array]] = []
    for n in chosen:
        pair = found.items[n].pair
        image = reduced(visible(pair.raster()))
        # Reduced first: a line around an object that is one pixel of a photograph wide would not be seen.
        classes = reduced(found.legend.classes(pair.values()), nearest=True)
        triples.append([image, coloured(classes, colours), overlay(image, classes, colours)])
    names = [shown(found.items[n].pair.image.name) for n in chosen]
    side = 2 if count > 1 else 1
    lines = range(0, count, side)
    return sheet(
        ("image", "mask", "overlay") * side,
        [[picture for triple in triples[n : n + side] for picture in triple] for n in lines],
        _entries(found, found.legend, colours),
        f"{title}: {len(found.items)} pairs, {len(found.legend.values)} classes, {len(found.problems)} problems",
        [names[n : n + side] for n in lines],
    )


def _entries(found: Found, legend: Legend, colours: Colours) -> list[tuple[str, tuple[int, int, int]]]:
    """The classes that there are, each with its part of all pixels, and what is ignored."""
    balance = found.balance()
    total = sum(balance.values())
    known = [*zip(legend.values, legend.names, colours, strict=True), (legend.ignore, "ignored", GREY)]
    return [
        (f"{balance[value] / total:.1%} {name}", colour)
        for value, name, colour in known
        if value is not None and balance.get(value)
    ]
