"""Threads are a property of a call: how many, and whose."""

from __future__ import annotations

import subprocess
import sys

# A team of one that is watched: it is asked for some threads, and works with the caller's alone.
TEAM = """
import ctypes, os
import numpy as np
import tconv
from tconv import native

ENTRY = ctypes.CFUNCTYPE(None, ctypes.CFUNCTYPE(None, ctypes.c_void_p), ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
SEAT = ctypes.CFUNCTYPE(ctypes.c_int)
asked = []

@ENTRY
def parallel(body, argument, threads, flags):
    asked.append(threads)
    body(argument)

seat = SEAT(lambda: 0)
native.join_team(*(ctypes.cast(f, ctypes.c_void_p).value for f in (parallel, seat)))
layer = tconv.prepare(np.ones((64, 64, 4, 4), np.float32), None, tconv.Geometry((4, 4), 2))
x = np.ones((1, 64, 32, 32), np.float32)
tasks = lambda: len(os.listdir("/proc/self/task"))

native.set_num_threads(3)
before = tasks()
expected = layer.computed(x, None, None, (1, True))
print(asked, tasks() - before)  # one thread needs no team
for workers in ((2, True), (5, True), (0, True)):
    assert (layer.computed(x, None, None, workers) == expected).all()
layer.exchange(x.__dlpack__(), x.shape, False, None, (4, True))
print(asked, tasks() - before, native.num_threads())
asked.clear()
assert (layer(x) == expected).all()
print(asked, tasks() - before)  # the pool's
assert (layer.computed(x, None, None, (5, False)) == expected).all()
print(asked, tasks() - before, native.num_threads())
native.join_team(0, 0)
assert (layer.computed(x, None, None, (2, True)) == expected).all()
print(asked)  # there is no team any more
"""


def test_threads_and_team_are_the_calls() -> None:
    done = subprocess.run([sys.executable, "-c", TEAM], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[] 0", "[2, 5, 3, 4] 0 3", "[] 2", "[] 4 3", "[]"]
