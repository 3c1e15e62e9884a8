"""The values that each hyperparameter may take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

from tconv import errors
from tconv.geometry import Axis
from tconv.geometry.arguments import integer, is_sequence
from tconv.solver.chain import Layer

Bound: TypeAlias = int | tuple[int, int] | range

WIDEST = 2048  # the largest value that is searched; the widest layers of published models have 1,024 taps
SHAPES = 200_000  # combinations of kernel, stride and dilation; more take minutes

LAWS: dict[str, tuple[int, type[errors.TconvError]]] = {  # the least value, and the error of a smaller one
    "kernel": (1, errors.KernelError),
    "stride": (1, errors.StrideError),
    "padding": (0, errors.PaddingError),
    "output_padding": (0, errors.OutputPaddingError),
    "dilation": (1, errors.DilationError),
}


@dataclass(frozen=True)
class Bounds:
    """The ascending values of each hyperparameter; none is empty.

    What a layer does to a size is decided by its shape (kernel, stride, dilation: an `Axis` without a crop) and by the
    cells that it cuts in all, `2*padding - output_padding`: out = shape.full_size(in) - cut.
    """

    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    output_padding: Sequence[int]
    dilation: Sequence[int]

    @classmethod
    def parse(cls, **bounds: Any) -> Bounds:
        """From what users write: an int, a pair (lo, hi) with both ends included, or a range.

        Raises:
            ArgumentTypeError, LengthError: not of these types.
            KernelError, StrideError, PaddingError, OutputPaddingError, DilationError: empty, below the least value, or
                above 2048.
            TooLargeError: more than 200,000 combinations of kernel, stride and dilation.
        """
        parsed = cls(**{name: _values(name, bound) for name, bound in bounds.items()})
        shapes = len(parsed.kernel) * len(parsed.stride) * len(parsed.dilation)
        if shapes > SHAPES:
            raise errors.TooLargeError(
                f"the bounds leave {shapes:,} combinations of kernel, stride and dilation, more than the {SHAPES:,} "
                f"that are searched; narrow one of them"
            )
        return parsed

    def including(self, name: str, value: int) -> Bounds:
        """These bounds, with one more value for one hyperparameter."""
        return replace(self, **{name: tuple(sorted({*getattr(self, name), value}))})

    @cached_property
    def shapes(self) -> tuple[Axis, ...]:
        """All (kernel, stride, dilation), without a crop."""
        return tuple(Axis(*shape) for shape in product(self.kernel, self.stride, self.dilation))

    def cuts(self, shape: Axis) -> tuple[int, int]:
        """The least and the largest cut of this shape; (1, 0), an empty interval, where no output_padding is legal."""
        highest = min(self.output_padding[-1], max(shape.stride, shape.dilation) - 1)
        if highest < self.output_padding[0]:
            return 1, 0
        return 2 * self.padding[0] - highest, 2 * self.padding[-1] - self.output_padding[0]

    def splits(self, shape: Axis, cut: int) -> Iterator[Layer]:
        """The layers of this shape that cut `cut` cells: padding counts twice, output_padding once the other way."""
        lowest, legal = self.output_padding[0], max(shape.stride, shape.dilation)
        highest = min(self.output_padding[-1], legal - 1)
        for padding in range((cut + lowest + 1) // 2, (cut + highest) // 2 + 1):
            extra = 2 * padding - cut
            if padding in self.padding and extra in self.output_padding:
                yield Layer(shape.kernel, shape.stride, padding, extra, shape.dilation)

    def span(self, smallest: int, largest: int) -> tuple[int, int]:
        """Between which sizes one layer's output lies, for an input of `smallest` to `largest` cells.

        No output lies outside; that the ends themselves can be reached is not promised.
        """
        low = Axis(self.kernel[0], self.stride[0], self.dilation[0])
        high = Axis(self.kernel[-1], self.stride[-1], self.dilation[-1])
        most_cut = 2 * self.padding[-1] - self.output_padding[0]
        return max(1, low.full_size(smallest) - most_cut), high.full_size(largest) - self.cuts(high)[0]

    def is_canonical(self, layer: Layer, one_cell: bool) -> bool:
        """Whether no smaller stride or dilation within these bounds makes the same operator.

        Dilation means nothing to a kernel of 1, stride nothing to an input of one cell, except that output_padding must
        stay below the larger of both.
        """
        extra, dilation = layer.output_padding, layer.dilation
        if layer.kernel == 1:
            if any(extra < max(layer.stride, d) for d in self.dilation if d < dilation):
                return False
            dilation = self.dilation[-1]  # a smaller stride may come with any dilation
        return not (one_cell and any(extra < max(s, dilation) for s in self.stride if s < layer.stride))


NAMES = tuple(field.name for field in fields(Bounds))


def _values(name: str, bound: Any) -> range:
    least, law = LAWS[name]
    if isinstance(bound, range):
        values = bound if bound.step > 0 else bound[::-1]
    elif is_sequence(bound):
        if len(bound) != 2:
            raise errors.LengthError(f"{name} bounds {bound!r} must be one int, a pair (lo, hi) or a range")
        lo, hi = (integer(f"a bound of {name}", end) for end in bound)
        if lo > hi:
            raise law(f"{name} bounds ({lo}, {hi}) are empty, as {lo} is above {hi}; write ({hi}, {lo})")
        values = range(lo, hi + 1)
    else:
        value = integer(name, bound)
        values = range(value, value + 1)
    if not values:
        raise law(f"{name} bounds {bound!r} are empty; a range excludes its end")
    if values[0] < least:
        cure = f"begin its bounds {bound!r} at {least}" if is_sequence(bound) else f"give {least} or more"
        raise law(f"{name} {values[0]} must be at least {least}; {cure}")
    if values[-1] > WIDEST:
        raise law(f"{name} {values[-1]} is above {WIDEST}, the largest that is searched; narrow its bounds")
    return values
