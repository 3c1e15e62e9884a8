"""Arithmetic of sizes: what exporters write to compute shapes, on Python numbers and lists of them.

A tensor's shape is known when a graph is captured, and so is what is computed from it here; as tensors these numbers
would have to be read back, where a captured graph ends. Whole numbers are Python's; fractions are rounded to single
precision after every operation, as the standard's float32 is, so that a floor that follows is the standard's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

Number: TypeAlias = Any  # an int, a float, a bool, or a list of these
Rank: TypeAlias = int | None


def _single(value: Any) -> Any:
    """A number as float32 holds it; whole numbers and truth values as they are."""
    if not isinstance(value, float) or not math.isfinite(value) or value == 0:
        return value
    spacing = 2.0 ** (math.frexp(value)[1] - 24)
    return round(value / spacing) * spacing


def _each(function: Callable[..., Any]) -> Callable[..., Number]:
    """The function place by place; a number, and a list of one, goes with every place."""

    def applied(*values: Number) -> Number:
        sizes = [len(v) for v in values if isinstance(v, list)]
        if not sizes:
            return _single(function(*values))
        results = []
        for n in range(max(sizes) if min(sizes) else 0):
            place = [v[n if len(v) > 1 else 0] if isinstance(v, list) else v for v in values]
            results.append(_single(function(*place)))
        return results

    return applied


def _div(a: Any, b: Any) -> Any:
    """Division; of whole numbers towards zero."""
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    return a // b if (a >= 0) == (b > 0) else -(-a // b)


def _cast(value: Any, to: int) -> Any:
    if to == 9:
        return bool(value)
    return float(value) if to == 1 else int(value)


def cast(value: Number, *, to: int, saturate: int = 1, round_mode: str = "up") -> Number:
    """As whole number, truth value or float32."""
    return _each(lambda v: _single(_cast(v, to)))(value)


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> list[int]:
    """The shape of a tensor."""
    return list(x.shape)[start:end]


def size(x: Tensor) -> int:
    """The number of a tensor's elements."""
    return math.prod(x.shape)


def gather(values: list[Any], index: Number, *, axis: int = 0) -> Number:
    """The number at a place, or those at several."""
    return [values[n] for n in index] if isinstance(index, list) else values[index]


def concat(*parts: list[Any], axis: int = 0) -> list[Any]:
    """One after the other."""
    return [each for part in parts for each in part]


def cut(values: list[Any], starts: list[int], ends: list[int], axes: Any = None, steps: Any = None) -> list[Any]:
    """Every step-th from start to before end."""
    step = steps[0] if steps else 1
    end = ends[0]
    return values[starts[0] : None if step < 0 and end < -len(values) else end : step]


def squeeze(value: Number, more: Any = None, *, axes: Any = None) -> Number:
    """The only number of a list."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def unsqueeze(value: Number, more: Any = None, *, axes: Any = None) -> Number:
    """A list of one number."""
    return [value]


def reshape(value: Number, to: list[int], *, allowzero: int = 0) -> Number:
    """As a list, or as the only number of one."""
    values = value if isinstance(value, list) else [value]
    return values if to else values[0]


def identity(value: Number) -> Number:
    """The same."""
    return value


def _reduced(function: Callable[[list[Any]], Any]) -> Callable[..., Number]:
    def reduced(
        value: Number, more: Any = None, *, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> Number:
        if not isinstance(value, list):
            return value
        return [_single(function(value))] if keepdims else _single(function(value))

    return reduced


def where(condition: Number, a: Number, b: Number) -> Number:
    """`a` where the condition is true, else `b`."""
    return _each(lambda c, one, other: one if c else other)(condition, a, b)


def _nearest(value: Any) -> Any:
    return float(round(value))


@dataclass(frozen=True)
class OnNumbers:
    """An operator on Python numbers.

    Args:
        function: takes and gives numbers, and lists of them.
        rank: the rank of the result from those of the inputs and the attributes: 0 for a number, 1 for a list; None
            where it would be more, or is not known. Then the operator runs on tensors.
    """

    function: Callable[..., Number]
    rank: Callable[[list[Rank], dict[str, Any], list[Any]], Rank]


def _widest(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return max((rank for rank in ranks if rank is not None), default=None)


def _is(rank: Rank) -> Callable[..., Rank]:
    return lambda ranks, attributes, constants: rank


def _of_index(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return ranks[1] if ranks[0] == 1 else None


def _one_more(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return 1 if ranks[0] == 0 else None


def _one_less(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return 0 if ranks[0] == 1 else None


def _of_shape(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    to = constants[1]
    return len(to) if isinstance(to, list) and len(to) <= 1 else None


def _if_kept(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return (1 if attributes.get("keepdims", 1) else 0) if ranks[0] == 1 else None


def _of_cast(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return ranks[0] if attributes["to"] in (1, 7, 9) else None


def _of_slice(ranks: list[Rank], attributes: dict[str, Any], constants: list[Any]) -> Rank:
    return 1 if ranks[0] == 1 else None


_PLACEWISE: dict[str, Callable[..., Any]] = {
    "Abs": abs, "Add": operator.add, "And": lambda a, b: a and b, "Ceil": lambda v: float(math.ceil(v)), "Div": _div,
    "Equal": operator.eq, "Floor": lambda v: float(math.floor(v)), "Greater": operator.gt,
    "GreaterOrEqual": operator.ge, "Less": operator.lt, "LessOrEqual": operator.le,
    "Max": lambda *v: max(v), "Min": lambda *v: min(v), "Mul": operator.mul, "Neg": operator.neg,
    "Not": operator.not_, "Or": lambda a, b: a or b,
    "Round": _nearest, "Sqrt": math.sqrt, "Sub": operator.sub, "Sum": lambda *v: sum(v),
}  # fmt: skip

ON_NUMBERS: dict[str, OnNumbers] = {
    **{name: OnNumbers(_each(function), _widest) for name, function in _PLACEWISE.items()},
    "Cast": OnNumbers(cast, _of_cast),
    "Concat": OnNumbers(concat, _is(1)),
    "Gather": OnNumbers(gather, _of_index),
    "Identity": OnNumbers(identity, _widest),
    "ReduceMax": OnNumbers(_reduced(max), _if_kept),
    "ReduceMin": OnNumbers(_reduced(min), _if_kept),
    "ReduceProd": OnNumbers(_reduced(math.prod), _if_kept),
    "ReduceSum": OnNumbers(_reduced(sum), _if_kept),
    "Reshape": OnNumbers(reshape, _of_shape),
    "Slice": OnNumbers(cut, _of_slice),
    "Squeeze": OnNumbers(squeeze, _one_less),
    "Unsqueeze": OnNumbers(unsqueeze, _one_more),
    "Where": OnNumbers(where, _widest),
}
"""What runs on numbers, if all inputs are."""
