"""`tconv upsample`: enlarge a picture of any size."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from tconv.arrays import Array
from tconv.cli.options import read_array

PATIENCE = 1.0  # seconds of work after which a progress bar appears, on a terminal


def upsample(
    image: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    scale: int = 2,
    kernel: str = "bicubic",
) -> None:
    """Enlarge a PNG, JPEG or TIFF, of any size in bounded memory.

    Bit depth, channels and metadata are kept; the suffix of the output chooses its format.

        tconv upsample photo.jpg -o large.png
        tconv upsample scan.tif --scale 3 --kernel bilinear -o large.tif
        tconv upsample photo.png --kernel learned_x2.npy -o large.png

    Args:
        image: The picture to read.
        out: The picture to write; replaced if it exists.
        scale: Output pixels per input pixel and side.
        kernel: nearest, bilinear, bicubic; or a .npy file with a kernel of shape (k, k) or (1, 1, k, k) for every
            channel, or (channels, 1, k, k).
    """
    from tconv import images

    start = perf_counter()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(image.name, visible=False)

        def report(done: int, rows: int) -> None:
            progress.update(bar, completed=done, total=rows, visible=perf_counter() - start > PATIENCE)

        before, after = images.upsample(image, out, scale, read_kernel(kernel), report)
    print(f"{image} ({before}) -> {out} ({after}): {kernel} x{scale}, {perf_counter() - start:.2f} s")


def read_kernel(text: str) -> str | Array:
    """The array in a .npy file; another name as it is, for `Upsampler` to judge."""
    return read_array("kernel", text) if text.endswith(".npy") else text
