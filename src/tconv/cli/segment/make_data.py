"""`tconv segment make-data`: synthetic sets to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv.cli.segment import need_segmentation
from tconv.names import shown


def make_data(
    kind: str,
    out: Path,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 200,
    size: int = 96,
    seed: int = 0,
    part: str = "train",
) -> None:
    """Write a labelled synthetic set: images/, masks/ and classes.txt.

    digits: handwritten digits on photographs of textures, 11 classes. cells: blobs with nuclei, 3 classes. fabric:
    weaves of one colour, thin threads and rare knots, 5 classes.

        tconv segment make-data digits data -n 400
        tconv segment make-data digits unseen -n 50 --part shifted

    Args:
        kind: digits, cells or fabric.
        out: Folder to write to; made if missing.
        number: Images.
        size: Pixels per side.
        seed: Another seed gives other images.
        part: train; test, with other handwriting; or shifted, with other textures, light and sizes too.
    """
    need_segmentation("torch", "PIL", *(("sklearn", "skimage") if kind == "digits" else ()), "scipy")
    from tconv.segmentation import synthetic

    synthetic.write(out, kind, number, size, seed, part)
    print(f"wrote {number} synthetic images and masks of {size} x {size} pixels to {shown(out)}")
