"""Every problem of a data folder, found in one pass: nothing is discovered in the middle of a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.names import reason, shown
from tconv.segmentation.data import judgement
from tconv.segmentation.data.colours import read_colours, table_file
from tconv.segmentation.data.findings import CLASSES, Found, Item, Seen, stray_text
from tconv.segmentation.data.instances import NOTHING, census
from tconv.segmentation.data.layouts import find_pairs
from tconv.segmentation.data.legend import Legend, read_legend
from tconv.segmentation.data.masks import Coloured, Instances, Stored, counted, fringe, in_colours
from tconv.segmentation.data.outlines import Outlines
from tconv.segmentation.data.pairs import Listing, Pair, Problem
from tconv.segmentation.data.pixels import Raster
from tconv.segmentation.data.tiff import check_axes
from tconv.segmentation.data.upright import SIDEWAYS

BLURRED = 4  # values that nowhere fill a 2 x 2 square: from so many on, a mask is anti-aliased

Report = Callable[[int, int], object]


def check(
    folder: Path,
    on_progress: Report | None = None,
    axes: str = "",
    colours: Path | None = None,
    legend: Legend | None = None,
) -> Found:
    """Read every image and mask of a folder once.

    Args:
        folder: in one of the layouts of `layouts`; `classes.txt` in it says which mask values there are.
        on_progress: called after every pair with (done, in all).
        axes: what the axes of TIFF images are, in their order, as in "CYX"; default what they say.
        colours: a colour table for masks in colours; default one that lies in the folder, or the colours there are.
        legend: what the masks mean, if that is known; the folder is not asked then.

    Raises:
        FileNotFoundError, NotADirectoryError, TconvError: the folder as such is none that can be read.
    """
    check_axes(axes)
    listing = find_pairs(folder)
    found = Found(problems=listing.problems, notes=listing.notes)
    named = legend or _legend(folder, listing, colours)
    allowed: set[int | None] = {*named.values, named.ignore} if named else set()
    seen: list[Seen] = []
    for done, pair in enumerate(listing.pairs, 1):
        try:
            seen += [_examine(page, allowed) for page in _as_said(pair, axes, named).pages()]
        except (errors.TconvError, OSError) as error:
            found.problems.append(Problem(pair.image, reason(error)))
        if on_progress:
            on_progress(done, len(listing.pairs))
    found.named = named is not None
    judgement.judge(found, seen, named)
    return found


def _legend(folder: Path, listing: Listing, colours: Path | None) -> Legend | None:
    """What the folder, or the caller, says of the classes."""
    inside = table_file(folder) if folder.is_dir() else None
    if colours or inside:
        return read_colours(colours or inside or folder)
    if folder.is_dir() and (folder / CLASSES).exists():
        return read_legend(folder / CLASSES)
    return listing.legend


def _as_said(pair: Pair, axes: str, named: Legend | None) -> Pair:
    if named and named.colours and isinstance(pair.mask, Path):
        return replace(pair, mask=Coloured(pair.mask, named), axes=axes)
    if named and named.objects and isinstance(pair.mask, Path):
        return replace(pair, mask=Instances(pair.mask), axes=axes)
    return replace(pair, axes=axes)


def _examine(pair: Pair, allowed: set[int | None]) -> Seen:
    """The pair and what is to know of it; raises for what is wrong with it."""
    raster = pair.raster()
    stored = pair.stored()
    if stored.coloured and allowed:
        pair.values()  # which says that a table of colours is missing
    mask = stored.values
    if raster.pixels.shape[:2] != mask.shape:
        raise errors.ImageFileError(_sizes(pair, raster, mask))
    values, edges = fringe(mask)
    if int(values[0]) < 0:
        raise errors.ImageFileError(f"{shown(pair.mask_file)} has the value {values[0]}; values must not be negative")
    speaking = census(mask, values) if isinstance(pair.mask, Path) and not stored.coloured else NOTHING
    if not allowed and len(edges) >= BLURRED and not (speaking.speaks and 2 * len(edges) < len(values)):
        raise errors.ImageFileError(
            f"{shown(pair.mask_file)} has {len(values)} values, {len(edges)} of which only line others: it is "
            f"anti-aliased or was a JPEG; export it with hard edges as a PNG"
        )
    stray = sorted(set(values.tolist()) - allowed) if allowed else []
    if stray:
        raise errors.ImageFileError(stray_text(pair.mask_file, mask, stray[0], "is none of the named classes"))
    item = _item(pair, raster, mask, turned=raster.orientation != 1 and stored.orientation == 1)
    palette = None if stored.palette is None else tuple(in_colours(_ramp(stored.palette)).ravel().tolist())
    return Seen(item, edges, speaking, stored.coloured, palette)


def _ramp(palette: Array) -> Stored:
    """Every index of a palette once."""
    return Stored(np.arange(256, dtype=np.uint8)[None], palette=palette)


def _item(pair: Pair, raster: Raster, mask: Array, turned: bool) -> Item:
    kept = mask if raster.valid is None else mask[raster.valid]
    values, numbers = counted(kept)
    counts = dict(zip(values.tolist(), numbers.tolist(), strict=True))
    height, width = mask.shape
    contested = pair.mask.draw(upside_down=True) != mask if isinstance(pair.mask, Outlines) else np.False_
    return Item(
        pair, (height, width, raster.channels), blake2b(raster.pixels.tobytes(), digest_size=12).hexdigest(), counts,
        int(contested.sum()), turned and isinstance(pair.mask, Path | Coloured), raster.alpha, mask.size - kept.size,
    )  # fmt: skip


def _sizes(pair: Pair, raster: Raster, mask: Array) -> str:
    height, width = raster.pixels.shape[:2]
    turned, cure = "", "export the mask again"
    if raster.orientation != 1:
        turned = "; its orientation in the EXIF was applied"
        if raster.orientation in SIDEWAYS and mask.shape == (width, height):
            cure = "turn the mask likewise, as it fits the image as it is stored and not as it is shown"
    return (
        f"{shown(pair.image)} is {width} x {height} and its mask, in {shown(pair.mask_file.name)}, "
        f"{mask.shape[1]} x {mask.shape[0]}{turned}; they must be equal: {cure}"
    )
