"""Which way the core takes for many layers: `python tests/native/ways.py` writes what is expected from now on.

The layers are those of the benchmark, convolutions, and some that are drawn: always the same ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tconv
from tconv import Geometry, errors, native
from tconv.arrays import Shape
from tconv.benchmark.suite import SUITE
from tconv.native import _core

EXPECTED = Path(__file__).parent / "golden" / "ways.txt"
BACKENDS = ("avx512", "avx2", "portable")
DRAWN = 150
CACHE = 1 << 20  # of the second level: by its size the core divides the work, and so how much memory it needs


def layers() -> Iterator[tuple[str, Geometry, int, Shape, Shape]]:
    """Name, geometry, groups, and the shapes of the weight and the input."""
    for case in SUITE:
        yield case.name, case.geometry, case.groups, case.weight_shape, (case.batch, case.in_channels, *case.in_size)
    for size in ((64, 64), (16, 16)):  # a convolution that folds bring
        yield f"3x3 on {size[0]}", Geometry((3, 3), 1, 1, ((1, 1), (1, 1))), 1, (64, 64, 3, 3), (1, 64, *size)
    for number in range(DRAWN):
        drawn = _drawn(np.random.default_rng(number))
        if drawn is not None:
            yield f"drawn {number}", *drawn


def _drawn(rng: np.random.Generator) -> tuple[Geometry, int, Shape, Shape] | None:
    def some(most: int, count: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(1, most + 1, count))

    ndim = int(rng.integers(1, 4))
    longest = (40, 6, 4)[ndim - 1]
    kernel, stride, dilation = some(longest, ndim), some(longest // 2 + 1, ndim), some(2, ndim)
    groups = int(rng.choice([1, 1, 1, 2, 8]))
    channels_in, channels_out = (groups * n for n in some(48, 2))
    if rng.integers(5) == 0:  # one channel per group
        groups = channels_in
        channels_out = channels_in
    in_size = some((3000, 60, 14)[ndim - 1] if rng.integers(3) else 4, ndim)
    crop = tuple(int(n) for n in rng.integers(-1, 3, ndim))
    geometry = Geometry(kernel, stride, dilation, tuple((n, n) for n in crop))
    try:
        geometry.output_size(in_size)
    except errors.TconvError:
        return None
    weight = channels_in, channels_out // groups, *kernel
    return geometry, groups, weight, (int(rng.choice([1, 2, 16])), channels_in, *in_size)


def plans(backend: str) -> Iterator[str]:
    """One line for each layer, in both layouts and with and without Winograd's algorithm."""
    before = os.environ.get("TCONV_BACKEND")
    os.environ["TCONV_BACKEND"] = backend
    _core.assume_second_cache(CACHE)
    try:
        for name, geometry, groups, weight, shape in layers():
            for winograd in (False, True):
                layer = tconv.prepare(np.zeros(weight, np.float32), None, geometry, groups, winograd=winograd)
                for last in (False, True):
                    plan = layer.plan(shape, channels_last=last)
                    kind = f"channels-{'last' if last else 'first'}{', Winograd' if winograd else ''}"
                    yield f"{backend}: {name}, {kind}: {plan.way}, {plan.workspace_bytes}"
    finally:
        _core.assume_second_cache(0)
        if before is None:
            del os.environ["TCONV_BACKEND"]
        else:
            os.environ["TCONV_BACKEND"] = before


if __name__ == "__main__":
    known = EXPECTED.read_text().splitlines()  # of backends that this processor does not have, they stay
    lines = [
        line
        for backend in BACKENDS
        for line in (plans(backend) if backend in native.backends() else known)
        if line.startswith(f"{backend}:")
    ]
    EXPECTED.write_text("\n".join(lines) + "\n")
