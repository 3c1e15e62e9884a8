"""`tconv upsample`: enlarge a picture of any size."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from tconv.arrays import Array
from tconv.cli.options import read_array
from tconv.cli.streams import STREAM, incoming, outgoing, spelled
from tconv.names import shown

PATIENCE = 1.0  # seconds of work after which a progress bar appears, on a terminal


def upsample(
    image: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    scale: int = 2,
    kernel: str = "bicubic",
    again: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Enlarge a PNG, JPEG or TIFF, of any size in bounded memory.

    Bit depth, channels and metadata are kept; the suffix of the output chooses its format.

        tconv upsample photo.jpg -o large.png
        tconv upsample scan.tif --scale 3 --kernel bilinear -o large.tif
        tconv upsample photo.png --kernel learned_x2.npy -o large.png
        tconv upsample - -o - < photo.jpg > large.png

    Args:
        image: The picture to read; or - for standard input.
        out: The picture to write; or - for a PNG to standard output.
        scale: Output pixels per input pixel and side, a whole number.
        kernel: nearest, bilinear, bicubic; or a .npy file with a kernel of shape (k, k) or (1, 1, k, k) for every
            channel, or (channels, 1, k, k).
        again: Replace a picture that is there.
        quiet: Print nothing.
    """
    from tconv import images

    start = perf_counter()
    console = Console(stderr=True)
    silent = quiet or not console.is_terminal
    with (
        Progress(console=console, transient=True, disable=silent) as progress,
        incoming(str(image)) as source,
        outgoing(str(out), ".png") as target,
    ):
        bar = progress.add_task(shown(image.name), visible=False)

        def report(done: int, rows: int) -> None:
            progress.update(bar, completed=done, total=rows, visible=perf_counter() - start > PATIENCE)

        before, after = images.upsample(source, target, scale, read_kernel(kernel), report, again)
    if not quiet:
        names = f"{spelled(image)} ({before}) -> {spelled(out)} ({after})"
        said = f"{names}: {kernel} x{scale}, {perf_counter() - start:.2f} s"
        print(said, file=sys.stderr if str(out) == STREAM else sys.stdout)


def read_kernel(text: str) -> str | Array:
    """The array in a .npy file; another name as it is, for `Upsampler` to judge."""
    return read_array("kernel", text) if text.endswith(".npy") else text
