"""What the numbers of a TIFF are: which axis is which, which channel is alpha, and what its photometric tag says.

A TIFF says of each page how many samples a pixel has, which of them are colours and which are alpha; pages beyond the
first may be slices, moments, channels, reduced copies or other pictures. Only what the file says is taken for channels:
its samples, and an axis that ImageJ or OME calls C.

Source: TIFF 6.0; Adobe's TIFF technical notes; GDAL's GeoTIFF driver, for the tag of missing values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.names import printable, shown
from tconv.segmentation.data.georeference import NODATA, Georeference, georeference
from tconv.segmentation.data.guard import DAMAGED, guarded
from tconv.segmentation.data.upright import ORIENTATION, understood

CHANNELS, KNOWN = "SC", "SCYX"  # letters of axes
MOST = 2**30  # values of a TIFF that are read at once
WHITE_IS_ZERO, PALETTE, YCBCR = 0, 3, 6
PLAIN = (0, 1, 2, 3, 4, 6)  # photometric interpretations that are grey, RGB, a palette, a mask or YCbCr
NAMES = {5: "CMYK", 8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32803: "CFA", 32844: "LogL", 32845: "LogLuv"}
JPEGS = (6, 7, 33007)  # compressions whose decoder turns YCbCr into RGB
ALPHA = (1, 2)  # extra samples: associated and unassociated alpha
WITH_OTHERS = (
    "svs",
    "ndpi",
    "scn",
    "bif",
    "qpi",
    "philips",
    "avs",
    "lsm",
    "mdgel",
    "stk",
    "indica",
)  # labels, previews


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a TIFF are.

    Attributes:
        shape: of its array, axes of length 1 included.
        order: the axes for height, width and channels (or None) among those.
        channels: which of the channels are measured, in order.
        alpha: which one is alpha, or None.
        inverted: whether 0 is white.
        top: the largest value of an integer sample of 1 to 7 bits, or of any where 0 is white; else 0.
        palette: (colours, 3) uint8, or None.
        ycbcr: whether the samples are YCbCr, of which Pillow makes RGB.
        orientation: 1 to 8.
        nodata: the value of pixels that are none, or None.
        place: where on the earth.
        pages: the axis along which pictures of their own lie, or None.
    """

    shape: tuple[int, ...]
    order: tuple[int, int, int | None]
    channels: tuple[int, ...]
    alpha: int | None = None
    inverted: bool = False
    top: int = 0
    palette: Array | None = None
    ycbcr: bool = False
    orientation: int = 1
    nodata: float | None = None
    place: Georeference = field(default_factory=Georeference)
    pages: int | None = None

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return 1 if self.pages is None else self.shape[self.pages]

    def arranged(self, array: Array) -> Array:
        """(height, width, channels) in the machine's byte order: the measured channels, then alpha."""
        y, x, c = self.order
        kept = [axis for axis in (y, x, c) if axis is not None]
        array = array.transpose(kept + [axis for axis in range(array.ndim) if axis not in kept])
        pixels = array.reshape(array.shape[0], array.shape[1], -1)
        chosen = [*self.channels, *([] if self.alpha is None else [self.alpha])]
        if chosen != list(range(pixels.shape[2])):
            pixels = pixels[..., chosen]
        return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def meaning(file: Any, path: Path, axes: str = "") -> tuple[Any, Meaning]:
    """The series of an open TIFF that is the image, and what its numbers are.

    Args:
        file: of tifffile.
        path: for messages.
        axes: what its axes are, in the file's order, as in "CYX"; a letter beside these, as in "ZYX", means pictures of
            their own. Default what the file says.

    Raises:
        ImageFileError: the file holds several images, axes whose meaning is unclear, or colours of another kind.
    """
    series = series_of(file, path)
    if 0 in series.shape:
        raise errors.ImageFileError(f"{shown(path)} has no pixels ({series.shape}); remove it or write it again")
    page = series.keyframe
    if len(page.dataoffsets) < np.prod(page.chunked, dtype=np.int64) or not any(page.databytecounts):
        raise errors.ImageFileError(f"{shown(path)} {DAMAGED}")  # tifffile would fill up what is missing
    letters = _letters(path, series, axes)
    _check_axes(path, letters, series.shape, asked=bool(axes))
    photometric = int(page.photometric)
    bits = page.bitspersample if isinstance(page.bitspersample, int) and page.dtype.kind in "ub" else 0
    if photometric not in PLAIN:
        name = NAMES.get(photometric, f"number {photometric}")
        raise errors.ImageFileError(
            f"{shown(path)} has the colour mode {name}; convert it to RGB or grey with 8 or 16 bits"
        )
    other = next((n for n, axis in enumerate(letters) if axis in CHANNELS and series.shape[n] > 1), None)
    pages = next((n for n, axis in enumerate(letters) if axis not in KNOWN and series.shape[n] > 1), None)
    count = 1 if other is None else series.shape[other]
    alpha = _alpha(page, count) if other is None or letters[other] == "S" else None
    return series, Meaning(
        tuple(series.shape),
        (letters.index("Y"), letters.index("X"), other),
        tuple(n for n in range(count) if n != alpha),
        alpha,
        photometric == WHITE_IS_ZERO and page.dtype is not None and page.dtype.kind in "ub",
        2**bits - 1 if bits and (bits < 8 or photometric == WHITE_IS_ZERO) else 0,
        _palette(page) if photometric == PALETTE and count == 1 else None,
        photometric == YCBCR and int(page.compression) not in JPEGS,
        understood(_tag(page, ORIENTATION)),
        _nodata(page),
        georeference(path, page),
        pages,
    )


def decoded(path: Path, series: Any, found: Meaning, page: int = 0) -> Array:
    """(height, width, channels) of the whole image, or of one page where these are pictures, as it is stored."""
    size = int(np.prod(found.shape, dtype=np.int64)) // max(1, found.count)
    if size > MOST:
        raise errors.ImageFileError(
            f"{shown(path)} claims {size:,} values, which may be a decompression bomb; if you trust it, cut it into "
            f"images of at most {MOST:,} (`predict` reads it by window)"
        )
    if found.ycbcr and series.keyframe.subsampling not in {None, (1, 1)}:
        return _by_pillow(path)
    try:
        numbers = found.arranged(_numbers(series, found, page))
        return _rgb(numbers) if found.ycbcr else numbers
    except (ValueError, KeyError) as error:
        if "imagecodecs" not in str(error) or not _simple(series, found):
            raise
    return _by_pillow(path)


def _numbers(series: Any, found: Meaning, page: int) -> Array:
    """The array of a series, or of one page of it, which then is as long as 1 on that axis."""
    if found.pages is None:
        return np.asarray(series.asarray()).reshape(found.shape)
    if found.pages == 0 and len(series.pages) == found.count and series.pages[page] is not None:
        return np.asarray(series.pages[page].asarray()).reshape(1, *found.shape[1:])
    return np.take(np.asarray(series.asarray()).reshape(found.shape), [page], found.pages)


def count_pages(path: Path, axes: str) -> int:
    """How many pictures a TIFF holds, if `axes` names an axis of pictures; else 1.

    Raises:
        OSError, ImageFileError: as `meaning`.
    """
    import tifffile

    if not set(axes.upper()) - set(KNOWN):
        return 1
    with guarded(path), tifffile.TiffFile(path) as file:
        return meaning(file, path, axes)[1].count


def with_tiff(path: Path, use: Callable[[Any, Meaning], Array], axes: str = "") -> tuple[Array, Meaning]:
    """What `use` makes of the open series and its meaning, and the meaning."""
    import tifffile

    with guarded(path), tifffile.TiffFile(path) as file:
        series, found = meaning(file, path, axes)
        return use(series, found), found


def unturned(numbers: Array, found: Meaning) -> Array:
    """The numbers with 0 as black, where 0 was white."""
    if not found.inverted:
        return numbers
    return ~numbers if numbers.dtype == bool else (found.top - numbers).astype(numbers.dtype)


def series_of(file: Any, path: Path) -> Any:
    """The one image that the file holds, without reduced copies of it, masks and what scanners add."""
    try:
        found = list(file.series)
    except Exception:  # the metadata that would make series of pages are damaged; a single page needs none
        if len(file.pages) != 1:
            raise
        import tifffile

        page = file.pages[0]
        found = [tifffile.TiffPageSeries([page], page.shape, page.dtype, page.axes)]
    if not found:
        raise errors.ImageFileError(f"{shown(path)} holds no image; export it again")
    first = found[0]
    if first.kind == "ome" and any(page is None for page in first.pages):
        raise errors.ImageFileError(
            f"{shown(path)} is a part of an image of several files, and others are missing; put them beside it"
        )
    others = [other for other in found[1:] if not _is_copy(other)]
    if others and first.kind not in WITH_OTHERS:
        sizes = ", ".join(" x ".join(map(str, other.shape)) for other in (first, *others)[:4])
        raise errors.ImageFileError(f"{shown(path)} holds {len(others) + 1} images ({sizes}); write one file per image")
    return first


def _is_copy(series: Any) -> bool:
    page = series.keyframe
    return bool(page.is_reduced or page.is_mask)


def check_axes(axes: str) -> None:
    """Judge what somebody says of a TIFF's axes; nothing at all is right.

    Raises:
        TconvError: they cannot be.
    """
    asked = axes.upper()
    pictures = [letter for letter in asked if letter not in KNOWN]
    once = len(set(asked)) == len(asked) and len(pictures) <= 1 and {"Y", "X"} <= set(asked)
    if asked and not (once and asked.isascii() and asked.isalpha()):
        raise errors.TconvError(
            f"--axes {printable(axes)} must name Y and X once, C at most once, and at most one axis of pictures, as in "
            f"CYX or ZYX"
        )


def _letters(path: Path, series: Any, axes: str) -> str:
    """One letter per axis of the series: those that were asked for, or the file's own."""
    if not axes:
        return str(series.axes)
    check_axes(axes)
    asked = axes.upper()
    long = [n for n, length in enumerate(series.shape) if length > 1 or len(asked) == len(series.shape)]
    if len(asked) != len(long):
        said = " x ".join(map(str, series.shape))
        raise errors.ImageFileError(
            f"{shown(path)} has the axes {series.axes} ({said}), and --axes {axes} names {len(asked)}; name each one"
        )
    letters = ["S"] * len(series.shape)
    for n, letter in zip(long, asked, strict=True):
        letters[n] = letter
    return "".join(letters)


def _check_axes(path: Path, letters: str, shape: tuple[int, ...], asked: bool) -> None:
    """Refuse axes of which nobody says whether they are channels or pictures."""
    long = [n for n, length in enumerate(shape) if length > 1 or letters[n] in "YX"]
    others = [letters[n] for n in long if letters[n] not in "YX"]
    pictures = [letter for letter in others if letter not in CHANNELS]
    if {"Y", "X"} <= set(letters) and len(others) - len(pictures) <= 1 and len(pictures) <= asked:
        return
    sizes, named = " x ".join(str(shape[n]) for n in long), "".join(letters[n] for n in long)
    cure = "write one file per picture"
    if len(others) == len(pictures) == 1:
        channels = named.replace(pictures[0], "C")
        cure = f"say by --axes {channels} that they are channels, or by --axes {named} that each is a picture"
    what = ", ".join(pictures or others) or "none"
    raise errors.ImageFileError(
        f"{shown(path)} has the axes {named} ({sizes}), of which {what} may be slices, moments or separate pictures; "
        f"{cure}"
    )


def _alpha(page: Any, count: int) -> int | None:
    """The place of alpha among the samples, where the file says that there is one."""
    extra = [int(kind) for kind in page.extrasamples]
    places = [count - len(extra) + n for n, kind in enumerate(extra) if kind in ALPHA]
    return places[0] if places and count > 1 else None


def _palette(page: Any) -> Array | None:
    """The colours of a palette, 8 bits each; some programs have written 8 bits where 16 were meant."""
    table = page.colormap
    if table is None:
        return None
    colours = np.asarray(table, np.uint16).T
    return (colours if colours.max(initial=0) < 256 else colours // 256).astype(np.uint8)


def _nodata(page: Any) -> float | None:
    try:
        return float(str(_tag(page, NODATA)).strip("\0 "))
    except ValueError:
        return None


def _tag(page: Any, code: int) -> Any:
    tag = page.tags.get(code)
    value = None if tag is None else tag.value
    return int(value) if isinstance(value, int) else value  # tifffile's enumerations are integers


def _simple(series: Any, found: Meaning) -> bool:
    """Whether Pillow's own TIFF reader gives the same numbers: one page of 8 bits per sample, or 16 of grey."""
    page = series.keyframe
    plain = len(series.pages) == 1 and not found.inverted and found.palette is None and int(page.planarconfig) == 1
    count = len(found.channels) + (found.alpha is not None)
    return plain and count in {"uint8": (1, 3, 4), "uint16": (1,)}.get(str(page.dtype), ())


def _rgb(ycbcr: Array) -> Array:
    from PIL import Image

    return np.asarray(Image.fromarray(ycbcr, "YCbCr").convert("RGB"))


def _by_pillow(path: Path) -> Array:
    """The picture as Pillow shows it, through libtiff: where imagecodecs is missing, and for subsampled YCbCr."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        pixels = np.asarray(image.convert("RGB") if image.mode == "YCbCr" else image)
    return pixels.reshape(*pixels.shape[:2], -1)
