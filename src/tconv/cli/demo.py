"""`tconv demo`: what a transposed convolution is, what learned ones can do, and how fast it is here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tconv import errors, extras, outputs
from tconv.arrays import Array
from tconv.cli import race
from tconv.cli.screen import show
from tconv.cli.segment import need_segmentation
from tconv.functional import conv_transpose2d

SHOWN = "astronaut"
HELD_OUT = (SHOWN, "chelsea", "coffee", "rocket")  # the colour photographs
DETAIL = (78, 196)  # her eyes: row and column
CREDIT = "Photograph: Eileen Collins, NASA, public domain."
X, W = [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]]


def demo(*, out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("out"), training: bool = True) -> None:
    """Learn to enlarge photographs, compare with nearest, bilinear and bicubic, time a U-Net's layers, and train one.

    Takes less than a minute without the training, which takes two on two cores; downloads nothing. Writes demo.png,
    the comparison; learned_x2.npy, a kernel for `tconv upsample --kernel`; digits.png, what the U-Net reads in images
    it has not seen; features.png, what it sees in them; and digits.safetensors, the network, for `tconv segment
    predict` and `tconv see`.

        tconv demo
        tconv demo -o somewhere --no-training

    Args:
        out: Folder to write to; created if it is missing.
        training: Train a U-Net too; needs the extra `segmentation`.
    """
    out.mkdir(parents=True, exist_ok=True)
    show(Text("\nA transposed convolution", "bold"), worked_example())
    show(Text("\nPhotographs halved and brought back: PSNR in dB", "bold"), photographs(out))
    show("The kernel in each row was learned from the other photographs only.")
    show(Text("\nThe up-layers of a U-Net: milliseconds", "bold"), up_layers(race.race()))
    show(f"\nWrote {out / 'demo.png'} and {out / 'learned_x2.npy'}. Now try it on a picture of your own:")
    print(f"tconv upsample photo.jpg --kernel {out / 'learned_x2.npy'} -o photo_x2.jpg")
    if training:
        network(out)


def network(out: Path) -> None:
    """The training, or which package it lacks."""
    show(Text("\nA U-Net learns to read digits, in two minutes", "bold"))
    try:
        need_segmentation()
    except errors.TconvError as error:
        print(error)
        return
    from tconv.cli.digits import digits

    show(_aligned(digits(out)))
    show(f"\nWrote {out / 'digits.png'}, {out / 'features.png'} and {out / 'digits.safetensors'}.")


def worked_example() -> Table:
    """The smallest interesting case, computed."""
    x, w = np.array([[X]], np.float32), np.array([[W]], np.float32)
    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(vertical="middle")
    y = conv_transpose2d(x, w)
    table.add_row(*(part if isinstance(part, str) else _matrix(part[0, 0]) for part in (x, "*", w, "=", y)))
    return table


def photographs(out: Path) -> Table:
    """Run the experiment with each photograph held out in turn; draws the first and keeps its kernel."""
    for package in ("scipy", "skimage", "PIL", "pyvips"):
        if find_spec(package) is None:
            raise errors.TconvError(f"the demo needs {package}: {extras.cure('images')}")
    from tconv.images import experiment
    from tconv.images.poster import poster

    results = {name: experiment.run(name) for name in HELD_OUT}
    poster(results[SHOWN], DETAIL, CREDIT).save(out / "demo.png")
    with outputs.wholly(out / "learned_x2.npy") as part:
        np.save(part, results[SHOWN].learned)
    table = Table("photograph", *results[SHOWN].psnr, "gain on bicubic", box=None)
    for name, result in results.items():
        gain = result.psnr["learned"] - result.psnr["bicubic"]
        table.add_row(name, *(f"{value:.2f}" for value in result.psnr.values()), f"{gain:+.2f}")
    return _aligned(table)


def up_layers(seconds: dict[str, tuple[float, ...]]) -> Group:
    """Median milliseconds per layer and contender, and how they compare; `seconds` as `race.race` returns them."""
    times = {name.replace("_", "\n", 1): [*layers, sum(layers)] for name, layers in seconds.items()}
    theirs = [name for name in times if name.startswith("torch")]
    ours = [name for name in times if name not in theirs]
    table = Table("layer", *times, *(["torch\n/ tconv"] if theirs else []), box=None)
    for row, layer in enumerate([*(f"{ci} -> {co}, {n} x {n}" for ci, co, n in race.LAYERS), "all four"]):
        cells = [f"{1e3 * column[row]:.1f}" for column in times.values()]
        if theirs:
            cells.append(f"{min(times[name][row] for name in theirs) / min(times[name][row] for name in ours):.2f}")
        table.add_row(layer, *cells)
    said = "Last column: the better of each; above 1, tconv is faster." if theirs else "PyTorch is not installed."
    return Group(_aligned(table), Text(said))


def _matrix(values: Array) -> Table:
    table = Table.grid(padding=(0, 1))
    for row in values:
        table.add_row(*(f"{value:g}" for value in row))
    return table


def _aligned(table: Table) -> Table:
    """Numbers under one another."""
    for column in table.columns[1:]:
        column.justify = "right"
    return table
