"""Sums of more products than are added up one by one: in parts, over all tiles or, at a border, tile by tile."""

from __future__ import annotations

import numpy as np
import pytest

import tconv
from tconv import native
from tconv.geometry import Geometry

CASES = [
    (1500, 33, 3, 2, 1, "relu"),
    (2100, 20, 3, 1, 1, None),
    (600, 70, 4, 2, 1, "tanh"),
    (1300, 3, 3, 2, 2, "relu"),
    (1200, 17, 5, 3, 4, "silu"),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_long_sums(case: tuple[int, int, int, int, int, str | None], threads: int, last: bool) -> None:
    channels, out, k, stride, padding, activation = case
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((channels, out, k, k)) / np.sqrt(channels * k * k / stride**2)
    bias, x = rng.standard_normal(out), rng.standard_normal((3, channels, 6, 5))
    geometry = Geometry((k, k), stride, 1, (padding, padding))
    expected = tconv.forms.taps.run(geometry, x, weight, bias, 1)
    narrow = [np.float32(array) for array in (weight, bias, x)]
    if last:
        narrow[2] = np.moveaxis(np.ascontiguousarray(np.moveaxis(narrow[2], 1, -1)), -1, 1)
    before = native.num_threads()
    native.set_num_threads(threads)
    try:
        linear = tconv.prepare(narrow[0], narrow[1], geometry)(narrow[2])
        y = tconv.prepare(narrow[0], narrow[1], geometry, 1, activation)(narrow[2])
    finally:
        native.set_num_threads(before)
    np.testing.assert_allclose(linear, expected, rtol=0, atol=1e-5)
    curves = {
        "relu": lambda v: np.maximum(v, 0),
        "tanh": np.tanh,
        "silu": lambda v: v / (1 + np.exp(-v)),
        None: lambda v: v,
    }
    np.testing.assert_allclose(y, curves[activation](expected), rtol=0, atol=1e-5)
