"""Sizes, indices and the relation written out, the way they are said on a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tconv.geometry import Axis, Geometry

T = TypeVar("T")


def number(value: Any) -> str:
    """Integers in full, floats with four digits.

    >>> number(2.0), number(1 / 3), number(-0.0), number(123456), number(1.5e9)
    ('2', '0.3333', '0', '123456', '1.5e+09')
    """
    if isinstance(value, int) or (value == round(value) and abs(value) < 1e6):
        return str(int(value))
    return f"{value:.4g}"


def factor(value: Any) -> str:
    """A number as it stands in a product: a negative one in parentheses."""
    return number(value) if value >= 0 else f"({number(value)})"


def by(sizes: Sequence[int]) -> str:
    """`2x3`."""
    return "x".join(map(str, sizes))


def name(array: str, index: Sequence[int], channel: int | str | None = None) -> str:
    """`x[0,1]`, with a channel `x[2,0,1]`: NumPy's notation."""
    return f"{array}[{','.join(map(str, index if channel is None else (channel, *index)))}]"


def cut(slices: Sequence[slice]) -> str:
    """`1::2, 0::2`."""
    return ", ".join(f"{s.start}::{s.step}" if s.step != 1 else f"{s.start}:" for s in slices)


def relation(axis: Axis) -> str:
    """`o = 2*i + k - 1`: where input i and tap k meet."""
    shift = f" - {axis.crop_lo}" if axis.crop_lo > 0 else f" + {-axis.crop_lo}" if axis.crop_lo else ""
    return f"o = {_times(axis.stride, 'i')} + {_times(axis.dilation, 'k')}{shift}"


def size(axis: Axis, in_size: int) -> str:
    """The output size with its numbers: `2*(6-1) + 1*(3-1) + 1 - 1 - 0 = 12`."""
    crops = "".join(f" - {crop}" if crop >= 0 else f" - ({crop})" for crop in (axis.crop_lo, axis.crop_hi))
    return f"{axis.stride}*({in_size}-1) + {axis.dilation}*({axis.kernel}-1) + 1{crops} = {axis.output_size(in_size)}"


def steps(axis: Axis, in_size: int) -> str:
    """The sizes on the way of the four steps."""
    found = axis.four_steps(in_size)
    return (
        f"{in_size} -> {found.inserted} with zeros -> {found.padded} padded {found.pad_lo} + {found.pad_hi} -> "
        f"{found.out} convolved"
    )


def per_axis(geometry: Geometry, values: Sequence[T], say: Callable[[Axis, T], str]) -> list[str]:
    """`say(axis, value)` once if all axes say the same, else once per axis, naming it."""
    said = [say(axis, value) for axis, value in zip(geometry.axes, values, strict=True)]
    if len(set(said)) == 1:
        return said[:1]
    return [f"axis {number}: {text}" for number, text in enumerate(said)]


def _times(count: int, letter: str) -> str:
    return letter if count == 1 else f"{count}*{letter}"
