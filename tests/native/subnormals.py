"""Run by test_processes.py with MALLOC_PERTURB_=127: memory that nobody has written is full of the smallest numbers.

Kernels compute whole vectors, also where some lanes are wanted by no one. What lies there changes no result; but if
products become subnormal, some processors take a hundred times as long. They then raise the flag for underflow.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, product
from threading import Thread
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from native.test_gradients import LARGER, gradients, last
from native.ways import layers

import tconv
from tconv import native

UNDERFLOW = 0x10 if platform.machine() == "x86_64" else 0x08  # of <fenv.h>; 64-bit ARM has the other
SMALL = 2.0**-20  # of weights, so that products with what was never written become subnormal in float64, too
MOST = 2e8  # multiplications of a layer

DTYPES = (np.float32, np.float64)
HALVES = (np.float16, ml_dtypes.bfloat16)
Run: TypeAlias = tuple[str, Callable[[], Any]]

libm = ctypes.CDLL("libm.so.6")


def underflows(call: Callable[[], Any]) -> bool:
    """Whether numbers become subnormal in a thread that has no memory yet."""
    raised: list[int] = []

    def watched() -> None:
        libm.feclearexcept(UNDERFLOW)
        call()
        raised.append(libm.fetestexcept(UNDERFLOW))

    thread = Thread(target=watched)
    thread.start()
    thread.join()
    return bool(raised[0])


def some(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.random.default_rng(0).uniform(0.5, 1, shape).astype(dtype)


def forward() -> Iterator[Run]:
    for name, geometry, groups, weight, shape in layers():
        if np.prod(shape) * np.prod(weight[1:]) > MOST:
            continue
        for dtype, winograd in product(DTYPES, (False, True)):
            x, w = some(shape, dtype), some(weight, dtype) * dtype(SMALL)
            layer = tconv.prepare(w, None, geometry, groups, winograd=winograd)
            for given in (x, last(x)):
                layer(given)  # packs the weights
                yield f"{name} {dtype.__name__} {winograd} {given is x}", lambda layer=layer, x=given: layer(x)


def halves() -> Iterator[Run]:
    """Their sums wait in memory until they are rounded; and what is done with them there is done in whole vectors."""
    for (name, geometry, groups, weight, shape), dtype in product(layers(), HALVES):
        if np.prod(shape) * np.prod(weight[1:]) > MOST / 8:
            continue
        x, w = some(shape, dtype), some(weight, dtype)
        for given, activation in product((x, last(x)), (None, "leaky_relu")):
            layer = tconv.prepare(w, None, geometry, groups, activation=activation)
            layer(given)
            yield f"{name} {dtype.__name__} {activation} {given is x}", lambda layer=layer, x=given: layer(x)


def backward(backend: str) -> Iterator[Run]:
    for case, dtype in product(LARGER, DTYPES):
        x, w, _ = case.arrays(dtype.__name__)
        x, w = some(x.shape, dtype), some(w.shape, dtype) * dtype(SMALL)
        g = some((case.batch, case.out_channels, *case.geometry.output_size(case.in_size)), dtype)
        for arrays in ((x, w, g), (last(x), last(w), last(g))):
            call = partial(gradients, case.geometry, *arrays, case.groups, name=backend)
            yield f"gradients, {case.name} {dtype.__name__} {arrays[0] is x}", call


def main(backend: str) -> None:
    native.set_num_threads(1)
    tiny = np.full(2, np.finfo(np.float32).smallest_normal) * np.float32(1.1)
    assert underflows(lambda: tiny * np.float32(0.3)), "the flag is not seen"
    outcomes = {name: underflows(call) for name, call in chain(forward(), halves(), backward(backend))}
    assert not any(outcomes.values()), [name for name, outcome in outcomes.items() if outcome]
    print("normal", len(outcomes))


if __name__ == "__main__":
    main(sys.argv[1])
