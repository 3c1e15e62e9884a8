"""The comparison as text: a line per kernel, how far the training has come, and the kernels."""

from __future__ import annotations

from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import Flow, Grid
from tconv.explorer.learned.film import percent, says, steps_of
from tconv.explorer.learned.training import STEPS, Experiment, Tried
from tconv.explorer.marks import Section, rows

WIDEST = 8  # taps of a kernel that is printed
COLUMNS = ("kernel", "size", "photograph", "phases of grey differ by")


def section(experiment: Experiment) -> Section:
    """The table, the sentence, and the kernels that fit a page."""
    tried = [*experiment.fixed, *(experiment.learned(n) for n in range(len(STEPS)))]
    last = experiment.learned(len(STEPS) - 1)
    kernels = [each for each in (*experiment.fixed, last) if len(each.kernel) <= WIDEST]
    small = len(experiment.small("portrait"))
    return Section(
        "learned: fixed kernels and a trained one",
        f"A photograph, made smaller to {small}x{small} pixels and brought back by a transposed convolution of stride "
        f"{experiment.stride}; nearest, bilinear and bicubic are kernels of it, and so is one that gradient descent "
        f"finds on another photograph. Decibels say how near the result comes; phases of plain grey that differ are a "
        f"checkerboard.",
        [
            _table([*COLUMNS], [_line(each, n - len(experiment.fixed)) for n, each in enumerate(tried)]),
            Text(says(experiment, len(STEPS) - 1)),
            Flow([Grid(rows(each.kernel.round(3)), f"{each.name} {words.by(each.kernel.shape)}") for each in kernels]),
        ],
    )


def _line(tried: Tried, position: int) -> list[str]:
    name = tried.name if position < 1 else f"trained, {steps_of(position)}"
    return [name, words.by(tried.kernel.shape), f"{tried.psnr:.2f} dB", percent(tried)]


def _table(head: list[str], lines: list[list[str]]) -> Text:
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    told = [
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in (head, *lines)
    ]
    return Text("\n").join([Text(told[0], style="dim"), *map(Text, told[1:])])
