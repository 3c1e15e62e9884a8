"""Reading what users write: an int, or one int per axis. Every check of such an argument is here."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeGuard

from tconv import errors

Ints: TypeAlias = int | Sequence[int]
Pairs: TypeAlias = Sequence[tuple[int, int]]
Padding: TypeAlias = Ints | Pairs | str


def integer(name: str, value: Any) -> int:
    """`value` as a Python int; floats, bools and text are refused rather than rounded."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise errors.ArgumentTypeError(
        f"{name} must be an integer, not {value!r} ({type(value).__name__}); sizes are counted in whole cells"
    )


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether `value` has entries (a tuple, a list, a NumPy vector), and is not text."""
    return not isinstance(value, str | bytes) and hasattr(value, "__len__") and hasattr(value, "__iter__")


def per_axis(name: str, value: Any, ndim: int) -> tuple[int, ...]:
    """One int per axis from an int (used for every axis) or from a sequence of 1 or `ndim` ints."""
    if not is_sequence(value):
        return (integer(name, value),) * ndim
    entries = tuple(integer(name, v) for v in value)
    if len(entries) == 1:
        return entries * ndim
    if len(entries) != ndim:
        raise errors.LengthError(f"{name} has {len(entries)} entries, {tuple(entries)}, for {_axes(ndim)}")
    return entries


def pairs_per_axis(name: str, value: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """One (lo, hi) pair per axis, from one pair (used for every axis) or from a sequence of pairs."""
    if is_sequence(value) and len(value) == 2 and not any(is_sequence(v) for v in value):
        value = (value,) * ndim
    if not is_sequence(value) or not all(is_sequence(v) and len(v) == 2 for v in value):
        raise errors.LengthError(f"{name} must be a pair (lo, hi) or one such pair per axis, not {value!r}")
    entries = tuple((integer(name, lo), integer(name, hi)) for lo, hi in value)
    if len(entries) not in (1, ndim):
        raise errors.LengthError(f"{name} has {len(entries)} pairs, {entries}, for {_axes(ndim)}")
    return entries if len(entries) == ndim else entries * ndim


def _axes(ndim: int) -> str:
    return f"{ndim} spatial axes; give 1 or {ndim}" if ndim > 1 else "1 spatial axis; give 1"


def at_least_one(name: str, value: int, law: type[errors.TconvError], axis: str = "") -> None:
    """Kernel, stride and dilation share this law; each has its own error class."""
    if value < 1:
        raise law(f"{name} {value}{axis} must be at least 1")
