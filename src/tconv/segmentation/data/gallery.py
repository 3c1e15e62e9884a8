"""The contact sheet of a data folder: samples with their masks, to see at a glance whether they fit."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.card import palette
from tconv.segmentation.data.check import Found
from tconv.segmentation.data.masks import read_mask
from tconv.segmentation.data.pixels import read_image
from tconv.segmentation.data.sheet import coloured, overlay, sheet, visible

SAMPLES = 8


def contact_sheet(found: Found, seed: int = 0, title: str = "") -> Image.Image:
    """Up to 8 random pairs: image, mask and overlay, two pairs to a line, with the classes' colours below.

    Raises:
        TconvError: there is no sound pair.
    """
    if found.legend is None:
        raise errors.TconvError("there is no sound pair to draw")
    count = min(SAMPLES, len(found.items))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(found.items))[:count])
    colours = palette(len(found.legend.values))
    triples: list[tuple[list[Array], str]] = []
    for n in chosen:
        pair = found.items[n].pair
        image, classes = read_image(pair.image), found.legend.classes(read_mask(pair.mask))
        triples.append(([visible(image), coloured(classes, colours), overlay(image, classes, colours)], pair.name))
    side = 2 if count > 1 else 1
    rows = [[picture for pictures, _ in triples[n : n + side] for picture in pictures] for n in range(0, count, side)]
    names = ["  and  ".join(name for _, name in triples[n : n + side]) for n in range(0, count, side)]
    legend = list(zip(found.legend.names, colours, strict=True))
    heading = f"{title}: {len(found.items)} pairs, {len(found.legend.values)} classes"
    return sheet(("image", "mask", "overlay") * side, rows, legend, heading, names)
