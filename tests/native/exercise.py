"""Backends: how wide their vectors are, and a program on one that is forced by name, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tconv import native

TESTS = Path(__file__).parent.parent


def lanes() -> int:
    """Numbers of float32 in a vector of the active backend."""
    return {"portable": 4, "avx2": 8}.get(native.active(), 16)


def exercise(program: str, backend: str) -> None:
    """Run it with the backend's name as its argument; in the end it prints "ran" and how much."""
    environment = {**os.environ, "TCONV_BACKEND": backend, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", program, backend]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ran ")


LAYERS = """
import itertools
import sys
import ml_dtypes
import numpy as np
import tconv
from tconv import native
from tconv.forms import FORMS
from tconv.geometry import Geometry

assert native.active() == sys.argv[1], native.active()
rng = np.random.default_rng(0)
for shape, outputs, kernel, stride, padding, dilation in {layers}:
    ndim = len(shape) - 2
    spread = lambda n: (n,) * ndim if isinstance(n, int) else n
    geometry = Geometry(spread(kernel), stride, dilation, tuple((p, p) for p in spread(padding)))
    x = rng.integers(-3, 4, shape).astype(float)  # whole numbers, so that float32 has no error
    w = rng.integers(-3, 4, (shape[1], outputs, *spread(kernel))).astype(float)
    b = rng.integers(-3, 4, outputs).astype(float)
    expected = FORMS["taps"](geometry, x, w, b, 1)
    for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
        for last, activation in itertools.product((False, True), (None, "relu")):
            exact = (expected if activation is None else np.maximum(expected, 0)).astype(dtype)
            given = x.astype(dtype)
            if last:
                given = np.moveaxis(np.ascontiguousarray(np.moveaxis(given, 1, -1)), -1, 1)
            y = tconv.prepare(w.astype(dtype), b.astype(dtype), geometry, activation=activation)(given)
            assert (y == exact).all(), (shape, kernel, stride, dilation, np.dtype(dtype), last, activation)
print("ran", len({layers}))
"""


def exercise_layers(layers: Sequence[tuple[Any, ...]], backend: str) -> None:
    """Layers are exact in every dtype and layout.

    Of each: (images, channels, *size), output channels, kernel, stride, padding, dilation.
    """
    exercise(LAYERS.format(layers=list(layers)), backend)
