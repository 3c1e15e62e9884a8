"""Every operator against the examples that the standard publishes with its definition."""

from __future__ import annotations

import warnings
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from onnx import ModelProto

from tconv.onnx.importing.program import imported, unsupported
from tconv.onnx.importing.table import OPERATORS

# Operators of the table that are none of the standard, or that it has no examples for.
WITHOUT = {"GlobalLpPool", "GroupNorm", "Silu"}

# With align_corners these take the size before it is rounded down, where ONNX Runtime and PyTorch take the size itself.
OTHERS = {"test_resize_downsample_scales_linear_align_corners", "test_resize_downsample_scales_cubic_align_corners"}


@cache
def cases() -> dict[str, list[Any]]:
    """The standard's examples of single operators, by operator."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what the examples' own code makes NumPy say
        from onnx.backend.test.case.node import collect_testcases

        found: dict[str, list[Any]] = defaultdict(list)
        for case in collect_testcases(None):
            assert case.model is not None
            if len(case.model.graph.node) == 1:
                found[case.model.graph.node[0].op_type].append(case)
    return found


def array(value: Any) -> Any:
    """An array of an example, which may be written as a tensor of the standard."""
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def frozen(model: ModelProto, arrays: list[Any]) -> ModelProto:
    """The model with all inputs but the first as weights."""
    made = ModelProto()
    made.CopyFrom(model)
    names = [value.name for value in model.graph.input]
    made.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in list(zip(names, arrays, strict=True))[1:]
    )
    del made.graph.input[1:]
    return made


def check(case: Any, model: ModelProto, arrays: list[Any], expected: list[Any]) -> None:
    """The model's results are those of the example, with their dtypes."""
    found = imported(model)(*arrays)
    results = found if isinstance(found, tuple) else (found,)
    for y, wanted in zip(results, expected, strict=True):
        assert y.dtype == wanted.dtype and y.shape == wanted.shape, case.name
        half = wanted.dtype.name in ("float16", "bfloat16")
        wide = [each.astype(np.float64) if each.dtype.kind not in "iub" else each for each in (y, wanted)]
        np.testing.assert_allclose(*wide, rtol=2e-2 if half else 1e-3, atol=1e-3 if half else 1e-6, err_msg=case.name)


@pytest.mark.parametrize("kind", sorted(OPERATORS.keys() - WITHOUT))
def test_examples_of_the_standard(kind: str) -> None:
    done = 0
    for case in cases()[kind]:
        if unsupported(case.model) or case.name in OTHERS:
            continue
        for inputs, outputs in case.data_sets:
            arrays, expected = [array(each) for each in inputs], [array(each) for each in outputs]
            check(case, case.model, arrays, expected)
            if len(arrays) > 1 and not unsupported(frozen(case.model, arrays)):
                check(case, frozen(case.model, arrays), arrays[:1], expected)
            done += 1
    assert done
