"""Run by test_processes.py: less and less memory. A call is right, or raises MemoryError and leaves no trace.

The arrays exist before; what is refused are the core's own packed weights, copies and threads.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tconv import Geometry, native

FAILURES = 20

LAYERS = {  # weights of a MiB each, one layer for every way to pack them
    "pixels": (Geometry.from_torch((4, 4), 2, 1), (128, 128, 4, 4), (1, 128, 16, 16), 1),
    "channels": (Geometry.from_torch((4, 4), 2, 1), (128, 128, 4, 4), (1, 128, 4, 4), 1),
    "phases": (Geometry(512, 256), (32, 16, 512), (1, 32, 20), 1),
    "depthwise": (Geometry(128, 2), (2048, 1, 128), (1, 2048, 3), 2048),
}


def main() -> None:
    rng = np.random.default_rng(0)
    for name, (geometry, weight_shape, input_shape, groups) in LAYERS.items():
        w, x = rng.standard_normal(weight_shape, np.float32), rng.standard_normal(input_shape, np.float32)
        y = np.empty((1, weight_shape[1] * groups, *geometry.output_size(input_shape[2:])), np.float32)
        native.pack(geometry, w, None, groups).run(x, y)
        expected = y.tobytes()

        def call(w: Any = w, x: Any = x, y: Any = y, geometry: Geometry = geometry, groups: int = groups) -> None:
            native.pack(geometry, w, None, groups).run(x, y)

        outcomes = [runs_within(extra, call) for extra in range(0, 8 * w.nbytes, w.nbytes // 2)]
        assert not all(outcomes) and outcomes[-1], f"{name}: {outcomes}"
        assert y.tobytes() == expected, name

        packed = native.pack(geometry, w, None, groups)
        before = address_space()
        for _ in range(FAILURES):
            assert not runs_within(0, call), name
        runs_within(0, lambda packed=packed, x=x, y=y: packed.run(x, y))  # it may or may not need more memory
        assert address_space() - before < FAILURES // 5 * w.nbytes, f"{name} leaks"
        packed.run(x, y)
        assert y.tobytes() == expected, f"{name}: a failure left a trace in the layer"
    print("starved", len(LAYERS))


def runs_within(extra: int, call: Any) -> bool:
    """Whether a call gets by with so many bytes more than the process has."""
    with limited(address_space() + extra):
        try:
            call()
        except MemoryError:
            return False
    return True


@contextmanager
def limited(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
