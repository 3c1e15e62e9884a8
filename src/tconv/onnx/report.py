"""What `optimize` did to a model, and why, as an object that prints as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tconv.nn.comparison import Comparison


@dataclass
class Row:
    """What happened at a place.

    Attributes:
        action: "folded", "kept" or "undone".
        name: of the place's convolution.
        was: its operators.
        text: what was tried, with the times and the errors, or the reason.
    """

    action: str
    name: str
    was: str
    text: str

    def __str__(self) -> str:
        return f"{self.action:7} {self.name}  {self.was}: {self.text}"


@dataclass
class Report:
    """What `optimize` did.

    Attributes:
        rows: what happened at each place.
        whole: the model before and after, with the largest error of its results; None where nothing was folded.
        changed: whether the model is another one.
        seconds: what measuring took.
    """

    rows: list[Row] = field(default_factory=list)
    whole: Comparison | None = None
    changed: bool = False
    seconds: float = 0.0

    def line(self) -> str:
        """All of it in one line."""
        if not self.rows:
            return "tconv: the model stays as it was: nothing in it folds"
        if self.whole is None:
            tried = _count(len(self.rows), "place")
            return f"tconv: the model stays as it was: of {tried} none is clearly faster in another way"
        if not self.changed:
            return f"tconv: the model stays as it was: {self.rows[-1].text}"
        folded = sum(row.action == "folded" for row in self.rows)
        return f"tconv: {self.whole}, {_count(folded, 'place')} folded"

    def __str__(self) -> str:
        lines = [self.line(), *map(str, self.rows)]
        return "\n".join([*lines, f"measured in {self.seconds:.1f} s"] if self.rows else lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def largest_error(expected: Sequence[Any], found: Sequence[Any]) -> float:
    """The largest difference of arrays' numbers, relative to the largest number of their array.

    Infinite where shapes, dtypes, whole numbers or what is not finite differ.
    """
    return max((_error(a, b) for a, b in zip(expected, found, strict=True)), default=0.0)


def _error(a: Any, b: Any) -> float:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):  # a sequence or a map
        return 0.0 if repr(a) == repr(b) else float("inf")
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if not np.issubdtype(a.dtype, np.floating):
        return 0.0 if np.array_equal(a, b) else float("inf")
    old, new = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(old)
    if not np.array_equal(finite, np.isfinite(new)) or not np.array_equal(old[~finite], new[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    return float(np.abs(old[finite] - new[finite]).max() / (np.abs(old[finite]).max() or 1.0))
