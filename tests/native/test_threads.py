"""Bits do not depend on the number of threads, in any way of computing: on layers that are large enough for several."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tconv import native

# Each layer: way, channels, groups, kernel, stride, padding, input; whether channels-last, and with Winograd's ways.
PROGRAM = """
import os, sys
import ml_dtypes
import numpy as np
import tconv
from tconv import native

LAYERS = [
    ("pixels", 32, 24, 1, (4, 4), 2, 1, (2, 32, 40, 40), False, False),
    ("pixels", 64, 2, 1, (3, 3), 2, 1, (1, 64, 90, 90), True, False),
    ("cells", 32, 24, 1, (4, 4), 2, 1, (2, 32, 40, 40), True, False),
    ("cells", 300, 40, 1, (4, 4), 2, 1, (2, 300, 4, 4), False, False),
    ("cells", 300, 40, 1, (4, 4), 1, 0, (40, 300, 1, 1), False, False),
    ("depthwise", 48, 48, 48, (4, 4), 2, 1, (2, 48, 60, 60), False, False),
    ("depthwise", 48, 48, 48, (4, 4), 2, 1, (2, 48, 60, 60), True, False),
    ("winograd_6x6", 64, 64, 1, (3, 3), 1, 1, (1, 64, 30, 30), True, True),
    ("winograd_4x4", 64, 64, 1, (4, 4), 2, 1, (1, 64, 30, 30), True, True),
    ("winograd_line", 64, 64, 1, (7,), 1, 3, (2, 64, 700), False, True),
]
tasks = lambda: len(os.listdir("/proc/self/task"))
before = tasks()
for way, channels, out, groups, kernel, stride, padding, shape, last, winograd in LAYERS:
    for dtype in (np.float32, np.float64, ml_dtypes.bfloat16, np.float16):
        rng = np.random.default_rng(0)
        x = rng.standard_normal(shape).astype(dtype)
        w = rng.standard_normal((channels, out // groups, *kernel)).astype(dtype)
        b = rng.standard_normal(out).astype(dtype)
        if last:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        geometry = tconv.Geometry.from_torch(kernel, stride, padding)
        layer = tconv.prepare(w, b, geometry, groups, winograd=winograd)
        direct = dtype in (ml_dtypes.bfloat16, np.float16) and way in ("winograd_4x4", "winograd_line")
        if native.active().startswith("avx512") and not direct:  # others have fewer lanes to fill
            assert layer.plan(shape, last).way == way, (way, dtype, layer.plan(shape, last))
        results = set()
        for threads in (1, 2, 3, 5):
            native.set_num_threads(threads)
            results.add(layer(x).tobytes())
        assert len(results) == 1, (way, dtype)
print(tasks() - before)
"""


@pytest.mark.parametrize("backend", native.backends())
def test_bits_do_not_depend_on_threads(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCONV_BACKEND", backend)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 4  # the pool's: so many that others than the caller did compute
