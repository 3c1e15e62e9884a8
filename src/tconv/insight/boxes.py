"""Which cells of a tensor something depends on, as a box: a span of cells on each axis.

An axis that a reshape has merged from several keeps the spans of its parts, so that what is merged only to be split
again, as around a linear layer on every pixel, loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tconv.geometry.forward import Span

Part: TypeAlias = tuple[int, int, int]  # size, first cell, last cell
Side: TypeAlias = tuple[Part, ...]  # the parts of an axis, the outermost first
Box: TypeAlias = tuple[Side, ...]


def box_of(sizes: Sequence[int], spans: Sequence[Span]) -> Box:
    """A box with one part per axis."""
    return tuple(((size, *span),) for size, span in zip(sizes, spans, strict=True))


def whole(sizes: Sequence[int]) -> Box:
    """All cells of a tensor."""
    return box_of(sizes, [(0, size - 1) for size in sizes])


def span_of(side: Side) -> Span:
    """The first and the last cell of an axis, over all of its parts."""
    first = last = 0
    for size, low, high in side:
        first, last = first * size + low, last * size + high
    return first, last


def spans_of(box: Box) -> list[Span]:
    """Axis by axis."""
    return [span_of(side) for side in box]


def hull(one: Box | None, other: Box | None) -> Box | None:
    """The smallest box around both; None is an empty one."""
    if one is None or other is None:
        return other if one is None else one
    return tuple(_around(a, b) for a, b in zip(one, other, strict=True))


def _around(a: Side, b: Side) -> Side:
    if [part[0] for part in a] == [part[0] for part in b]:
        return tuple((n, min(low, lo), max(high, hi)) for (n, low, high), (_, lo, hi) in zip(a, b, strict=True))
    size = 1
    for part in a:
        size *= part[0]
    (low, high), (lo, hi) = span_of(a), span_of(b)
    return ((size, min(low, lo), max(high, hi)),)


def clipped(box: Box) -> Box | None:
    """The cells that there are; None where there are none."""
    sides = tuple(tuple((n, max(low, 0), min(high, n - 1)) for n, low, high in side) for side in box)
    return sides if all(low <= high for side in sides for _, low, high in side) else None


def reshaped(box: Box, sizes: Sequence[int]) -> Box | None:
    """The same cells in another shape of as many cells, or None where the axes do not meet at common borders."""
    inside = clipped(box)
    if inside is None:
        return None
    parts = [part for side in inside for part in side if part[0] != 1]
    sides: list[Side] = []
    for size in sizes:
        side: list[Part] = []
        while size > 1:
            if not parts:
                return None
            n, low, high = parts.pop(0)
            if size % n == 0:
                side.append((n, low, high))
                size //= n
            elif n % size == 0:
                rest = n // size
                within = (low % rest, high % rest) if low // rest == high // rest else (0, rest - 1)
                side.append((size, low // rest, high // rest))
                parts.insert(0, (rest, *within))
                size = 1
            else:
                return None
        sides.append(tuple(side) or ((1, 0, 0),))
    return tuple(sides)
