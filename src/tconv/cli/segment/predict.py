"""`tconv segment predict`: masks for new images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from tconv.cli.segment import need_segmentation


def predict(
    model: Path,
    images: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    overlay: Annotated[bool, Parameter(negative=())] = False,
    probabilities: Annotated[bool, Parameter(negative=())] = False,
    again: Annotated[bool, Parameter(negative=())] = False,
    tile: int = 512,
    dask: str | None = None,
) -> int:
    """Write a mask for every image: class indices with a palette, as large as the image.

    Images of more than a megapixel are done in overlapping tiles without visible seams. A TIFF of more than a quarter
    of a gigapixel is read by window and answered by a TIFF, a Zarr array by a Zarr array. What has a mask is skipped;
    a bad file is reported, and the rest is done; status 1 then.

    With --dask the workers of a Dask cluster compute: a file at a time each, or a row of tiles of an image that is read
    by window. Scheduler and workers need this tconv, and the workers must see the images under the same paths; masks
    are written here. A worker may die. Masks are the same to the bit if processors are alike and each worker has as
    many threads (OMP_NUM_THREADS) as this process would have; else scores differ by rounding.

        tconv segment predict run photos -o masks --overlay
        tconv segment predict run/best.safetensors 'scans/*.tif' -o masks
        tconv segment predict run /net/scans -o masks --dask tcp://10.0.0.1:8786

    Args:
        model: A run folder, which means its best checkpoint, or a checkpoint.
        images: A file, a folder, or a glob in quotes.
        out: Folder to write to; made if missing.
        overlay: Write NAME_overlay.png too, except for images that are read by window.
        probabilities: Write NAME_probabilities.npy too, (classes, height, width), with the same exception.
        again: Write masks that exist already.
        tile: Pixels per side of a tile.
        dask: Address of a Dask scheduler, tcp://HOST:PORT.
    """
    need_segmentation()
    from tconv.segmentation import load
    from tconv.segmentation.predict.files import find_images
    from tconv.segmentation.predict.files import predict as run
    from tconv.segmentation.predict.tasks import Wish

    network, card = load(model)
    found = find_images(images)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"{len(found)} images", total=len(found))
        wish = Wish(overlay, probabilities, again, tile)
        outcome = run(network, card, found, out, wish, lambda done, _: progress.update(bar, completed=done), dask)
    for problem in outcome.problems:
        print(f"problem: {problem}")
    if len(outcome.same) > 1 and len(outcome.same) == len(outcome.written):
        print("note: in every image all pixels got the same class; is the model trained, and on images like these?")
    skipped = f", skipped {len(outcome.skipped)} that have one (--again writes them)" if outcome.skipped else ""
    failed = f", {len(outcome.problems)} problems" if outcome.problems else ""
    print(f"wrote {len(outcome.written)} masks to {out}{skipped}{failed}")
    return 1 if outcome.problems else 0
