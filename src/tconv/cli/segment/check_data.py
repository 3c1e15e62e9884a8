"""`tconv segment check-data`: everything that is wrong with a folder, at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tconv.cli.segment import need_segmentation


def check_data(
    folder: Path, *, out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None, seed: int = 0
) -> int:
    """Pair images with masks, read all of them, and report every problem at once.

    Layouts: images/ and masks/ (masks may add _mask and the like to the name), Carvana, Pascal VOC, Oxford pets,
    pairs.csv with a line IMAGE,MASK per pair, or COCO's annotations.json, annotations/instances_*.json or
    _annotations.coco.json, with polygons or run lengths. A file classes.txt, with a line VALUE NAME per class, says
    which values masks may have; without it they are found. Status 1 if there are problems.

        tconv segment check-data data
        tconv segment check-data coco/annotations/instances_val2017.json
        tconv segment check-data data -o contact_sheet.png

    Args:
        folder: The data, or its COCO file.
        out: Where to write a contact sheet of samples, a PNG.
        seed: Of the samples.
    """
    need_segmentation()
    from tconv.segmentation.data.check import check
    from tconv.segmentation.data.pixels import shown
    from tconv.segmentation.report import aligned

    found = check(folder)
    for problem in found.problems:
        print(f"problem: {problem}")
    for note in found.notes:
        print(f"note: {note}")
    print(f"{len(found.items)} sound pairs, {len(found.problems)} problems")
    if found.legend is not None:
        sizes = sorted({item.shape for item in found.items})
        said = ", ".join(f"{width} x {height} x {channels}" for height, width, channels in sizes[:4])
        print(f"sizes: {said}{f' and {len(sizes) - 4} more' if len(sizes) > 4 else ''}")
        print(f"{len(found.legend.values)} classes: {found.legend}\n")
        balance = found.balance()
        total = sum(balance.values())
        rows = [
            [name, str(value), f"{balance.get(value, 0) / total:.2%}", str(sum(value in i.counts for i in found.items))]
            for value, name in zip(found.legend.values, found.legend.names, strict=True)
        ]
        print("\n".join(aligned(["class", "value", "of all pixels", "in masks"], rows)))
        if out:
            from tconv.segmentation.data.gallery import contact_sheet
            from tconv.segmentation.wholly import wholly

            with wholly(out) as part:
                contact_sheet(found, seed, shown(folder)).save(part, format="PNG")
            print(f"\nwrote {out}")
    sys.stdout.flush()
    return 1 if found.problems else 0
