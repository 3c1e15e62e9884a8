"""Operators with windows, and those that change the size of a map: what stands behind a box of their result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from tconv.geometry import Axis
from tconv.geometry.forward import behind_convolution, behind_transposed
from tconv.insight.boxes import span_of
from tconv.insight.step import Found, Rule, Step, full
from tconv.nn.private import saved


def convolution(step: Step) -> Found:
    weight = saved(step.node, "weight")
    if weight is None or step.inputs[0] is None:
        return None
    dims = weight.dim() - 2
    lists = [_per_axis(step.kept(name), dims) for name in ("stride", "dilation", "padding", "output_padding")]
    axes = _axes(weight.shape[2:], *lists)
    return _through(step, axes, bool(saved(step.node, "transposed")))


def own_transposed(step: Step) -> Found:
    """tconv's own operator, whose node keeps its settings."""
    settings: Any = getattr(step.node, "settings", None)
    tensors: Any = getattr(step.node, "saved_tensors", ())
    if settings is None or len(tensors) < 2 or step.inputs[0] is None:
        return None
    stride, padding, output_padding, _, dilation = settings
    return _through(step, _axes(tensors[1].shape[2:], stride, dilation, padding, output_padding), True)


def pool(step: Step) -> Found:
    kernel = step.kept("kernel_size")
    if step.inputs[0] is None or kernel is None:
        return None
    dims = 3 if "3D" in step.node.name() else 2
    kernel = _per_axis(kernel, dims)
    stride = _per_axis(step.kept("stride") or kernel, dims)
    dilation = _per_axis(step.kept("dilation") or [1], dims)
    padding = _per_axis(step.kept("padding") or [0], dims)
    return _through(step, _axes(kernel, stride, dilation, padding, [0] * dims), False, mixing=False)


def _per_axis(numbers: Sequence[int], dims: int) -> list[int]:
    return list(numbers) * dims if len(numbers) == 1 else list(numbers)


def _axes(kernel: Any, stride: Any, dilation: Any, padding: Any, output_padding: Any) -> list[Axis]:
    numbers = zip(kernel, stride, dilation, padding, output_padding, strict=True)
    return [Axis(int(k), int(s), int(d), int(p), int(p) - int(op)) for k, s, d, p, op in numbers]


def _through(step: Step, axes: list[Axis], transposed: bool, mixing: bool = True) -> Found:
    """The cells under a box's windows; a convolution reads all channels, a pooling its own."""
    shape = step.inputs[0]
    assert shape is not None
    lead = len(step.box) - len(axes)
    sides = list(step.box[:lead])
    if mixing:
        sides[lead - 1] = full(shape[lead - 1])
    for n, axis in enumerate(axes):
        span = span_of(step.box[lead + n])
        size = shape[lead + n]
        behind = (behind_transposed if transposed else behind_convolution)(axis, span, size if step.bounded else None)
        if behind is None:
            return [None] * len(step.inputs)
        sides.append(((size, *behind),))
    return step.only(sides)


def adaptive(step: Step) -> Found:
    """Windows of a pooling to a given size: from floor(o*in/out) to ceil((o+1)*in/out)."""
    shape = step.inputs[0]
    if shape is None:
        return None
    dims = 3 if "3D" in step.node.name() else 2
    sides = list(step.box[:-dims])
    for n, out, side in zip(shape[-dims:], step.shape[-dims:], step.box[-dims:], strict=True):
        low, high = span_of(side)
        sides.append(((n, low * n // out, -(-(high + 1) * n // out) - 1),))
    return step.only(sides)


# other sizes


def resampled(reach: Callable[[Fraction], tuple[Fraction, Fraction]], centred: bool) -> Rule:
    """Interpolation: result o lies at (o + 1/2)*scale - 1/2 of the input, and `reach` says between which cells."""

    def rule(step: Step) -> Found:
        shape = step.inputs[0]
        if shape is None:
            return None
        dims = next(n for n in (1, 2, 3) if f"{n}D" in step.node.name())
        corners = bool(saved(step.node, "align_corners"))
        names = ("scales",) if dims == 1 else ("scales_d", "scales_h", "scales_w")[-dims:]
        sides = list(step.box[:-dims])
        for n, out, side, name in zip(shape[-dims:], step.shape[-dims:], step.box[-dims:], names, strict=True):
            given = saved(step.node, name)
            scale = 1 / Fraction(given) if given else Fraction(n, out)
            half = Fraction(1, 2) if centred and not corners else Fraction(0)
            if corners:
                scale = Fraction(n - 1, out - 1) if out > 1 else Fraction(0)
            first, last = span_of(side)
            # A result that lies exactly on a cell looks at that one alone, and its neighbour further than it.
            cells = {first, min(first + 1, last), max(first, last - 1), last}
            places = [reach((o + half) * scale - (half if reach is not nearest else 0)) for o in cells]
            span = floor(min(low for low, _ in places)), floor(max(high for _, high in places))
            if step.bounded:  # what would lie beyond a border is the cell at the border
                span = max(0, min(span[0], n - 1)), max(0, min(span[1], n - 1))
            sides.append(((n, *span),))
        return step.only(sides)

    return rule


def nearest(place: Fraction) -> tuple[Fraction, Fraction]:
    """The cell that the place lies in."""
    return place, place


def linear(place: Fraction) -> tuple[Fraction, Fraction]:
    """The cell before, and the one behind unless the place is exactly a cell."""
    return place, Fraction(ceil(place))


def cubic(place: Fraction) -> tuple[Fraction, Fraction]:
    """Two cells before and two behind, unless the place is exactly a cell."""
    whole_cell = place.denominator == 1
    return (place, place) if whole_cell else (place - 1, place + 2)


def pixel_shuffle(step: Step) -> Found:
    shape, r = step.inputs[0], int(step.kept("upscale_factor"))
    if shape is None:
        return None
    spans = [span_of(side) for side in step.box[-2:]]
    rows = [((n, low // r, high // r),) for n, (low, high) in zip(shape[-2:], spans, strict=True)]
    return step.only([*step.box[:-3], full(shape[-3]), *rows])


def pixel_unshuffle(step: Step) -> Found:
    shape, r = step.inputs[0], int(step.kept("downscale_factor"))
    if shape is None:
        return None
    first, last = span_of(step.box[-3])
    # One channel of the result has the pixels with one remainder by r, on each axis.
    phases = divmod(first % (r * r), r) if first == last else None
    sides = []
    for axis, (n, side) in enumerate(zip(shape[-2:], step.box[-2:], strict=True)):
        low, high = (r * cell for cell in span_of(side))
        sides.append(((n, low + phases[axis], high + phases[axis]) if phases else (n, low, high + r - 1),))
    return step.only([*step.box[:-3], full(shape[-3]), *sides])


def channel_shuffle(step: Step) -> Found:
    return step.with_side(1, (0, step.shape[1] - 1))
