"""A call that takes minutes ends when Ctrl-C is pressed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CALL = """
import os, signal, sys, threading, time
import numpy as np
import tconv

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
native, team = tconv.native, sys.argv[1] == "team"
if team:
    import tconv.nn
layer = tconv.prepare(np.ones((512, 512, 31), np.float32), None, tconv.Geometry(31))
x = np.ones(tuple(map(int, sys.argv[2].split(","))), np.float32)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.perf_counter()
try:
    layer.computed(x, None, None, (int(sys.argv[3]), team))
    print("done")
except KeyboardInterrupt:
    print("interrupted" if time.perf_counter() - start < 5 else "late")
y = layer(x[..., :2])  # and the next call is right
assert (y == layer(x[..., :2])).all() and y[0, 0, 0] == 512
"""


@pytest.mark.parametrize(
    ("workers", "shape", "threads"),
    [("own", "1,512,9000", "1"), ("own", "1,512,9000", "2"), ("team", "2,512,9000", "2")],
)
def test_the_reference_can_be_interrupted(workers: str, shape: str, threads: str) -> None:
    environment = {**os.environ, "TCONV_BACKEND": "reference"}
    command = [sys.executable, "-c", CALL, workers, shape, threads]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "interrupted\n"
