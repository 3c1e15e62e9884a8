"""Few outputs: inputs where they lie, or in panels where shifts are distances on one axis or on several; joins."""

from __future__ import annotations

import pytest
from native.exercise import exercise

from tconv import native

EXERCISE = """
import sys
import ml_dtypes
import numpy as np
import tconv
from tconv import native
from tconv.forms import FORMS
from tconv.geometry import Geometry

LAYERS = [  # input (images, channels, *size), outputs, kernel, stride, padding, dilation
    ((1, 5, 60, 250), 1, 9, 2, 4, 1),
    ((1, 19, 71, 230), 2, 3, 1, 1, 1),
    ((2, 3, 33, 401), 1, (5, 2), (1, 3), (2, 0), 1),
    ((3, 40, 30, 31), 3, 4, 2, 1, 1),
    ((1, 130, 64, 50), 2, 5, 1, 2, 1),
    ((1, 9, 18, 20, 22), 1, 3, 2, 1, 1),
    ((1, 7, 21, 9, 130), 2, (3, 1, 4), (2, 1, 2), (1, 0, 1), 1),
    ((1, 6, 5000), 1, 5, 2, 2, 1),
    ((2, 6, 5003), 1, 2, 1, 0, 1),  # these two are read where they lie
    ((3, 9, 40, 50), 1, 2, 2, 0, 1),
    ((1, 10, 40, 50), 16, 3, 2, 1, 1),  # channels-last, outputs of a pixel that fill a vector, or half of one
    ((2, 6, 30, 41), 16, 3, 1, 1, 1),
    ((1, 9, 40, 50), 8, 5, 2, 2, 1),
    ((1, 4, 70, 300), 1, 3, 1, 2, 2),  # taps of a row have sums of their own
    ((2, 5, 40, 41), 2, (2, 4), 1, 0, (1, 3)),
    ((1, 3, 12, 13, 30), 1, 3, (1, 2, 2), 1, 1),
    ((1, 3, 50, 50), 1, (2, 8), (3, 2), 0, 1),  # as the rows between hold the bias, they do not have here
]
assert native.active() == sys.argv[1], native.active()
rng = np.random.default_rng(0)
for shape, outputs, kernel, stride, padding, dilation in LAYERS:
    ndim = len(shape) - 2
    spread = lambda n: (n,) * ndim if isinstance(n, int) else n
    geometry = Geometry(spread(kernel), stride, dilation, tuple((p, p) for p in spread(padding)))
    x = rng.integers(-3, 4, shape).astype(float)  # whole numbers, so that float32 has no error
    w = rng.integers(-3, 4, (shape[1], outputs, *spread(kernel))).astype(float)
    b = rng.integers(-3, 4, outputs).astype(float)
    expected = FORMS["taps"](geometry, x, w, b, 1)
    for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
        exact = expected.astype(dtype)
        for last in (False, True):
            given = x.astype(dtype)
            if last:
                given = np.moveaxis(np.ascontiguousarray(np.moveaxis(given, 1, -1)), -1, 1)
            y = tconv.prepare(w.astype(dtype), b.astype(dtype), geometry)(given)
            assert (y == exact).all(), (shape, kernel, stride, dilation, np.dtype(dtype), last)
print("ran", len(LAYERS))
"""


@pytest.mark.parametrize("name", native.backends())
def test_few_outputs_of_wide_rows_and_of_images(name: str) -> None:
    exercise(EXERCISE, name)
