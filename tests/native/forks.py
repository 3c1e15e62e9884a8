"""Run by test_forks.py: children forked while another thread packs and runs the very layer that they then call."""

from __future__ import annotations

import os
import signal
from threading import Thread
from time import perf_counter, sleep

import numpy as np

import tconv

FORKS = 12  # spread over the first call, so that some fall into the packing and some into the run
PATIENCE = 5  # seconds until a child counts as one that hangs


def main() -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((256, 256, 4, 4), np.float32)
    geometry = tconv.Geometry.from_torch((4, 4), 2, 1)
    # Channels-first and channels-last, many pixels and few, are packed in different ways.
    small, large = rng.standard_normal((1, 256, 4, 4), np.float32), rng.standard_normal((1, 256, 24, 24), np.float32)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(small, 1, -1)), -1, 1)
    for x in (small, large, last):
        layer = tconv.prepare(w, None, geometry)
        start = perf_counter()
        expected = layer(x).tobytes()
        first_call = perf_counter() - start
        for number in range(FORKS):
            layer = tconv.prepare(w, None, geometry)
            thread = Thread(target=layer, args=(x,))
            thread.start()
            sleep(first_call * number / FORKS)
            assert child_agrees(layer, x, expected), f"child {number} failed or hung, input {x.shape}"
            thread.join()
    print("forked", 3 * FORKS)


def child_agrees(layer: tconv.Layer, x: np.ndarray, expected: bytes) -> bool:
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        os._exit(layer(x).tobytes() != expected)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    main()
