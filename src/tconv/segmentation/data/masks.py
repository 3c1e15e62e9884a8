"""Masks: one integer per pixel. The one place that reads a mask, whatever it is: values, a palette, colours, numbered
objects, or outlines in an annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tconv import errors
from tconv.arrays import Array
from tconv.names import shown
from tconv.outputs import wholly
from tconv.segmentation.data.colours import codes, to_values
from tconv.segmentation.data.guard import guarded
from tconv.segmentation.data.legend import IGNORED, Legend
from tconv.segmentation.data.outlines import Outlines
from tconv.segmentation.data.pictures import deep_channels, exif_orientation, is_tiff, open_picture, read_deep, turned
from tconv.segmentation.data.tiff import decoded, unturned, with_tiff
from tconv.segmentation.data.upright import upright

PLAIN = ("P", "1", "L", "I;16", "I;16B", "I;16L", "I")  # Pillow's modes of one number per pixel
SOFTWARE = "tconv segment predict"  # the mark of masks that a network drew, and that may be drawn again
GREY = (127, 127, 127)  # of what is ignored


@dataclass(frozen=True)
class Coloured:
    """A mask file in colours, and what they mean."""

    path: Path
    legend: Legend


@dataclass(frozen=True)
class Instances:
    """A mask file that numbers objects; all of them are one class."""

    path: Path


Mask: TypeAlias = Path | Outlines | Coloured | Instances


@dataclass(frozen=True)
class Stored:
    """What a mask file holds.

    Attributes:
        values: (height, width) integers; or, in colours, one int32 per pixel, as `colours.codes`.
        coloured: whether these are colours that are not all grey.
        palette: (n, 3) uint8, of which the values are indices; or None.
        orientation: that was applied, 1 to 8.
    """

    values: Array
    coloured: bool = False
    palette: Array | None = None
    orientation: int = 1


def file_of(mask: Mask) -> Path:
    """The file that holds a mask."""
    return mask if isinstance(mask, Path) else mask.path


def read_mask(mask: Mask, axes: str = "", page: int = 0) -> Array:
    """The values of a mask, (height, width), uint8 or uint16. A palette PNG gives its indices; outlines are drawn.

    Args:
        mask: a file, or what is drawn from one.
        axes, page: as for `pixels.read_raster`, for a TIFF.

    Raises:
        FileNotFoundError, PermissionError: as the system says.
        ImageFileError: unreadable, or in colours without a table.
    """
    stored = resolved(mask, axes, page)
    if stored.coloured:
        raise errors.ImageFileError(
            f"{shown(file_of(mask))} is a mask in colours; say which colour means which class by --colors classes.csv, "
            f"lines of NAME,RED,GREEN,BLUE, or convert it to a PNG with one value per class"
        )
    return narrow(stored.values, file_of(mask))


def resolved(mask: Mask, axes: str = "", page: int = 0) -> Stored:
    """What a mask holds, colours that have a meaning as values, and objects that are one class as 1; errors as
    `read_mask`."""
    if isinstance(mask, Outlines):
        return Stored(mask.draw())
    stored = read_stored(file_of(mask), axes, page)
    if isinstance(mask, Coloured):
        values = stored.values if _are_values(stored, mask.legend) else to_values(
            in_colours(stored), mask.legend, mask.path
        )  # fmt: skip
        return Stored(values, orientation=stored.orientation)
    if isinstance(mask, Instances):
        return Stored((stored.values != 0).astype(np.uint8), orientation=stored.orientation)
    return stored


def _are_values(stored: Stored, legend: Legend) -> bool:
    """Whether a mask beside a table of colours holds the classes' values, and not the table's greys."""
    if stored.coloured or stored.palette is not None:
        return False
    present = set(np.unique(stored.values).tolist())
    greys = {colour[0] for colour in (*legend.colours, *legend.ignored_colours) if len(set(colour)) == 1}
    return not present <= greys and present <= {*legend.values, legend.ignore}


def narrow(values: Array, path: Path) -> Array:
    """The values as uint8 or uint16.

    Raises:
        ImageFileError: some are negative, or larger than 16 bits hold.
    """
    if values.dtype in (np.uint8, np.uint16):
        return values
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high >= 2**16:
        raise errors.ImageFileError(
            f"{shown(path)} is a mask with values from {low} to {high}; write integers from 0 to 65535"
        )
    return values.astype(np.uint16)


def in_colours(stored: Stored) -> Array:
    """The mask as colours: those of its palette, or greys where it has values only."""
    if stored.coloured:
        return stored.values
    if stored.palette is not None:
        table = np.zeros((256, 3), np.uint8)
        table[: len(stored.palette)] = stored.palette[:256]
        return codes(table[np.minimum(stored.values, 255)])
    return np.minimum(stored.values, 255).astype(np.int32) * 0x010101


def read_stored(path: Path, axes: str = "", page: int = 0) -> Stored:
    """What a mask file holds, as it is shown; `axes` and `page` as for `pixels.read_raster`.

    Raises:
        FileNotFoundError, PermissionError: as the system says.
        ImageFileError: unreadable, or no integers.
    """
    if is_tiff(path):
        numbers, found = with_tiff(path, lambda series, found: decoded(path, series, found, page), axes)
        return _of_numbers(path, unturned(numbers, found), found.palette, found.orientation)
    channels = deep_channels(path)
    if channels:
        return _of_numbers(path, read_deep(path, channels), None, turned(path))
    with open_picture(path) as image:
        orientation = exif_orientation(image)
        if image.mode in PLAIN:
            palette = _palette(image) if image.mode == "P" else None
            return _of_numbers(path, np.asarray(image)[..., None], palette, orientation)
        return _of_numbers(path, np.asarray(image.convert("RGBA")), None, orientation)


def _of_numbers(path: Path, numbers: Array, palette: Array | None, orientation: int) -> Stored:
    """What (height, width, channels) of a file mean."""
    if numbers.size == 0:
        raise errors.ImageFileError(f"{shown(path)} has no pixels ({numbers.shape}); remove it or write it again")
    if numbers.dtype == bool:
        numbers = numbers.astype(np.uint8)
    if numbers.dtype.kind == "f" and (np.mod(numbers, 1) == 0).all():  # as ImageJ and QuPath write large numbers
        numbers = numbers.astype(np.int64)
    if numbers.dtype.kind not in "ui":
        raise errors.ImageFileError(f"{shown(path)} is a mask of {numbers.dtype}; write integers of 8 or 16 bits")
    numbers = upright(numbers, orientation)
    if numbers.shape[2] == 1:
        return Stored(numbers[..., 0], False, palette, orientation)
    if numbers.shape[2] == 2 and numbers.dtype in (np.uint8, np.uint16):
        numbers = np.concatenate([numbers[..., :1]] * 3 + [numbers[..., 1:]], axis=2)  # grey and alpha
    colours = numbers[..., :3]
    if numbers.shape[2] not in (3, 4) or (numbers.dtype != np.uint8 and (colours != colours[..., :1]).any()):
        raise errors.ImageFileError(
            f"{shown(path)} is a mask of {numbers.shape[2]} channels of {numbers.dtype}; write one channel of integers"
        )
    if numbers.dtype != np.uint8:
        level = colours[..., 0]
        if numbers.shape[2] == 4:  # nothing was drawn there
            level = np.where(numbers[..., 3] == 0, numbers.dtype.type(0), level)
        return Stored(level, False, None, orientation)
    coded = codes(numbers)
    level = coded & 255
    grey = bool((coded == level * 0x010101).all())
    return Stored(level.astype(np.uint8) if grey else coded, not grey, None, orientation)


def _palette(image: Image.Image) -> Array:
    return np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)


def mask_picture(classes: Array, palette: Sequence[tuple[int, int, int]]) -> Image.Image:
    """Class indices (height, width) uint8 as a picture with a palette; what is ignored is grey."""
    image = Image.fromarray(classes)
    colours = list(palette)
    if len(colours) <= IGNORED and (classes == IGNORED).any():
        colours += [(0, 0, 0)] * (IGNORED - len(colours)) + [GREY]
    image.putpalette([level for colour in colours for level in colour])
    return image


def mark() -> PngInfo:
    """What says in a PNG that a network drew it, and that it may be drawn again."""
    text = PngInfo()
    text.add_text("Software", SOFTWARE)
    return text


def is_marked(path: Path) -> bool:
    """Whether a PNG or TIFF bears the mark."""
    if is_tiff(path):
        import tifffile

        with guarded(path), tifffile.TiffFile(path) as file:
            return str(file.pages.first.software).startswith(SOFTWARE)
    with guarded(path), path.open("rb") as file:
        return b"tEXtSoftware\0" + SOFTWARE.encode() in file.read(4096)


def write_mask(path: Path, classes: Array, palette: Sequence[tuple[int, int, int]]) -> None:
    """Write class indices (height, width) uint8 as a PNG with a palette; the file appears when it is complete."""
    with wholly(path) as part:
        mask_picture(classes, palette).save(part, format="PNG")


def fringe(mask: Array) -> tuple[Array, Array]:
    """All values of a mask, and those that nowhere fill a 2 x 2 square: strays, or what anti-aliasing leaves."""
    here = mask[1:, 1:]
    solid = (here == mask[:-1, :-1]) & (here == mask[1:, :-1]) & (here == mask[:-1, 1:])
    values = counted(mask)[0]
    return values, np.setdiff1d(values, counted(here[solid])[0])


def counted(mask: Array) -> tuple[Array, Array]:
    """All values of a mask, sorted, and how many pixels have each."""
    if mask.dtype not in (np.uint8, np.uint16):
        return np.unique(mask, return_counts=True)
    numbers = np.bincount(mask.ravel())  # sorting a photograph of pixels takes seconds
    values = np.flatnonzero(numbers)
    return values, numbers[values]
