"""Numbers on a page: grids of cells, grids side by side, short lines in columns. Nothing here knows the layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from rich.console import Console, ConsoleOptions
from rich.text import Text

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
NOTHING = "·"  # where there is no number: an inserted zero, a place that no stamp covers


class Cell(NamedTuple):
    """One number on the page."""

    text: str
    style: str = ""


EMPTY = Cell(NOTHING, "dim")
Rows: TypeAlias = Sequence[Sequence[Cell]]
Line: TypeAlias = Text | str


def colour(index: int) -> str:
    """The colour of the index-th input or phase; they repeat."""
    return COLOURS[index % len(COLOURS)]


def text(line: Line) -> Text:
    """`line` as rich text."""
    return Text(line) if isinstance(line, str) else line


@dataclass(frozen=True)
class Grid:
    """Cells in rows and aligned columns.

    Attributes:
        title: a line above.
        labels: one in front of each row, or none at all.
        frame: the (rows, columns) that a frame is drawn around.
        rule: the row that a line is drawn above, as above a sum.
        width: of a column, at least, so that neighbouring grids look alike.
    """

    rows: Rows
    title: Line = ""
    labels: Sequence[Line] = ()
    frame: tuple[range, range] | None = None
    rule: int | None = None
    width: int = 1

    def lines(self, room: int) -> list[Text]:
        """The grid in `room` characters; columns that do not fit are left out, and marked so."""
        labels = [text(label) for label in self.labels] or [Text()] * len(self.rows)
        margin = max([label.cell_len + 2 for label in labels if label], default=0)
        cell = max([self.width] + [len(cell.text) for row in self.rows for cell in row])
        columns = max(map(len, self.rows), default=0)
        gaps = [self._gap(column, columns, " │ ") for column in range(columns + 1)]
        drawn: list[Text] = []
        for row, cells in enumerate(self.rows):
            drawn += self._between(row, gaps, cell, margin)
            line = labels[row] + " " * (margin - labels[row].cell_len)
            for gap, each in zip(gaps, [*cells, Cell("")], strict=False):
                inside = gap if self.frame and row in self.frame[0] else " " * len(gap)
                line += Text.assemble((inside, "bold"), (each.text.rjust(cell) if each.text else "", each.style))
            drawn.append(line)
        drawn += self._between(len(self.rows), gaps, cell, margin)
        ends = [margin + cell * n + end for n, end in enumerate(accumulate(map(len, gaps)))]
        if ends[-1] > room:
            whole = [end - len(gap) for gap, end in zip(gaps, ends, strict=True)]
            fits = max([end for end in whole[1:] if end <= room - 2], default=0)
            drawn = [line[:fits] + Text(" …", "dim") for line in drawn]
        return [text(self.title)] * bool(self.title) + drawn

    def _gap(self, column: int, columns: int, edge: str) -> str:
        """What stands in front of `column` inside the frame's rows."""
        if self.frame and column in (self.frame[1].start, self.frame[1].stop):
            return edge[1:] if column == 0 else edge[:-1] if column == columns else edge
        return "  " if 0 < column < columns else ""

    def _between(self, row: int, gaps: Sequence[str], cell: int, margin: int) -> Iterator[Text]:
        """Lines above `row`: an edge of the frame, a rule."""
        if self.frame and row in (self.frame[0].start, self.frame[0].stop):
            corners = "┌┐" if row == self.frame[0].start else "└┘"
            outside = "".join(" " * len(gap) + " " * cell for gap in gaps[: self.frame[1].start])
            inside = "".join(gaps[column] + " " * cell for column in self.frame[1])
            edge = inside[1:] if inside.startswith(" ") else inside
            before = outside + " " * (len(inside) - len(edge))
            after = gaps[self.frame[1].stop]
            bar = "─" * (len(edge) - 1 + after.index("│"))
            yield Text(" " * margin + before) + Text(corners[0] + bar + corners[1], "bold")
        if row == self.rule:
            yield Text(" " * margin + "─" * (sum(map(len, gaps)) + cell * (len(gaps) - 1)), "dim")


@dataclass(frozen=True)
class Flow:
    """Grids side by side, as many as fit into the line; then the next ones below."""

    grids: Sequence[Grid]
    between: str = "    "

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        room = options.max_width
        waiting: list[list[Text]] = []
        used = 0
        for grid in self.grids:
            lines = grid.lines(room)
            width = max(line.cell_len for line in lines)
            if waiting and used + len(self.between) + width > room:
                yield from self._joined(waiting)
                yield Text()
                waiting, used = [], 0
            used += len(self.between) * bool(waiting) + width
            waiting.append(lines)
        yield from self._joined(waiting)

    def _joined(self, blocks: list[list[Text]]) -> Iterator[Text]:
        """The blocks' lines next to each other."""
        for n in range(max(map(len, blocks), default=0)):
            line = Text(no_wrap=True, overflow="crop")
            for block in blocks:
                line += Text(" " * (len(self.between) if block is not blocks[0] else 0))
                width = max(each.cell_len for each in block)
                each = block[n] if n < len(block) else Text()
                line += each + " " * (width - each.cell_len)
            line.rstrip()
            yield line


@dataclass(frozen=True)
class Columns:
    """Short lines in as many columns as fit, read downwards."""

    entries: Sequence[Line]
    between: int = 4

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        entries = [text(entry) for entry in self.entries]
        width = max([entry.cell_len for entry in entries], default=0) + self.between
        across = max(1, (options.max_width + self.between) // width)
        down = -(-len(entries) // across)
        for row in range(down):
            line = Text()
            for entry in entries[row::down]:
                line += entry + " " * (width - entry.cell_len)
            line.rstrip()
            yield line


@dataclass(frozen=True)
class Facts:
    """Names, and what is to be said about each; in two columns. Without a name it is a paragraph."""

    rows: Sequence[tuple[str, Line]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        names = max([len(name) for name, _ in self.rows], default=0)
        margin = names + 3 if names else 0
        for name, said in self.rows:
            for line in text(said).wrap(console, max(options.max_width - margin, 20)):
                line.rstrip()
                yield Text.assemble((name.ljust(margin), "cyan"), line)
                name = ""
