"""Operators that move, cut, join or mix the axes of a map: what stands behind a box of their result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tconv.geometry.forward import Span
from tconv.insight.boxes import Box, Side, reshaped, span_of
from tconv.insight.step import Found, Rule, Step, everything, full


def padded(step: Step) -> Found:
    """Zeros around: what lies in them depends on nothing."""
    return _moved(step, step.kept("pad"), lambda span, n: span)


def replicated(step: Step) -> Found:
    return _moved(step, step.kept("padding"), lambda span, n: (_within(span[0], n), _within(span[1], n)))


def reflected(step: Step) -> Found:
    return _moved(step, step.kept("padding"), _mirrored)


def _within(cell: int, n: int) -> int:
    return max(0, min(cell, n - 1))


def _mirrored(span: Span, n: int) -> Span:
    cells = [abs(cell) if cell < n else 2 * (n - 1) - cell for cell in range(span[0], span[1] + 1)]
    return min(cells), max(cells)


def _moved(step: Step, padding: Any, behind: Callable[[Span, int], Span]) -> Found:
    """`padding` has a pair (lo, hi) per axis, the last axis first."""
    shape = step.inputs[0]
    if shape is None or padding is None:
        return None
    sides = list(step.box)
    for pair in range(len(padding) // 2):
        axis, low = len(sides) - 1 - pair, int(padding[2 * pair])
        first, last = span_of(sides[axis])
        span = (first - low, last - low)
        sides[axis] = ((shape[axis], *(behind(span, shape[axis]) if step.bounded else span)),)
    return step.only(sides)


def sliced(step: Step) -> Found:
    shape = step.inputs[0]
    if shape is None:
        return None
    axis, start, stride = step.axis("dim"), step.kept("start") or 0, int(step.kept("step"))
    start = max(0, start + shape[axis]) if start < 0 else min(start, shape[axis])
    first, last = span_of(step.box[axis])
    return step.with_side(axis, (start + stride * first, start + stride * last))


def flip(step: Step) -> Found:
    shape, dims = step.inputs[0], step.kept("dims")
    if shape is None:
        return None
    sides = list(step.box)
    for axis in (int(dim) % len(shape) for dim in dims):
        first, last = span_of(sides[axis])
        sides[axis] = ((shape[axis], shape[axis] - 1 - last, shape[axis] - 1 - first),)
    return step.only(sides)


def roll(step: Step) -> Found:
    shape, dims = step.inputs[0], step.kept("dims")
    if shape is None or not dims:
        return None
    sides = list(step.box)
    for axis, shift in zip((int(dim) % len(shape) for dim in dims), step.kept("shifts"), strict=True):
        first, last = (cell - int(shift) for cell in span_of(sides[axis]))
        n = shape[axis]
        sides[axis] = ((n, first % n, last % n),) if first // n == last // n else full(n)
    return step.only(sides)


# axes


def reshape(step: Step) -> Found:
    shape = step.inputs[0]
    found = None if shape is None else reshaped(step.box, shape)
    return None if found is None else [found]


def permute(step: Step) -> Found:
    sides: list[Side] = [()] * len(step.box)
    for place, dim in enumerate(step.kept("dims")):
        sides[int(dim) % len(sides)] = step.box[place]
    return [tuple(sides)]


def transpose(step: Step) -> Found:
    sides = list(step.box)
    a, b = (step.axis("dim0"), step.axis("dim1")) if step.kept("dim0") is not None else (0, len(sides) - 1)
    sides[a], sides[b] = sides[b], sides[a]
    return [tuple(sides)]


def select(step: Step) -> Found:
    return _inserted(step, int(step.kept("index")))


def unbind(step: Step) -> Found:
    return _inserted(step, step.number)


def _inserted(step: Step, index: int) -> Found:
    """One cell of an axis that the result lacks."""
    shape = step.inputs[0]
    if shape is None:
        return None
    axis = int(step.kept("dim")) % len(shape)
    index %= shape[axis]
    return [(*step.box[:axis], ((shape[axis], index, index),), *step.box[axis:])]


def split(step: Step) -> Found:
    sizes = step.kept("split_sizes")
    start = sum(sizes[: step.number]) if sizes else step.number * int(step.kept("split_size"))
    axis = step.axis("dim")
    first, last = span_of(step.box[axis])
    return step.with_side(axis, (start + first, start + last))


def cat(step: Step) -> Found:
    """Inputs one behind the other; where the size of one is not known, all of each."""
    axis = step.axis("dim")
    first, last = span_of(step.box[axis])
    found: list[Box | None] = []
    start: int | None = 0
    for shape in step.inputs:
        if shape is None:
            found.append(None)
            start = None
            continue
        n = shape[axis]
        low, high = (0, n - 1) if start is None else (max(0, first - start), min(n - 1, last - start))
        found.append((*step.box[:axis], ((n, low, high),), *step.box[axis + 1 :]) if low <= high else None)
        start = None if start is None else start + n
    return found


def stack(step: Step) -> Found:
    axis = step.axis("dim")
    first, last = span_of(step.box[axis])
    box = (*step.box[:axis], *step.box[axis + 1 :])
    return [box if first <= n <= last else None for n in range(len(step.inputs))]


def repeat(step: Step) -> Found:
    shape = step.inputs[0]
    if shape is None:
        return None
    sides = step.box[len(step.box) - len(shape) :]
    sizes = step.shape[len(step.shape) - len(shape) :]
    return step.only([side if n == out else full(n) for n, out, side in zip(shape, sizes, sides, strict=True)])


# sums over axes, and matrices


def reduced(step: Step) -> Found:
    shape, dims = step.inputs[0], step.kept("dim")
    if shape is None:
        return None
    if dims is None:
        return everything(step.inputs)
    axes = {int(dim) % len(shape) for dim in (dims if isinstance(dims, list) else [dims])} or set(range(len(shape)))
    if len(axes) == len(shape):
        return everything(step.inputs)
    rest = iter(step.box if len(step.box) < len(shape) else [s for n, s in enumerate(step.box) if n not in axes])
    return [tuple(full(n) if axis in axes else next(rest) for axis, n in enumerate(shape))]


def matrices(first: int) -> Rule:
    """A product of matrices, the left one being the input with number `first`: its rows, the columns of the other."""

    def rule(step: Step) -> Found:
        *batch, rows, columns = step.box
        found = everything(step.inputs)
        left, right = step.inputs[first : first + 2]
        if left is not None:
            found[first] = (*batch, rows, full(left[-1]))
        if right is not None:
            found[first + 1] = (*batch, full(right[-2]), columns)
        return found

    return rule
