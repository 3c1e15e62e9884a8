"""Channels-first layers of many weights and several taps, whose panels hold some of the channels at a time."""

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

LAYERS = [  # input (images, channels, *size), outputs, kernel, stride, padding
    ((3, 257, 16, 17), 132, 4, 2, 1),  # channels and images that parts and clusters do not divide
    ((1, 300, 24, 25), 200, 3, 1, 1),
    ((2, 512, 11, 17), 130, 3, 2, 1),
    ((2, 700, 60), 260, 3, 1, 1),
]
assert native.active() == sys.argv[1], native.active()
rng = np.random.default_rng(0)
for shape, outputs, kernel, stride, padding in LAYERS:
    ndim = len(shape) - 2
    geometry = Geometry((kernel,) * ndim, stride, 1, ((padding, padding),) * ndim)
    x = rng.integers(-1, 2, shape).astype(float)  # whole numbers, so that float32 has no error
    w = rng.integers(-1, 2, (shape[1], outputs, *(kernel,) * ndim)).astype(float)
    b = rng.integers(-3, 4, outputs).astype(float)
    expected = FORMS["taps"](geometry, x, w, b, 1)
    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
        layer = tconv.prepare(w.astype(dtype), b.astype(dtype), geometry, activation="relu")
        y = layer(x.astype(dtype))
        assert (y == np.maximum(expected, 0).astype(dtype)).all(), (shape, np.dtype(dtype))
print("ran", len(LAYERS))
"""


@pytest.mark.parametrize("name", [name for name in native.backends() if name != "reference"])  # which has no panels
def test_sums_wait_for_further_channels(name: str) -> None:
    exercise(EXERCISE, name)
