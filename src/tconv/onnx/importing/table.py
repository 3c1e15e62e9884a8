"""All operators that the importer computes, and what its code calls them."""

from __future__ import annotations

import math
from typing import Any

from tconv.onnx.importing import elementwise, normalising, numbers, pooling, products, reducing, resizing, shaping
from tconv.onnx.importing.borders import zero_pad
from tconv.onnx.importing.operators import Operator, Table, Versions, as_python, as_tensor
from tconv.onnx.importing.products import trimmed

OPERATORS: Table = {
    **elementwise.TABLE,
    **normalising.TABLE,
    **pooling.TABLE,
    **products.TABLE,
    **reducing.TABLE,
    **resizing.TABLE,
    **shaping.TABLE,
}


def versions_of(kind: str) -> Versions:
    """An operator's versions, the newest last; none of one that is not computed."""
    entry = OPERATORS.get(kind, ())
    return entry if isinstance(entry, tuple) else (entry,)


def name_of(kind: str, operator: Operator) -> str:
    """What code calls an operator: as the standard does, older versions with the opset that they begin with."""
    return kind if versions_of(kind)[-1] is operator else f"{kind}_{operator.since}"


def on_numbers(kind: str) -> str:
    """What code calls an operator on Python numbers."""
    return f"{kind}_of_numbers"


def namespace() -> dict[str, Any]:
    """Everything that the importer's code calls."""
    found: dict[str, Any] = {name_of(kind, each): each.function for kind in OPERATORS for each in versions_of(kind)}
    found |= {on_numbers(kind): each.function for kind, each in numbers.ON_NUMBERS.items()}
    found |= {on_numbers("Shape"): numbers.shape, on_numbers("Size"): numbers.size}
    return found | {
        "as_python": as_python,
        "as_tensor": as_tensor,
        "inf": math.inf,
        "nan": math.nan,
        "trimmed": trimmed,
        "zero_pad": zero_pad,
    }
