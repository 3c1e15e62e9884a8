"""Arithmetic of sizes on Python numbers gives what the operators give on tensors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from tconv.onnx.importing.numbers import ON_NUMBERS, shape, size
from tconv.onnx.importing.operators import as_python, as_tensor, version_of
from tconv.onnx.importing.table import OPERATORS

WHOLE: tuple[Any, ...] = ([7, -7, 3], [2, 3, -2], 5, -3, [4])
REAL: tuple[Any, ...] = ([1.5, -2.5, 0.25], 2.0, [3.0], -0.5)
TRUE: tuple[Any, ...] = ([True, False, True], True, [False])
ORDER = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
BOTH = ("Add", "Sub", "Mul", "Max", "Min", "Sum")
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *((name, pair, {}) for name in (*BOTH, *ORDER) for pair in product(WHOLE, WHOLE)),
    *((name, pair, {}) for name in ("Add", "Sub", "Mul", "Div", *ORDER) for pair in product(REAL, REAL)),
    *(("Div", pair, {}) for pair in product(WHOLE, WHOLE)),
    *((name, (x,), {}) for name in ("Abs", "Neg", "Identity") for x in (*WHOLE, *REAL)),
    *((name, (x,), {}) for name in ("Ceil", "Floor", "Round") for x in REAL),
    ("Sqrt", ([2.0, 0.1],), {}),
    *((name, pair, {}) for name in ("And", "Or") for pair in product(TRUE, TRUE)),
    *(("Not", (x,), {}) for x in TRUE),
    *(("Where", (c, a, b), {}) for c, a, b in product(TRUE, WHOLE, WHOLE)),
    *(("Cast", (x,), {"to": to}) for x in (*WHOLE, *REAL, *TRUE) for to in (1, 7, 9)),
    ("Concat", ([1, 2], [3]), {"axis": 0}),
    *(("Gather", ([4, 5, 6], index), {}) for index in (1, -1, [0, -1], [2])),
    *(("Slice", ([4, 5, 6, 7], *at), {}) for at in (
        ([1], [3]), ([-2], [2**63 - 1]), ([0], [-1], [0], [2]), ([-1], [-(2**62)], [0], [-1]), ([3], [0], [0], [-2]),
    )),
    *((name, ([4, 5, 6],), {"keepdims": keep})
      for name in ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum") for keep in (0, 1)),
    ("Squeeze", ([4], [0]), {}), ("Unsqueeze", (4, [0]), {}), ("Reshape", ([4], []), {}), ("Reshape", (4, [1]), {}),
    ("Reshape", ([4, 5], [-1]), {}),
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(ON_NUMBERS))
def test_as_on_tensors(name: str) -> None:
    operator = version_of(OPERATORS[name], 17)
    assert operator is not None
    cases = [(inputs, attributes) for kind, inputs, attributes in CASES if kind == name]
    assert cases
    for inputs, attributes in cases:
        tensors = [x if n in operator.python else as_tensor(x) for n, x in enumerate(inputs)]
        expected = operator.function(*tensors, **attributes)
        found = ON_NUMBERS[name].function(*inputs, **attributes)
        assert as_python(expected) == found, (name, inputs)
        assert as_tensor(found).dtype == expected.dtype, (name, inputs)
        ranks = [np.ndim(x) for x in inputs]
        assert ON_NUMBERS[name].rank(list(ranks), attributes, list(inputs)) == np.ndim(found)


def test_what_numbers_cannot_be_runs_on_tensors() -> None:
    """Lists of lists, and dtypes that Python does not have."""
    ask = {name: ON_NUMBERS[name].rank for name in ON_NUMBERS}
    assert ask["Unsqueeze"]([1, 1], {}, [[1, 2], [0]]) is None
    assert ask["Reshape"]([1, 1], {}, [[1, 2], [1, 2]]) is None and ask["Reshape"]([1, 1], {}, [[1], None]) is None
    assert ask["Cast"]([0], {"to": 11}, [1]) is None
    assert ask["Gather"]([0, 0], {}, [1, 0]) is None and ask["Slice"]([0, 1, 1], {}, [1, [0], [1]]) is None
    assert ask["Squeeze"]([0, 1], {}, [1, [0]]) is None and ask["ReduceSum"]([0], {}, [1]) is None


def test_shapes() -> None:
    x = torch.zeros(2, 3, 4)
    assert shape(x) == [2, 3, 4] and shape(x, start=1) == [3, 4] and shape(x, start=-2, end=-1) == [3] and size(x) == 24
