"""One operator on the way back from a layer to the image: its node, and the box of its result that is carried back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tconv.geometry.forward import Span
from tconv.insight.boxes import Box, Side, clipped, whole
from tconv.nn.private import saved

Shape: TypeAlias = tuple[int, ...]
Found: TypeAlias = list[Box | None] | None  # one box per input; None for all of them: not known


@dataclass(frozen=True)
class Step:
    """A node of autograd's graph, and the box that is carried back through it.

    Attributes:
        node: of the graph.
        number: which of its results the box is of.
        box: of that result.
        shape: of that result.
        inputs: shapes of the inputs; None where nothing flows back.
        bounded: boxes end at borders.
    """

    node: Any
    number: int
    box: Box
    shape: Shape
    inputs: list[Shape | None]
    bounded: bool

    def kept(self, name: str) -> Any:
        """What the operator was called with, numbers with their sign."""
        value = saved(self.node, name)
        if isinstance(value, tuple | list):
            return [_signed(each) for each in value]
        return _signed(value)

    def axis(self, name: str) -> int:
        """An axis of the result, counted from the first."""
        return int(self.kept(name)) % len(self.shape)

    def only(self, sides: Sequence[Side]) -> list[Box | None]:
        """The box of the first input; nothing behind the others."""
        box: Box | None = tuple(sides)
        return [clipped(tuple(sides)) if self.bounded else box, *[None] * (len(self.inputs) - 1)]

    def with_side(self, axis: int, span: Span) -> list[Box | None]:
        """The box of the first input, which differs from the result on one axis."""
        assert self.inputs[0] is not None
        sides = list(self.box)
        sides[axis] = ((self.inputs[0][axis], *span),)
        return self.only(sides)


Rule: TypeAlias = Callable[[Step], Found]


def _signed(value: Any) -> Any:
    """PyTorch hands out some negative numbers as unsigned ones."""
    return value - 2**64 if isinstance(value, int) and not isinstance(value, bool) and value >= 2**63 else value


def everything(inputs: Sequence[Shape | None]) -> list[Box | None]:
    """All cells of all inputs."""
    return [None if shape is None else whole(shape) for shape in inputs]


def full(size: int) -> Side:
    return ((size, 0, size - 1),)
