"""Forward and backward of some layers: PyTorch, and tconv's forward with PyTorch's gradients."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from on_gpu.device import Clock, precision
from on_gpu.layers import cases, prepared
from tconv.nn.operator import ConvTranspose

LAYERS = ("U-Net up3", "U-Net up4", "CycleGAN up2", "pix2pix d7", "nnU-Net 3D L4", "HiFi-GAN V1 u2")


@dataclass
class Step:
    """Seconds of the device for a layer, forward and backward with all gradients, by contender."""

    layer: str
    dtype: str
    device: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def speed(self) -> float | None:
        """How many times as fast as PyTorch's layer."""
        return self.device["torch"] / self.device["tconv"] if {"torch", "tconv"} <= self.device.keys() else None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def measure_all(clock: Clock, dtype: str, end: float) -> list[Step]:
    """The layers until `end` of `time.monotonic`; the weights change in every step, and are packed in every step."""
    found = []
    for case in cases(clock.dry):
        if (case.name not in LAYERS and not clock.dry) or time.monotonic() > end:
            continue
        step = Step(case.name, dtype)
        with precision(dtype) as kind:
            for name in ("torch", "tconv"):
                try:
                    step.device[name] = _step(clock, *prepared(case, "torch", kind, clock.device), name == "tconv")
                except Exception as reason:
                    step.failed[name] = (str(reason).splitlines() or [type(reason).__name__])[0]
        found.append(step)
        speed = step.speed()
        print(f"training, {dtype} {case.name}: {f'{speed:.2f}x' if speed else step.failed}", flush=True)
    return found


def _step(clock: Clock, layer: Any, x: torch.Tensor, ours: bool) -> float:
    x.requires_grad_()
    settings = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
    run: Any = ConvTranspose.apply

    def step() -> None:
        y = run(x, layer.weight, layer.bias, *settings) if ours else layer(x)
        torch.autograd.grad(y, (x, layer.weight, layer.bias), torch.ones_like(y))
        with torch.no_grad():
            layer.weight.mul_(1.0)  # as an optimiser does: the packed weights are stale

    step()
    return median_wall(clock, step)


def median_wall(clock: Clock, step: Any) -> float:
    """The time of a step with all that starts it: weights are packed anew, which no graph captures."""
    if clock.dry:
        return clock.seconds(step)
    seen = []
    for _ in range(9):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        seen.append(time.perf_counter() - start)
    return sorted(seen)[len(seen) // 2]
