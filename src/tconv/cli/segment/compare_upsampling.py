"""`tconv segment compare-upsampling`: the same U-Net with each way to upsample."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv.cli.segment import need_segmentation
from tconv.segmentation.train.settings import DEFAULTS, Settings


def compare_upsampling(
    folder: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    config: Path | None = None,
    settings: Annotated[Settings, Parameter(name="*")] = DEFAULTS,
) -> None:
    """Train the same U-Net with learned and fixed upsampling, and compare quality, checkerboards, size and speed.

    Writes a run folder for each, and compare.png. Runs that are there already are not trained again.

        tconv segment compare-upsampling data -o runs --epochs 20 --features 16,32,64 --size 96

    Args:
        folder: The data, as for check-data.
        out: Folder for the runs; made if missing.
        config: TOML file with options, which those of the command line go before.
        settings: How to train; --up and --model have no effect.
    """
    need_segmentation()
    from tconv.segmentation import compare, report

    rows = compare.compare(folder, out, settings, tell=lambda up: print(f"training {up} ...", file=sys.stderr))
    heads = ["up", "mean IoU", "checkerboard", "parameters", "inference ms", "maps MB", "s per epoch"]
    cells = [
        [row.up, f"{row.mean_iou:.3f}", f"{row.checkerboard:.1e}", f"{row.parameters:,}", f"{1e3 * row.seconds:.1f}",
         f"{row.megabytes:.0f}", f"{row.training:.1f}"]
        for row in rows
    ]  # fmt: skip
    print("\n".join(report.aligned(heads, cells)))
    compare.figure(rows, out / "compare.png")
    print(f"\ncheckerboard: part of the scores that repeats with the upsampling's period; wrote {out / 'compare.png'}")
