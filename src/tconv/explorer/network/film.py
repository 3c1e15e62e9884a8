"""A network as a film: down and up again, level by level, drawn as a U; at last, what one output sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tconv.explorer import slides, words
from tconv.explorer.network import sentences
from tconv.explorer.network.plan import Network, Seen, Up
from tconv.explorer.scene import Arrow, Block, Box, Edge, Film, Mark, Role, Words, shots
from tconv.geometry import Sizes

ROW = 2.7  # from one level to the next, with room for what is seen
INSET = 1.1  # how far each level lies inside the one above, at least
LEFT = 1.8  # room for the names of the levels
BAR = 0.24  # between the lines of two axes
FIT, SMALL = 0.42, 0.34  # heights of letters, in cells
LETTER = 0.56  # width of a letter, in its height


class _Places(NamedTuple):
    """Where things lie.

    Attributes:
        wide: width of a map.
        right: from the left edge of the first map to that of the last.
        inset: how far each level lies inside the one above.
    """

    wide: float
    right: float
    inset: float

    def down(self, n: int) -> tuple[float, float]:
        return LEFT + n * self.inset, n * ROW

    def up(self, n: int) -> tuple[float, float]:
        return LEFT + self.right - n * self.inset, n * ROW


def film(net: Network, cell: Sizes) -> Film:
    """Each layer that changes the size is a frame; the last one shows what the output at `cell` sees."""
    depth = len(net.levels)
    ups = [n for n in reversed(range(depth)) if net.levels[n].up is not None]
    steps = [*((n, False) for n in range(depth)), *((n, True) for n in ups)]
    texts = [words.by(size) for level in net.levels for size in (level.down, *([level.up.out] if level.up else ()))]
    wide = max(2.2, *(0.27 * len(text) + 0.7 for text in (*texts, words.by(net.bottom))))
    labels = [LETTER * slides.NAMES * len(level.says) + wide + 1.2 for level in net.levels]
    insets = [2 * n * INSET for n in range(depth)]
    right = max(0.3 * len(net.title) - wide - LEFT, *(a + b for a, b in zip(labels, insets, strict=True)))
    inset = min([right / (2 * depth), *((right - labels[n]) / (2 * n) for n in range(1, depth))])
    return shots(net.title, _frames(net, cell, steps, _Places(wide, right, inset)))


def _frames(net: Network, cell: Sizes, steps: list[tuple[int, bool]], places: _Places) -> Iterator[tuple[Block, str]]:
    for count, (n, upwards) in enumerate(steps):
        says = sentences.up(net, n) if upwards else sentences.down(net, n)
        yield _drawn(net, places, steps[: count + 1], (n, upwards)), says
    fields = net.fields(cell)
    marks = list(_drawn(net, places, steps, None).marks)
    for n, level in enumerate(net.levels):
        marks += _seen(*places.down(n), places.wide, fields.down[n], level.down, Role.INPUT)
        above = fields.up[n]
        if level.up is not None and above is not None:
            marks += _seen(*places.up(n), places.wide, above, level.up.out, Role.OUTPUT)
    marks += _seen(*_bottom(net, places), places.wide, fields.bottom, net.bottom, Role.KERNEL)
    yield Block(*_room(net, places), tuple(marks)), sentences.sees(net, cell, fields.image)


def _bottom(net: Network, places: _Places) -> tuple[float, float]:
    return LEFT + places.right / 2, len(net.levels) * ROW


def _room(net: Network, places: _Places) -> tuple[float, float]:
    ups = [level.up for level in net.levels if level.up is not None]
    beside = max(LETTER * SMALL * len(_comes(up)) for up in ups) + 0.4
    return LEFT + places.right + places.wide + beside, _bottom(net, places)[1] + 1 + BAR * (1 + len(net.size))


def _comes(up: Up) -> str:
    """What the layer makes of the level below, before anything is repaired."""
    return f"{words.by(up.at)} gives {words.by(up.plain)}"


def _drawn(net: Network, places: _Places, done: list[tuple[int, bool]], now: tuple[int, bool] | None) -> Block:
    """The whole U; maps that are not computed yet are empty."""
    marks: list[Mark] = []
    depth = len(net.levels)
    reached = {0} | {n + 1 for n, upwards in done if not upwards}
    for n, level in enumerate(net.levels):
        x, y = places.down(n)
        lit = now == (n, False)
        below = places.down(n + 1) if n + 1 < depth else _bottom(net, places)
        half = places.wide / 2
        marks.append(Edge(x + half, y + _under(net), below[0] + half, below[1], lit=lit, role=Role.INPUT))
        marks.append(Words(0, y + 0.5, f"level {n}", SMALL))
        marks += _map(net, (x, y), places.wide, level.down if n in reached else None, Role.INPUT, lit)
        marks += _back(net, places, n, (n, True) in done, now == (n, True))
    bottom = net.bottom if depth in reached else None
    marks += _map(net, _bottom(net, places), places.wide, bottom, Role.KERNEL, now == (depth - 1, False))
    return Block(*_room(net, places), tuple(marks))


def _under(net: Network) -> float:
    """How far below the top of a map lines may begin: its own come first."""
    return 1 + BAR * (0.6 + len(net.size))


def _map(
    net: Network, at: tuple[float, float], wide: float, size: Sizes | None, role: Role, lit: bool
) -> Iterator[Mark]:
    """A map with its size, and under it one thin line per axis; without a size it is not computed yet."""
    x, y = at
    yield Box(x, y, wide, words.by(size) if size else "", role if size else Role.ZERO, lit=lit)
    for axis in range(len(net.size)):
        line = y + 1 + BAR * (1 + axis)
        yield Edge(x, line, x + wide, line, role=role)


def _back(net: Network, places: _Places, n: int, known: bool, lit: bool) -> Iterator[Mark]:
    """The map on the way up, where there is one: what it is made of, what is joined to it, and how the two fit."""
    level = net.levels[n]
    if level.up is None:
        return
    x, y = places.up(n)
    coarser = next((m for m in range(n + 1, len(net.levels)) if net.levels[m].up is not None), None)
    below = _bottom(net, places) if coarser is None else places.up(coarser)
    left, half = places.down(n)[0] + places.wide, places.wide / 2
    yield Edge(below[0] + half, below[1], x + half, y + _under(net), lit=lit, role=Role.OUTPUT)
    yield from _map(net, (x, y), places.wide, level.up.out if known else None, Role.OUTPUT, lit)
    if net.kind == "U-Net" or n:  # the full resolution of an FCN has no skip
        yield Arrow(left + 0.15, y + 0.5, x - 0.2, y + 0.5)
    if known:
        role = Role.HOLE if level.misfit else Role.KERNEL if level.repaired else Role.PLAIN
        yield Words((left + x) / 2, y + 0.05, level.says, FIT, role, role != Role.PLAIN, "middle")
        yield Words(x + places.wide + 0.25, y + 0.5, _comes(level.up), SMALL)


def _seen(x: float, y: float, wide: float, seen: Seen, size: Sizes, role: Role) -> Iterator[Mark]:
    """A thick line over each of a map's thin ones, as long as what is seen of that axis."""
    for axis, (span, cells) in enumerate(zip(seen, size, strict=True)):
        if span is not None:
            line = y + 1 + BAR * (1 + axis)
            first, last = wide * span[0] / cells, wide * (span[1] + 1) / cells
            yield Edge(x + first, line, x + max(last, first + 0.06), line, lit=True, role=role)
