"""The convolution that a geometry is the transpose of, and what a stack of such layers sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from tconv import errors
from tconv.geometry.arguments import Ints
from tconv.geometry.axis import Axis
from tconv.geometry.geometry import Geometry, Sizes

MOST_TRIES = 10**7  # seconds

Span: TypeAlias = tuple[int, int]  # the first and the last cell


@dataclass(frozen=True)
class Forward:
    """The matching forward convolution: same kernel, stride and dilation; the crop is its padding.

    It reads what the transposed convolution writes: x[i] = sum over k of z[stride*i + dilation*k - crop_lo] * w[k].

    >>> Forward(Geometry(3, stride=2, crop=(1, 1))).output_size(12)
    (6,)
    """

    geometry: Geometry

    def output_size(self, in_size: Ints) -> Sizes:
        """floor((in + crop_lo + crop_hi - extent) / stride) + 1, per axis."""
        sizes = self.geometry.sizes("in_size", in_size)
        return tuple(_forward_size(axis, n) for axis, n in zip(self.geometry.axes, sizes, strict=True))

    def input_sizes(self, out_size: Ints) -> tuple[range, ...]:
        """All sizes per axis that it maps to `out_size`: `stride` of them, the reason for output_padding."""
        sizes = self.geometry.sizes("out_size", out_size)
        smallest = [
            axis.full_size(n) - axis.crop_lo - axis.crop_hi for axis, n in zip(self.geometry.axes, sizes, strict=True)
        ]
        return tuple(range(max(n, 1), n + axis.stride) for axis, n in zip(self.geometry.axes, smallest, strict=True))

    def __str__(self) -> str:
        return f"convolution, {self.geometry}".replace("crop", "padding")


def _forward_size(axis: Axis, in_size: int) -> int:
    out = (in_size + axis.crop_lo + axis.crop_hi - axis.extent) // axis.stride + 1
    if out < 1:
        raise errors.EmptyOutputError(
            f"the convolution of {in_size} cells with {axis} gives {out} cells; it needs at least "
            f"{axis.extent - axis.crop_lo - axis.crop_hi}"
        )
    return out


def receptive_field(layers: Sequence[Geometry | Forward]) -> Sizes:
    """How many cells of the first layer's input one cell of the last layer's output depends on, at most, per axis.

    Layers run first to last; a `Geometry` is a transposed convolution, a `Forward` a convolution. The bounds are exact:
    every alignment of the output cell with the strides is tried.

    >>> receptive_field([Forward(Geometry(3)), Geometry(4, stride=2)])
    (4,)
    """
    if not layers:
        raise errors.LengthError("receptive_field needs at least one layer")
    ndim = {layer.ndim if isinstance(layer, Geometry) else layer.geometry.ndim for layer in layers}
    if len(ndim) > 1:
        raise errors.LengthError(f"the layers have {sorted(ndim)} spatial axes; they must agree")
    return tuple(_span([_axis(layer, n) for layer in layers]) for n in range(ndim.pop()))


def _axis(layer: Geometry | Forward, number: int) -> tuple[Axis, bool]:
    return (layer.axes[number], True) if isinstance(layer, Geometry) else (layer.geometry.axes[number], False)


def _span(layers: list[tuple[Axis, bool]]) -> int:
    """The widest interval of inputs behind one output, over all alignments."""
    alignments = prod(axis.stride for axis, transposed in layers if transposed)
    tries = alignments * sum(axis.kernel for axis, _ in layers)
    if tries > MOST_TRIES:
        raise errors.TooLargeError(
            f"the receptive field of strides with the product {alignments:,} needs {tries:,} steps, more than "
            f"{MOST_TRIES:,}; ask for fewer layers at a time"
        )
    widest = 0
    for o in range(alignments):
        span: Span | None = (o, o)
        for axis, transposed in reversed(layers):
            if span is not None:
                span = behind_transposed(axis, span) if transposed else behind_convolution(axis, span)
        widest = max(widest, span[1] - span[0] + 1 if span else 0)
    return widest


def behind_convolution(axis: Axis, span: Span, in_size: int | None = None) -> Span | None:
    """The first and the last cell that the outputs in `span` of a convolution read, or None if they read none.

    Args:
        span: the first and the last output.
        in_size: of the axis, beyond which nothing is read but zeros; default: the cells beyond the borders count too.

    >>> axis = Axis(3, stride=2, crop_lo=1)
    >>> behind_convolution(axis, (0, 4)), behind_convolution(axis, (0, 4), in_size=8)
    ((-1, 9), (0, 7))
    """
    if in_size is None:
        return axis.stride * span[0] - axis.crop_lo, axis.stride * span[1] - axis.crop_lo + axis.extent - 1
    met = []
    for k in range(axis.kernel):
        shift = axis.dilation * k - axis.crop_lo
        first = max(span[0], -(shift // axis.stride))  # the smallest o with stride*o + shift >= 0
        last = min(span[1], (in_size - 1 - shift) // axis.stride)
        if first <= last:
            met += [axis.stride * first + shift, axis.stride * last + shift]
    return (min(met), max(met)) if met else None


def behind_transposed(axis: Axis, span: Span, in_size: int | None = None) -> Span | None:
    """The first and the last input that reaches one of the outputs in `span` of a transposed convolution, if any does.

    Args:
        span, in_size: as for `behind_convolution`.

    >>> behind_transposed(Axis(3, stride=2), (4, 4)), behind_transposed(Axis(1, stride=2), (1, 1))
    ((1, 2), None)
    """
    met = []
    for k in range(axis.kernel):
        shift = axis.crop_lo - axis.dilation * k
        first, last = -((-span[0] - shift) // axis.stride), (span[1] + shift) // axis.stride
        if in_size is not None:
            first, last = max(first, 0), min(last, in_size - 1)
        if first <= last:
            met += [first, last]
    return (min(met), max(met)) if met else None
