"""Masks for a file, a folder or a glob: one after the other, what is done is skipped, what is bad is reported."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.data.dataset import Normal
from tconv.segmentation.data.masks import write_mask
from tconv.segmentation.data.pairs import Problem
from tconv.segmentation.data.pixels import SUFFIXES, fit_channels, shown
from tconv.segmentation.data.sheet import overlay
from tconv.segmentation.predict.tiles import Tiling, score_bands, scores, tiled_scores, tiling_of
from tconv.segmentation.predict.windows import ZARR, Source, Whole, open_source, write_tiff, zarr_target
from tconv.segmentation.wholly import wholly

WHOLE = 2**20  # pixels up to which an image goes through the network in one piece
LARGE = 2**28  # values from which on a TIFF is read by window and answered by a TIFF


@dataclass(frozen=True)
class Wish:
    """What is written beside the masks.

    Attributes:
        overlay: NAME_overlay.png, the image under a veil of the classes' colours.
        probabilities: NAME_probabilities.npy, (classes, height, width) float32.
        again: write what exists already.
        tile: pixels per side of a tile, for images of more than a megapixel.
    """

    overlay: bool = False
    probabilities: bool = False
    again: bool = False
    tile: int = 512


@dataclass
class Outcome:
    """What became of the images.

    Attributes:
        written: masks.
        skipped: images whose mask was there.
        problems: images that could not be done, and why.
        same: images for which every pixel got the same class.
    """

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    same: list[Path] = field(default_factory=list)


def find_images(where: str) -> list[Path]:
    """The images that a file, a folder or a glob names, sorted.

    Raises:
        FileNotFoundError: none.
    """
    path = Path(where)
    if path.suffix.lower() == ZARR and path.exists():
        return [path]
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in (*SUFFIXES, ZARR) and not p.name.startswith(".")]
    else:
        found = [path] if path.exists() else [Path(p) for p in glob.glob(where)]
    if not found:
        raise FileNotFoundError(
            f"{shown(where)}: no image there; give a file, a folder or a glob of {', '.join(SUFFIXES)}"
        )
    return sorted(found)


def predict(
    model: nn.Module,
    card: Card,
    images: Sequence[Path],
    out: Path,
    wish: Wish | None = None,
    tell: Callable[[int, int], object] | None = None,
) -> Outcome:
    """Write OUT/NAME.png, class indices with the card's palette, for every image; .tif and .zarr for what is huge.

    Args:
        model, card: as `checkpoint.load` gives them.
        images: files.
        out: folder; made if missing.
        wish: what else; default nothing.
        tell: called after every image with (done, in all).
    """
    outcome, names = Outcome(), dict[str, Path]()
    wish = wish or Wish()
    out.mkdir(parents=True, exist_ok=True)
    for done, path in enumerate(images, 1):
        try:
            if path.stem in names:
                raise errors.ImageFileError(f"shares its name with {shown(names[path.stem].name)}; rename one")
            names[path.stem] = path
            _one(model, card, path, out, wish, outcome)
        except (errors.TconvError, OSError) as error:
            outcome.problems.append(Problem(path, str(error)))
        if tell:
            tell(done, len(images))
    return outcome


def _one(model: nn.Module, card: Card, path: Path, out: Path, wish: Wish, outcome: Outcome) -> None:
    existing = [out / f"{path.stem}{suffix}" for suffix in (".png", ".tif", ZARR)]
    if not wish.again and any(target.exists() for target in existing):
        outcome.skipped.append(path)
        return
    with open_source(path, LARGE) as source:
        if isinstance(source, Whole):
            classes = _small(model, card, path, source, out, wish)
            write_mask(existing[0], classes, card.palette)
            outcome.written.append(existing[0])
            if (classes == classes.flat[0]).all():
                outcome.same.append(path)
            return
        shape = source.shape[:2]
        bands = class_bands(model, card, source, path, tiling_of(model, wish.tile))
        if path.suffix.lower() == ZARR:
            with zarr_target(existing[2], shape, card) as array:
                for top, band in bands:
                    array[top : top + len(band)] = band
        else:
            write_tiff(existing[1], (band for _, band in bands), shape, card)
        outcome.written.append(existing[2 if path.suffix.lower() == ZARR else 1])


def _small(model: nn.Module, card: Card, path: Path, source: Whole, out: Path, wish: Wish) -> Array:
    """The classes of an image in memory; writes what was wished for."""
    image = normalised(card, source.pixels, path)
    if image.shape[1] * image.shape[2] <= WHOLE:
        found = scores(model, image)
    else:
        found = tiled_scores(model, image, tiling_of(model, wish.tile))
    classes = found.argmax(dim=0).numpy().astype(np.uint8)
    if wish.probabilities:
        with wholly(out / f"{path.stem}_probabilities.npy") as part:
            np.save(part, found.softmax(dim=0).numpy())
    if wish.overlay:
        with wholly(out / f"{path.stem}_overlay.png") as part:
            Image.fromarray(overlay(source.pixels, classes, card.palette)).save(part)
    return classes


def class_bands(
    model: nn.Module, card: Card, source: Source, path: Path, tiling: Tiling
) -> Iterator[tuple[int, Array]]:
    """Class indices from top to bottom: (first row, (rows, width) uint8); memory holds a row of tiles."""

    def window(rows: slice, columns: slice) -> Tensor:
        return normalised(card, source.read(rows, columns), path)

    for top, band in score_bands(model, window, tiling, source.shape[:2]):
        yield top, band.argmax(dim=0).numpy().astype(np.uint8)


def normalised(card: Card, pixels: Array, path: Path) -> Tensor:
    """(height, width, channels) of a file as what the model reads."""
    return Normal(card.mean, card.std)(fit_channels(pixels, card.channels, path))
