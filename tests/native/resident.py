"""Run by test_resident.py: how much memory 32 MiB of weights take, beside their own array, in all ways of computing.

Prints a line per layer: its name, and the most that the process had grown by after any call, in MiB.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tconv import Geometry, native
from tconv.layer import Layer, prepare, prepare_lent

MIB = 2**20
LIBC = ctypes.CDLL(None)

# Name, geometry, channels in and out, groups, sizes of the inputs: a pixel, few, many, long rows.
LAYERS: list[tuple[str, Geometry, int, int, int, list[tuple[int, ...]]]] = [
    ("kernel 4 stride 2", Geometry.from_torch((4, 4), 2, 1), 1024, 512, 1, [(1, 1), (3, 3), (12, 12), (1, 70)]),
    ("kernel 2 stride 2", Geometry((2, 2), 2), 2048, 1024, 1, [(1, 1), (4, 4), (10, 10), (2, 40)]),
    ("kernel 3 stride 1", Geometry.from_torch((3, 3), 1, 1), 1024, 912, 1, [(1, 1), (3, 3), (12, 12), (2, 70)]),
    ("kernel 2 stride 1", Geometry((2, 2), 1), 2048, 1024, 1, [(1, 1), (12, 12)]),
    ("three axes", Geometry((4, 4, 4), 2, 1, (1, 1)), 256, 512, 1, [(1, 1, 1), (2, 2, 2), (4, 6, 6)]),
    ("a sequence", Geometry.from_torch(16, 8, 4), 1024, 512, 1, [(1,), (9,), (200,)]),
    ("groups", Geometry.from_torch((4, 4), 2, 1), 2048, 1024, 4, [(1, 1), (3, 3), (12, 12)]),
    ("channels that fill no vector", Geometry((8, 8), 4), 26214, 5, 1, [(1, 1), (3, 3), (9, 9)]),
    ("seventeen channels", Geometry((8, 8), 4), 7710, 17, 1, [(1, 1), (3, 3), (9, 9)]),
    ("depthwise", Geometry((64, 64), 2), 2048, 2048, 2048, [(2, 2), (5, 5)]),
    ("depthwise, three axes", Geometry((16, 16, 16), 8), 2048, 2048, 2048, [(1, 2, 2)]),
]


def resident() -> float:
    """MiB of this process that are in memory and its own."""
    gc.collect()
    native.free_memory()
    LIBC.malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def call(layer: Layer, size: tuple[int, ...], weight: Any, last: bool) -> None:
    shape = (1, weight.shape[0], *size)
    x = np.ones((1, *size, weight.shape[0]), np.float32) if last else np.ones(shape, np.float32)
    if last:
        x = np.moveaxis(x, -1, 1)
    if layer.plan(shape, channels_last=last).way == "reference":
        raise AssertionError(f"{layer} is not computed in a fast way")
    layer.computed(x, None, lambda: (weight, None), native.OWN)


def grown(made: Any, geometry: Geometry, weight: Any, groups: int, sizes: list[tuple[int, ...]]) -> float:
    """By how many MiB the process has grown at most, after calls in turn of all sizes and layouts."""
    before, most = resident(), 0.0
    layer = made(weight, None, geometry, groups, None, True)
    for _ in range(2):
        for size in sizes:
            for last in (False, True):
                call(layer, size, weight, last)
                most = max(most, resident() - before)
    return most


def main(kind: str) -> None:
    made = {"kept": prepare, "lent": prepare_lent}[kind]
    tiny = np.ones((4, 4, 2, 2), np.float32)
    for _ in range(2):  # threads, and what Python itself takes
        grown(made, Geometry((2, 2), 2), tiny, 1, [(30, 30)])
    for name, geometry, channels_in, channels_out, groups, sizes in LAYERS:
        weight = np.ones((channels_in, channels_out // groups, *geometry.kernel), np.float32)
        assert 31.9 * MIB < weight.nbytes < 32.1 * MIB, (name, weight.nbytes / MIB)
        print(f"{name}: {grown(made, geometry, weight, groups, sizes):.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
