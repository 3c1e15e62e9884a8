"""Masks for a file, a folder or a glob: what is done is skipped, what is bad is reported, and the rest is done."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import nn

from tconv import errors, outputs
from tconv.arrays import Array
from tconv.names import reason, shown
from tconv.outputs import write
from tconv.segmentation.card import Card
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.data.masks import is_marked
from tconv.segmentation.data.pairs import Problem, composed
from tconv.segmentation.data.pixels import SUFFIXES
from tconv.segmentation.predict import windows
from tconv.segmentation.predict.crew import Crew, Here, ready, result_of
from tconv.segmentation.predict.tasks import OVERLAY, Made, Picture, Row, Wish, picture, row
from tconv.segmentation.predict.tiles import Strip, Tiling, as_classes, bands, tiling_of
from tconv.segmentation.predict.windows import ZARR, Chunked, by_window, is_large, write_tiff, write_zarr

MASKS = (".png", ".tif", ZARR)  # what follows the names of masks
WORLDS = (".pgw", ".tfw")


@dataclass
class Outcome:
    """What became of the images.

    Attributes:
        written: masks.
        skipped: images whose mask was there.
        foreign: those of them whose mask was not written by tconv, and is left as it is.
        problems: images that could not be done, and why.
        same: images for which every pixel got the same class.
    """

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
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


def find_all(places: Sequence[str]) -> list[Path]:
    """What `find_images` finds in several places, in their order, and each once."""
    return list(dict.fromkeys(path for where in places for path in find_images(where)))


def predict(
    model: nn.Module,
    card: Card,
    images: Sequence[Path],
    out: Path,
    wish: Wish | None = None,
    tell: Callable[[float, int], object] | None = None,
    dask: str | None = None,
) -> Outcome:
    """Write OUT/NAME.png, class indices with the card's palette, for every image; .tif and .zarr for what is huge.

    Args:
        model, card: as `checkpoint.load` gives them; the model is folded (`tconv.nn.fold`), its weights channels-last.
        images: files.
        out: folder; made if missing.
        wish: what else; default nothing.
        tell: called with (done, in all) after every image, and every row of tiles of a huge one.
        dask: address of a Dask scheduler whose workers compute, tcp://HOST:PORT; default this process. The workers must
            see the images under the same paths; masks are written here.

    Raises:
        ClusterError: no cluster to work with, or it has gone away; what is written stays.
        TconvError, OSError: nothing can be done at all; what is wrong with an image, or with the folder as a place for
            masks, is in the outcome.
    """
    wish = wish or Wish()
    try:
        outputs.check_folder(out, images)
    except errors.ImageFileError as error:
        return Outcome(problems=[Problem(out, str(error))])
    with _crew(model, card, dask, images) as crew:
        out.mkdir(parents=True, exist_ok=True)
        run = _Run(crew, card, tiling_of(model, wish.tile, wish.memory), out, wish, len(images), tell)
        run.pictures(images)
        run.large()
    run.outcome.written.sort()
    run.outcome.problems.sort(key=lambda problem: problem.path)
    return run.outcome


@contextmanager
def _crew(model: nn.Module, card: Card, dask: str | None, images: Sequence[Path]) -> Iterator[Crew]:
    if dask is None:
        yield Here(ready(model), card)
        return
    from tconv.segmentation.predict.cluster import cluster

    with cluster(dask, model, card, images[0] if images else None) as crew:
        yield crew


@dataclass
class _Run:
    """One call of `predict`: its arguments and what became of the images."""

    crew: Crew
    card: Card
    tiling: Tiling
    out: Path
    wish: Wish
    total: int
    tell: Callable[[float, int], object] | None
    outcome: Outcome = field(default_factory=Outcome)
    later: list[Path] = field(default_factory=list)  # images that are larger than memory

    def pictures(self, images: Sequence[Path]) -> None:
        """Do what fits into memory; the rest is left to `large`."""
        for job, made in self.crew.each(picture, self._jobs(images)):
            with self._noted(job.path):
                self._keep(job.path, result_of(made))

    def _jobs(self, images: Sequence[Path]) -> Iterator[Picture]:
        """What is not done yet and fits into memory, as it is asked for: to open thousands of files takes its time."""
        names = dict[str, Path]()
        stems = {composed(path.stem): path for path in images}
        for path in images:
            with self._noted(path):
                name = composed(path.stem)
                other = stems.get(name + OVERLAY.removesuffix(".png")) if self.wish.overlay else None
                if other is not None:
                    raise errors.ImageFileError(
                        f"would have its overlay where {shown(other.name)} has its mask; rename one"
                    )
                if name in names:
                    raise errors.ImageFileError(f"shares its name with {shown(names[name].name)}; rename one")
                names[name] = path
                if self._is_done(path):
                    self.outcome.skipped.append(path)
                elif is_large(path, windows.LARGE):
                    self.later.append(path)
                else:
                    yield Picture(path, self.wish, self.tiling)

    def _is_done(self, path: Path) -> bool:
        """Whether the mask of an image is there and stays: always where somebody else wrote it.

        Raises:
            ImageFileError: it was to be written again, and is not ours.
        """
        masks = [target for target in (self._target(path, suffix) for suffix in MASKS) if target.exists()]
        foreign = [target for target in masks if not _is_ours(target)]
        if masks and not self.wish.again:
            self.outcome.foreign += [path] if foreign else []
            return True
        beside = [self._target(path, ending) for ending in self._companions()]
        foreign += [target for target in beside if target.exists() and not _is_ours(target)]
        if foreign:
            raise errors.ImageFileError(
                f"{shown(foreign[0])} was not written by tconv and is not replaced; give another folder"
            )
        return False

    def _companions(self) -> list[str]:
        """What follows the names of files beside the masks."""
        wished = {OVERLAY: self.wish.overlay, "_probabilities.npy": self.wish.probabilities}
        return [ending for ending, is_wished in wished.items() if is_wished]

    def _keep(self, path: Path, made: Made) -> None:
        for ending, content in made.files.items():
            if ending in WORLDS and self._target(path, ending).exists():
                continue  # it may be somebody's; of an image that lies there, it says the same
            write(self._target(path, ending), content)
        self.outcome.written.append(self._target(path, list(made.files)[-1]))
        if made.same:
            self.outcome.same.append(path)

    def large(self) -> None:
        """Do what is larger than memory, one after the other: the rows of tiles of one keep the whole crew busy."""
        for path in self.later:
            with self._noted(path), by_window(path, self._axes) as source:
                shape, place = source.shape[:2], source.found.place
                rows = _without_missing(source, bands(self._strips(path, shape[0]), as_classes))
                if path.suffix.lower() == ZARR:
                    target = self._target(path, ZARR)
                    write_zarr(target, rows, shape, self.card)
                else:
                    target = self._target(path, ".tif")
                    write_tiff(target, rows, shape, self.card, place)
                    if place.world and not self._target(path, ".tfw").exists():
                        write(self._target(path, ".tfw"), place.world)
                self.outcome.written.append(target)

    @property
    def _axes(self) -> str:
        return self.wish.axes or self.card.axes

    def _strips(self, path: Path, height: int) -> Iterator[Strip]:
        """The rows of tiles of an image, from top to bottom."""
        cuts = self.tiling.cuts(height)
        jobs = (Row(path, cut, self.tiling, self._axes) for cut in cuts)
        for n, (_, strip) in enumerate(self.crew.each(row, jobs, in_order=True), 1):
            yield result_of(strip)
            self._tell(n / len(cuts))

    def _target(self, path: Path, ending: str) -> Path:
        return self.out / f"{path.stem}{ending}"

    @contextmanager
    def _noted(self, path: Path) -> Iterator[None]:
        """What is wrong with a file is noted, and the next one is done."""
        try:
            yield
        except errors.ClusterError:
            raise  # no file can be done then
        except (errors.TconvError, OSError) as error:
            self.outcome.problems.append(Problem(path, reason(error)))
        self._tell()

    def _tell(self, part: float = 0) -> None:
        if self.tell:
            done = len(self.outcome.written) + len(self.outcome.skipped) + len(self.outcome.problems)
            self.tell(done + part, self.total)


def _without_missing(source: Chunked, rows: Iterable[Array]) -> Iterator[Array]:
    """Bands of classes, in which pixels that are none are left out."""
    top = 0
    for band in rows:
        if not source.complete and len(band):
            valid = source.read(slice(top, top + len(band))).valid
            if valid is not None:
                band[~valid] = IGNORED
        top += len(band)
        yield band


def _is_ours(target: Path) -> bool:
    """Whether a file that is there was written by tconv; scores of all classes have no other mark than their shape."""
    try:
        if target.suffix == ".npy":
            scores = np.load(target, mmap_mode="r", allow_pickle=False)
            return bool(scores.ndim == 3 and scores.dtype == np.float32)
        if target.suffix == ZARR:
            return "classes" in json.loads((target / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        return is_marked(target)
    except (OSError, ValueError, KeyError, TypeError, errors.TconvError):  # it is something else, or damaged
        return False
