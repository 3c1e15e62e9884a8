"""Whole networks: eager PyTorch in both layouts, torch.compile, and accelerated by tconv."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import tconv.nn
from on_gpu.device import Clock, precision
from on_gpu.layers import FORMATS, error
from on_gpu.networks import NETWORKS, TINY

EAGER = ("torch", "torch_cl")


@dataclass
class Network:
    """A network: seconds of the device and until a call returns, by contender.

    Attributes:
        error: the largest difference of an accelerated result, relative to the largest value, and PyTorch's own between
            its two layouts beside it.
        report: what `accelerate` did.
        failed: why a contender has no time.
    """

    name: str
    dtype: str
    device: dict[str, float] = field(default_factory=dict)
    enqueued: dict[str, float] = field(default_factory=dict)
    error: float = 0.0
    own_error: float = 0.0
    report: str = ""
    failed: dict[str, str] = field(default_factory=dict)

    def speed(self) -> float | None:
        """How many times as fast as the best of the others."""
        others = [seconds for name, seconds in self.device.items() if name != "tconv"]
        return min(others) / self.device["tconv"] if others and "tconv" in self.device else None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def measure_all(clock: Clock, dtype: str, end: float, compiled: bool) -> list[Network]:
    """All networks until `end` of `time.monotonic`."""
    found = []
    for name, make in (TINY if clock.dry else NETWORKS).items():
        if time.monotonic() > end:
            break
        with torch.no_grad(), precision(dtype) as kind:
            network = Network(name, dtype)
            measure(clock, network, make, kind, end if compiled else 0)
        found.append(network)
        speed = network.speed()
        print(f"{dtype} {name}: {f'{speed:.2f}x' if speed else network.failed}", flush=True)
    return found


def measure(
    clock: Clock, network: Network, make: Callable[[], tuple[nn.Module, Any]], kind: torch.dtype, end: float
) -> None:
    """One network by all contenders; compiled if `end` of `time.monotonic` is not over."""
    torch.manual_seed(0)
    model, x = make()
    model, x = model.eval().to(clock.device, kind), x.to(clock.device, kind)
    expected = model(x)
    if x.dim() in FORMATS:
        last, x_last = _last(model, x)
        network.own_error = error(expected, last(x_last))
        _try(clock, network, "torch_cl", lambda: last(x_last))
    _try(clock, network, "torch", lambda: model(x))
    best = min((n for n in EAGER if n in network.device), key=lambda n: network.device[n], default="torch")
    settled = _last(model, x) if best == "torch_cl" else (copy.deepcopy(model), x)
    _accelerated(clock, network, *settled, expected)
    if time.monotonic() < end:
        _compiled(clock, network, *settled)


def _last(model: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor]:
    layout: Any = FORMATS[x.dim()]
    made = copy.deepcopy(model)
    for p in made.parameters():
        if p.dim() in FORMATS:
            p.data = p.data.contiguous(memory_format=FORMATS[p.dim()])
    return made, x.contiguous(memory_format=layout)


def _accelerated(clock: Clock, network: Network, model: nn.Module, x: Tensor, expected: Tensor) -> None:
    try:
        tconv.nn.accelerate(model, x, seconds=1 if clock.dry else 10)
        network.report = str(tconv.nn.report(model))
        if clock.dry:  # in the interpreter nothing is faster, and all is to be run
            tconv.nn.fold(tconv.nn.restore(model))
        network.error = error(expected, model(x))
    except Exception as reason:
        network.failed["tconv"] = _first_line(reason)
        return
    _try(clock, network, "tconv", lambda: model(x))


def _compiled(clock: Clock, network: Network, model: nn.Module, x: Tensor) -> None:
    torch._dynamo.reset()
    settings: Any = {"backend": "eager"} if clock.dry else {}
    compiled = torch.compile(copy.deepcopy(model), **settings)
    _try(clock, network, "compiled", lambda: compiled(x))


def _try(clock: Clock, network: Network, name: str, run: Callable[[], Any]) -> None:
    try:
        run()
        network.device[name] = clock.seconds(run)
        network.enqueued[name] = clock.enqueued(run, network.device[name])
    except Exception as reason:
        network.failed[name] = _first_line(reason)


def _first_line(reason: Exception) -> str:
    return (str(reason).splitlines() or [type(reason).__name__])[0]
