"""The up-layers of a U-Net, tconv against PyTorch, each contender in a process of its own.

Threads that spin while they wait for work would slow down the others; here a contender that is not at its turn sleeps
on its standard input. Run as a program, this file is one contender:

    python -m tconv.cli.race tconv_prepared      # for every line it reads, it runs all layers and prints their seconds
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.functional import conv_transpose2d
from tconv.geometry import Geometry
from tconv.layer import prepare

LAYERS = ((1024, 512, 32), (512, 256, 64), (256, 128, 128), (128, 64, 256))
"""in_channels, out_channels, pixels per side of the input; kernel 2, stride 2, batch 1, float32, with bias."""

PAUSE = 0.05  # seconds between turns, in which the last contender's threads fall asleep

Run = Callable[[], object]


def tconv_prepared(x: Array, w: Array, bias: Array) -> Run:
    layer = prepare(w, bias, Geometry((2, 2), stride=2))
    return lambda: layer(x)


def tconv_functional(x: Array, w: Array, bias: Array) -> Run:
    return lambda: conv_transpose2d(x, w, bias, stride=2)


def torch_default(x: Array, w: Array, bias: Array) -> Run:
    return _torch(x, w, bias, "contiguous_format")


def torch_channels_last(x: Array, w: Array, bias: Array) -> Run:
    return _torch(x, w, bias, "channels_last")


CONTENDERS = (tconv_prepared, tconv_functional, torch_default, torch_channels_last)


def race(rounds: int = 7) -> dict[str, tuple[float, ...]]:
    """Median seconds per layer, by contender; those that need PyTorch only if it is installed.

    Raises:
        TconvError: a contender fails.
    """
    names = [run.__name__ for run in CONTENDERS if not run.__name__.startswith("torch") or find_spec("torch")]
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_start(name)) for name in names}
        for name, process in processes.items():
            _turn(name, process)  # a warm-up, and the wait for its imports
        turns = [(name, _turn(name, process)) for _ in range(rounds) for name, process in processes.items()]
    return {name: tuple(map(median, zip(*(t for n, t in turns if n == name), strict=True))) for name in names}


def _start(name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tconv.cli.race", name]
    return subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _turn(name: str, process: subprocess.Popen[bytes]) -> list[float]:
    """Let one contender run all layers once: seconds per layer."""
    assert process.stdin is not None and process.stdout is not None
    sleep(PAUSE)
    try:
        process.stdin.write(b"go\n")
        seconds: list[float] = json.loads(process.stdout.readline())
    except (OSError, ValueError):
        raise errors.TconvError(f"the timing of {name} stopped with status {process.wait()}") from None
    return seconds


def compete(name: str) -> None:
    """Be the contender `name` until standard input ends."""
    contender = next(run for run in CONTENDERS if run.__name__ == name)
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, np.float32)

    runs = [contender(normal(1, ci, n, n), normal(ci, co, 2, 2), normal(co)) for ci, co, n in LAYERS]
    for _ in sys.stdin:
        seconds = []
        for run in runs:
            start = perf_counter()
            run()
            seconds.append(perf_counter() - start)
        print(json.dumps(seconds), flush=True)


def _torch(x: Array, w: Array, bias: Array, layout: str) -> Run:
    import torch

    memory_format = getattr(torch, layout)
    a, b = (torch.from_numpy(array).contiguous(memory_format=memory_format) for array in (x, w))
    c = torch.from_numpy(bias)

    def run() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv_transpose2d(a, b, c, stride=2)

    return run


if __name__ == "__main__":
    compete(sys.argv[1])
