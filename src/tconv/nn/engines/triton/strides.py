"""What a launch tells a kernel of how a tensor lies in memory."""

from __future__ import annotations

from dataclasses import dataclass

FAR = 2**30  # elements of an image between its first and last; from here on offsets are computed in 64 bits
ALIGNED = 16  # the largest power of two that anything is told to be a multiple of


def unit(*numbers: int) -> int:
    """The largest power of two, up to 16, that all of them are multiples of.

    >>> unit(48, 8), unit(0), unit(7)
    (8, 16, 1)
    """
    together = ALIGNED
    for number in numbers:
        together |= number
    return together & -together


@dataclass(frozen=True, slots=True)
class Lying:
    """A tensor (batch, channels, *size) in memory.

    Attributes:
        strides: of batch, channel and three axes, in units; 0 along an axis of size 1, which no index goes along.
        unit: a power of two.
        near: what has stride 1: "channel", "place" (of the last axis), or "".
        far: an image's offsets need 64 bits.
    """

    strides: tuple[int, int, int, int, int]
    unit: int
    near: str
    far: bool

    def in_ones(self) -> Lying:
        """The same without units, and with the channel's stride among the others."""
        batch, channel, *axes = (stride * self.unit for stride in self.strides)
        first, second, third = axes
        return Lying((batch, 1 if self.near == "channel" else channel, first, second, third), 1, "", self.far)


def lying(shape: tuple[int, ...], strides: tuple[int, ...], prefer: str = "channel") -> Lying:
    """How a tensor lies; if channels and places both have stride 1, what is preferred counts.

    >>> lying((2, 32, 8, 8), (2048, 1, 256, 32))
    Lying(strides=(128, 0, 0, 16, 2), unit=16, near='channel', far=False)
    """
    moving = [stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
    batch, channel, *axes = moving
    axes = [0] * (3 - len(axes)) + axes
    ones = [name for name, stride in (("channel", channel), ("place", axes[2])) if stride == 1]
    near = prefer if prefer in ones else ones[0] if ones else ""
    others = [batch, 0 if near == "channel" else channel, *axes[:2], 0 if near == "place" else axes[2]]
    together = unit(*others)
    far = sum((size - 1) * stride for size, stride in zip(shape[1:], moving[1:], strict=True) if size) >= FAR
    first, second, third, fourth, fifth = (stride // together for stride in others)
    return Lying((first, second, third, fourth, fifth), together, near, far)
