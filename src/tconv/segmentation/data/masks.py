"""Masks: one integer per pixel. Index and palette PNGs, TIFFs; which value means which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.data.outlines import Outlines
from tconv.segmentation.data.pixels import TIFFS, open_picture, read_image, shown
from tconv.segmentation.wholly import wholly

IGNORED = 255  # the class index of pixels that are left out; so there are at most 255 classes
VOID = 255  # the value that stands for "ignore" where masks have classes 0, 1, 2, ... too


@dataclass(frozen=True)
class Legend:
    """Which value in a mask means which class.

    Attributes:
        values: the value of class 0, 1, ...
        names: a name per class.
        ignore: the value of pixels that are left out, or None.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    ignore: int | None = None

    def classes(self, mask: Array) -> Array:
        """Class indices, uint8, IGNORED where the mask says `ignore`.

        Raises:
            ImageFileError: a value that is none of these.
        """
        table = np.full(2**16, -1, np.int16)
        table[list(self.values)] = range(len(self.values))
        if self.ignore is not None:
            table[self.ignore] = IGNORED
        found = table[mask]
        if (found < 0).any():
            value = int(mask[found < 0][0])
            raise errors.ImageFileError(f"value {value} is none of the classes {self}")
        return found.astype(np.uint8)

    def __str__(self) -> str:
        known = ", ".join(f"{value} {name}" for value, name in zip(self.values, self.names, strict=True))
        return known + (f", {self.ignore} ignored" if self.ignore is not None else "")


def make_legend(values: Sequence[int], indices: bool = False) -> Legend:
    """What sorted mask values mean: each is a class; but 255 beside two or more others that start at 0 is "ignore".

    Args:
        values: that masks have.
        indices: they are places in a palette, as in Pascal VOC, and not levels of grey, of which 255 may be one.

    >>> print(make_legend([0, 255]))
    0 background, 255 class 1
    >>> print(make_legend([0, 1, 2, 255]))
    0 background, 1 class 1, 2 class 2, 255 ignored
    >>> print(make_legend([0, 128, 255]))
    0 background, 128 class 1, 255 class 2
    """
    kept = [value for value in values if value != VOID]
    void = VOID in values and len(kept) >= 2 and kept[0] == 0 and (indices or kept[-1] < 2 * len(kept))
    classes = kept if void else sorted(values)
    names = ["background" if value == 0 else f"class {index}" for index, value in enumerate(classes)]
    return Legend(tuple(classes), tuple(names), VOID if void else None)


def read_legend(path: Path) -> Legend:
    """The classes written in a text file: a line per class, "value name" or, for values 0, 1, ..., only the name.

    Raises:
        TconvError: no UTF-8, no class, or a value twice; "ignore" is the name of what is left out.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.TconvError(f"{shown(path)} is no UTF-8 text; save it as such") from error
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    numbered = all(row[0].isdecimal() for row in rows)
    pairs = [(int(row[0]), row[-1]) if numbered else (n, " ".join(row)) for n, row in enumerate(rows)]
    ignored = [value for value, name in pairs if name == "ignore"]
    kept = [(value, name) for value, name in pairs if name != "ignore"]
    values = tuple(value for value, _ in kept)
    everything = [*values, *ignored]
    if not kept or len({*everything}) < len(everything) or len(kept) > IGNORED or max(everything) >= 2**16:
        raise errors.TconvError(
            f"{shown(path)} must name up to {IGNORED} classes, each value once: lines of VALUE NAME"
        )
    return Legend(values, tuple(name for _, name in kept), ignored[0] if ignored else None)


def read_mask(mask: Path | Outlines) -> Array:
    """The values of a mask, (height, width), uint8 or uint16. A palette PNG gives its indices; outlines are drawn.

    Raises:
        FileNotFoundError, PermissionError: as the system says.
        ImageFileError: unreadable, or in colours that are no palette.
    """
    if isinstance(mask, Outlines):
        return mask.draw()
    path = mask
    if path.suffix.lower() in TIFFS:
        pixels = read_image(path)
    else:
        with open_picture(path) as image:
            kept = image.mode in ("P", "1", "L", "I;16", "I")
            pixels = np.asarray(image) if kept else np.asarray(image.convert("RGB"))
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise errors.ImageFileError(
                f"{shown(path)} is a mask in colours; convert it to a palette or grey PNG with one value per class"
            )
        pixels = pixels[..., 0]
    if pixels.dtype.kind not in "ui" or (pixels.dtype.itemsize > 2 and int(pixels.max(initial=0)) >= 2**16):
        raise errors.ImageFileError(f"{shown(path)} is a mask of {pixels.dtype}; write integers of 8 or 16 bits")
    return pixels.astype(np.uint16) if pixels.dtype.itemsize > 2 else pixels


def palette_of(mask: Path | Outlines) -> tuple[int, ...] | None:
    """The palette of a PNG, or None; nothing but the header is read."""
    if isinstance(mask, Outlines) or mask.suffix.lower() in TIFFS:
        return None
    with Image.open(mask) as image:
        return tuple(image.getpalette() or ()) if image.mode == "P" else None


def mask_picture(classes: Array, palette: Sequence[tuple[int, int, int]]) -> Image.Image:
    """Class indices (height, width) uint8 as a picture with a palette."""
    image = Image.fromarray(classes)
    image.putpalette([level for colour in palette for level in colour])
    return image


def write_mask(path: Path, classes: Array, palette: Sequence[tuple[int, int, int]]) -> None:
    """Write class indices (height, width) uint8 as a PNG with a palette; the file appears when it is complete."""
    with wholly(path) as part:
        mask_picture(classes, palette).save(part, format="PNG")


def fringe(mask: Array) -> tuple[Array, Array]:
    """All values of a mask, and those that nowhere fill a 2 x 2 square: strays, or what anti-aliasing leaves."""
    here = mask[1:, 1:]
    solid = (here == mask[:-1, :-1]) & (here == mask[1:, :-1]) & (here == mask[:-1, 1:])
    values = np.unique(mask)
    return values, np.setdiff1d(values, np.unique(here[solid]))
