"""A network as text: a line per level, where a size does not fit and what repairs it, and what one output sees."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from tconv.explorer import words
from tconv.explorer.grids import Facts
from tconv.explorer.marks import Section
from tconv.explorer.network import sentences
from tconv.explorer.network.plan import Network
from tconv.geometry import Sizes

COLUMNS = ("level", "down", "pooled", "up from", "up to", "sees", "then")


def section(net: Network, cell: Sizes) -> Section:
    """The table, and its sentences."""
    fields = net.fields(cell)
    rows: list[tuple[str, ...]] = [COLUMNS]
    for n, level in enumerate(net.levels):
        up = ("", "") if level.up is None else (words.by(level.up.at), words.by(level.up.plain))
        seen = sentences.interval(fields.down[n])
        rows.append((str(n), words.by(level.down), words.by(level.pooled), *up, seen, level.says))
    rows.append(("bottom", words.by(net.bottom), "", "", "", sentences.interval(fields.bottom), ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    hues = ["dim", *("red" if each.misfit else "yellow" if each.repaired else "" for each in net.levels), ""]
    apart = any(";" in level.says for level in net.levels)  # axis by axis: too long for a column
    lines = []
    for (*cells, last), hue in zip(rows, hues, strict=True):
        told = "  ".join(text.rjust(width) for text, width in zip(cells, widths, strict=False))
        lines.append(Text.assemble((told, hue if hue == "dim" else ""), "  ", ("" if apart else last, hue)))
    body: list[RenderableType] = [Text("\n").join(lines)]
    if apart:
        body.append(Facts([(f"level {n}", level.says) for n, level in enumerate(net.levels)]))
    body.append(Facts([("", sentences.summary(net)), ("", sentences.sees(net, cell, fields.image))]))
    return Section(
        "network: the sizes on the way down and up again",
        f"Each level has a map on the way down; a transposed convolution brings what lies below back to its size. "
        f"'sees' is what output cell {','.join(map(str, cell))} sees of the map on the way down.",
        body,
    )
