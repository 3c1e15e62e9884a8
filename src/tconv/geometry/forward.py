"""The convolution that a geometry is the transpose of, and what a stack of such layers sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from tconv import errors
from tconv.geometry.arguments import Ints
from tconv.geometry.axis import Axis
from tconv.geometry.geometry import Geometry, Sizes

MOST_TRIES = 10**7  # seconds


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
        seen = {o}
        for axis, transposed in reversed(layers):
            reach = _behind_transposed(axis, seen) if transposed else _behind_forward(axis, seen)
            seen = {min(reach), max(reach)} if reach else set()
            if not seen:
                break
        widest = max(widest, max(seen) - min(seen) + 1 if seen else 0)
    return widest


def _behind_transposed(axis: Axis, outputs: set[int]) -> list[int]:
    """Inputs that reach any of the cells from the lowest to the highest of `outputs`."""
    span = range(min(outputs), max(outputs) + 1)
    met = (divmod(o + axis.crop_lo - axis.dilation * k, axis.stride) for o, k in product(span, range(axis.kernel)))
    return [i for i, rest in met if rest == 0]


def _behind_forward(axis: Axis, outputs: set[int]) -> list[int]:
    low, high = axis.stride * min(outputs) - axis.crop_lo, axis.stride * max(outputs) - axis.crop_lo
    return [low, high + axis.extent - 1]
