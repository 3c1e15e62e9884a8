"""`tconv segment check-data`: everything that is wrong with a folder, at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tconv import outputs
from tconv.cli.screen import show_json
from tconv.cli.segment import READING, need_segmentation
from tconv.names import printable, shown

if TYPE_CHECKING:  # it would load PyTorch
    from tconv.segmentation.data.findings import Found


def check_data(
    folder: Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    seed: int = 0,
    axes: str = "",
    colors: Path | None = None,
    again: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Pair images with masks, read all of them, and report every problem at once.

    Layouts: images/ and masks/ (masks may add _mask and the like to the name), Carvana, Pascal VOC, Oxford pets,
    pairs.csv with a line IMAGE,MASK per pair, COCO's annotations.json, annotations/instances_*.json or
    _annotations.coco.json, with polygons or run lengths, or a JSON file of labelme per image. A file classes.txt, with
    a line VALUE NAME per class, says which values masks may have; without it they are found. Masks may be in colours,
    by classes.csv with a line NAME,RED,GREEN,BLUE per class, or by the few colours there are; and they may number
    objects, which are then one class. Status 1 if there are problems.

        tconv segment check-data data
        tconv segment check-data coco/annotations/instances_val2017.json
        tconv segment check-data data -o contact_sheet.png

    Args:
        folder: The data, or its COCO file.
        out: Where to write a contact sheet of samples, a PNG.
        seed: Of the samples.
        axes: What the axes of TIFF images are, in their order, as in CYX; default what they say.
        colors: Table of colours, if it does not lie in the folder.
        again: Replace a contact sheet that is there.
        json: Print everything as JSON.
    """
    need_segmentation(*READING)
    from tconv.segmentation.data.check import check

    found = check(folder, axes=axes, colours=colors)
    if json:
        show_json(_content(found))
    else:
        _print(found)
    if out and found.items:
        from tconv.segmentation.data.gallery import contact_sheet

        inputs = [path for item in found.items for path in (item.pair.image, item.pair.mask_file)]
        outputs.check_file(out, inputs, again, apart=True)
        with outputs.wholly(out) as part:
            contact_sheet(found, seed, shown(folder)).save(part, format="PNG")
        print(f"\nwrote {shown(out)}", file=sys.stderr if json else sys.stdout)
    sys.stdout.flush()
    return 1 if found.problems or found.conflict else 0


def _print(found: Found) -> None:
    from tconv.segmentation.report import aligned

    for problem in found.problems:
        print(f"problem: {problem}")
    for note in found.notes:
        print(f"note: {printable(note)}")
    print(f"{len(found.items)} sound pairs, {len(found.problems)} problems")
    if found.legend is None:
        return
    sizes = sorted({item.shape for item in found.items})
    said = ", ".join(f"{width} x {height} x {channels}" for height, width, channels in sizes[:4])
    print(f"sizes: {said}{f' and {len(sizes) - 4} more' if len(sizes) > 4 else ''}")
    print(f"{len(found.legend.values)} classes: {found.legend}\n")
    balance = found.balance()
    total = max(1, sum(balance.values()))
    rows = [
        [name, str(value), f"{balance.get(value, 0) / total:.2%}", str(sum(value in i.counts for i in found.items))]
        for value, name in zip(found.legend.values, found.legend.names, strict=True)
    ]
    print("\n".join(aligned(["class", "value", "of all pixels", "in masks"], rows)))


def _content(found: Found) -> dict[str, Any]:
    """All that is found, for JSON."""
    balance = found.balance()
    legend = found.legend
    return {
        "pairs": len(found.items),
        "problems": [{"file": str(problem.path), "message": str(problem)} for problem in found.problems],
        "conflict": found.conflict or None,
        "notes": found.notes,
        "sizes": sorted({item.shape for item in found.items}),
        "ignored": legend.ignore if legend else None,
        "classes": [
            {"value": value, "name": name, "pixels": balance.get(value, 0),
             "masks": sum(value in item.counts for item in found.items),
             "color": legend.colours[n] if legend.colours else None}
            for n, (value, name) in enumerate(zip(legend.values, legend.names, strict=True))
        ] if legend else [],
    }  # fmt: skip
