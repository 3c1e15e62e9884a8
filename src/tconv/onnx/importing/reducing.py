"""Operators that leave one number of many: sums, extrema, places, running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tconv.onnx.importing.operators import Operator, Table


def _reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """An operator that applies `function` along axes: an attribute in older opsets, an input in newer ones."""

    def reduced(
        x: Tensor,
        more: list[int] | None = None,
        *,
        axes: list[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        chosen = axes if axes is not None else more
        if not chosen:
            if noop_with_empty_axes:
                return function(x.unsqueeze(0), [0], False)
            chosen = list(range(x.dim()))
        return function(x, chosen, bool(keepdims)) if x.dim() else function(x.unsqueeze(0), [0], False)

    reduced.__name__ = f"reduce{function.__name__}"
    return reduced


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.sum(axes, keep, dtype=x.dtype)


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.mean(axes, keep)
    return x.double().mean(axes, keep).to(x.dtype)


def _prod(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keep, dtype=x.dtype)
    return x


def _max(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.amax(axes, keep) if x.numel() else _of_nothing(x, axes, keep, largest=False)


def _min(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.amin(axes, keep) if x.numel() else _of_nothing(x, axes, keep, largest=True)


def _of_nothing(x: Tensor, axes: list[int], keep: bool, largest: bool) -> Tensor:
    """The extremum of no numbers: the number of the dtype that gives way to every other."""
    shape = x.sum(axes, keep).shape
    if x.dtype == torch.bool:
        return torch.full(shape, largest)
    if x.is_floating_point():
        return torch.full(shape, torch.inf if largest else -torch.inf, dtype=x.dtype)
    limits = torch.iinfo(x.dtype)
    return torch.full(shape, limits.max if largest else limits.min, dtype=x.dtype)


def _l1(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _sum(x.abs(), axes, keep)


def _l2(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _sum(x * x, axes, keep).sqrt().to(x.dtype)


def _log_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _sum(x, axes, keep).log()


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.logsumexp(axes, keep)


def _sum_square(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return _sum(x * x, axes, keep)


def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """The place of the first largest number along an axis, or of the last."""
    return _place(torch.argmax, x, axis, bool(keepdims), bool(select_last_index))


def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """The place of the first smallest number along an axis, or of the last."""
    return _place(torch.argmin, x, axis, bool(keepdims), bool(select_last_index))


def _place(function: Any, x: Tensor, axis: int, keep: bool, last: bool) -> Tensor:
    found: Tensor = function(x.flip(axis) if last else x, axis, keep)
    return x.shape[axis] - 1 - found if last else found


def top_k(
    x: Tensor, k: list[int], *, outputs: int, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[Tensor, ...]:
    """The k largest or smallest numbers along an axis, in order, and their places; the first of equal ones."""
    values, places = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    return (values.narrow(axis, 0, k[0]), places.narrow(axis, 0, k[0]))[:outputs]


def cumulative_sum(x: Tensor, axis: int | list[int], *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """The sum of all numbers up to each, or before each; from the end, if reversed."""
    along = axis[0] if isinstance(axis, list) else axis
    y = x.flip(along) if reverse else x
    sums = y.cumsum(along, dtype=x.dtype)
    sums = sums - y if exclusive else sums
    return sums.flip(along) if reverse else sums


TABLE: Table = {
    "ArgMax": Operator(arg_max),
    "ArgMin": Operator(arg_min),
    "CumSum": Operator(cumulative_sum, python=(1,)),
    "TopK": Operator(top_k, python=(1,), several=True),
    **{
        name: Operator(_reduction(function), python=(1,))
        for name, function in {
            "ReduceL1": _l1,
            "ReduceL2": _l2,
            "ReduceLogSum": _log_sum,
            "ReduceLogSumExp": _log_sum_exp,
            "ReduceMax": _max,
            "ReduceMean": _mean,
            "ReduceMin": _min,
            "ReduceProd": _prod,
            "ReduceSum": _sum,
            "ReduceSumSquare": _sum_square,
        }.items()
    },
}
