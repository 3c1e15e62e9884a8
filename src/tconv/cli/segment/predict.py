"""`tconv segment predict`: masks for new images."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tconv import errors, outputs
from tconv.cli.screen import progress
from tconv.cli.segment import MODEL, need_segmentation
from tconv.cli.streams import STREAM, incoming, outgoing, spelled
from tconv.names import shown

if TYPE_CHECKING:  # they would load PyTorch
    from torch import nn

    from tconv.segmentation import Card
    from tconv.segmentation.predict.files import Outcome
    from tconv.segmentation.predict.tasks import Wish


def predict(
    model: Path,
    *images: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    overlay: Annotated[bool, Parameter(negative=())] = False,
    probabilities: Annotated[bool, Parameter(negative=())] = False,
    again: Annotated[bool, Parameter(negative=())] = False,
    tile: int = 512,
    memory: str = "",
    axes: str = "",
    dask: str | None = None,
    flips: str | None = None,
    finish: bool = True,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> int:
    """Write a mask for every image: class indices with a palette, as large as the image.

    Images of more than a megapixel are done in overlapping tiles without visible seams. A TIFF of more than a quarter
    of a gigapixel is read by window and answered by a TIFF, a Zarr array by a Zarr array. A GeoTIFF is answered by a
    GeoTIFF, and a world file goes with its mask. Pixels that are NaN or nodata are 255 in the mask. What has a mask is
    skipped; a bad file is reported, and the rest is done; status 1 then. Nothing is written into the folder of the
    images, nor over a mask that tconv did not write.

    With --dask the workers of a Dask cluster compute: a file at a time each, or a row of tiles of an image that is read
    by window. Scheduler and workers need this tconv, and the workers must see the images under the same paths; masks
    are written here. A worker may die. Masks are the same to the bit if processors are alike and each worker has as
    many threads (OMP_NUM_THREADS) as this process would have; else scores differ by rounding.

        tconv segment predict run photos -o masks --overlay
        tconv segment predict run a.png b.jpg 'scans/*.tif' -o masks
        tconv segment predict run1 run2 photos -o masks
        tconv segment predict run - -o - < photo.png > mask.png
        tconv segment predict run /net/scans -o masks --dask tcp://10.0.0.1:8786

    Args:
        model: A run folder, which means its best checkpoint, or all of its folds; or a checkpoint. Several may stand
            one after the other before the images: their probabilities are averaged.
        images: Files, folders or globs; or - for one image from standard input.
        out: Folder to write to, made if missing; or - for the mask of one image to standard output.
        overlay: Write NAME_overlay.png too, except for images that are read by window.
        probabilities: Write NAME_probabilities.npy too, (classes, height, width), with the same exception.
        again: Write masks again that tconv has written.
        tile: Pixels per side of a tile.
        memory: What a tile may take, as in 2GiB; default a quarter of the machine's memory.
        axes: What the axes of TIFF images are, in their order, as in CYX; default as in training.
        dask: Address of a Dask scheduler, tcp://HOST:PORT.
        flips: Average over mirror images: none, horizontal or both; default what was best on held-out images.
        finish: Do with the result what was best on held-out images: remove small pieces, fill holes, average flips.
        quiet: Print problems only.
    """
    need_segmentation(*MODEL)
    from tconv.segmentation.ensemble import assemble, leading_models, load_parts
    from tconv.segmentation.memory import budget
    from tconv.segmentation.predict.files import find_all
    from tconv.segmentation.predict.files import predict as run
    from tconv.segmentation.predict.tasks import Wish

    models, images = leading_models([str(model), *images])
    if not images:
        raise errors.TconvError("name the images: files, folders or globs, or - for standard input")
    wish = Wish(overlay, probabilities, again, tile, budget(memory), axes)
    parts = load_parts(models)
    if not finish:
        parts = [(network, replace(card, finish={})) for network, card in parts]
    network, card = assemble(parts, flips)
    if STREAM in images or str(out) == STREAM:
        return _one(network, card, images, str(out), wish)
    found = find_all(images)
    outputs.check_folder(out, found)
    with progress("images", len(found), quiet) as report:
        outcome = run(network, card, found, out, wish, lambda done, _: report(done), dask)
    _say(outcome, card, out, quiet)
    return 1 if outcome.problems else 0


def _one(network: nn.Module, card: Card, images: tuple[str, ...], out: str, wish: Wish) -> int:
    """One image in, one mask out, of which at least one is a stream."""
    from tconv.segmentation.predict.files import predict as run

    if len(images) != 1:
        raise errors.TconvError("- stands for one image: give one image, and -o - or -o FILE")
    with incoming(images[0]) as source, outgoing(out, ".png") as target, TemporaryDirectory() as place:
        if out != STREAM:
            outputs.check_file(target, [source], again=wish.again)
        outcome = run(network, card, [source], Path(place), wish)
        for problem in outcome.problems:
            raise errors.ImageFileError(str(problem).replace(shown(source), "standard input"))
        _move(outcome.written[0], target)
    print(f"wrote {spelled(out) if out != STREAM else 'a mask to standard output'}", file=sys.stderr)
    return 0


def _move(mask: Path, target: Path) -> None:
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(mask, target)


def _say(outcome: Outcome, card: Card, out: Path, quiet: bool) -> None:
    """What became of the images, and what must be known of the model."""
    from tconv.segmentation.report import worse_than

    for problem in outcome.problems:
        print(f"problem: {problem}")
    if quiet:
        return
    if len(outcome.same) > 1 and len(outcome.same) == len(outcome.written):
        print("note: in every image all pixels got the same class; is the model trained, and on images like these?")
    reached, majority = (card.metrics.get(name) for name in ("mean_iou", "majority"))
    if outcome.written and isinstance(reached, float) and isinstance(majority, float):
        for line in worse_than(reached, majority, "the most frequent class"):
            print(f"note: {line}")
    skipped = f", skipped {len(outcome.skipped)} that have one (--again writes them)" if outcome.skipped else ""
    if outcome.foreign:
        skipped = f", skipped {len(outcome.skipped)} that have one, {len(outcome.foreign)} of them not by tconv"
    failed = f", {len(outcome.problems)} problems" if outcome.problems else ""
    print(f"wrote {len(outcome.written)} masks to {shown(out)}{skipped}{failed}")
