"""Where these tests run: on the GPU that is here; or, with TRITON_INTERPRET=1, on the CPU in Triton's interpreter.

There they are run by `make test`, with few and tiny arrays: so what is to be run on a GPU one day is known to run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from cases import CASES, Case
from torch import Tensor

import tconv
from tconv.geometry import Geometry
from tconv.nn import private
from tconv.nn.engine import engine_for

REAL = os.environ.get("TRITON_INTERPRET") != "1"
DEVICE = torch.device("cuda", 0) if REAL else torch.device("cpu")
DEVICES = [torch.device("cuda", n) for n in range(torch.cuda.device_count())] if REAL else [DEVICE]
# The interpreter multiplies bfloat16 wrongly.
DTYPES = [torch.float16, torch.bfloat16, torch.float32] if REAL else [torch.float16, torch.float32]
FORMATS: dict[int, Any] = {4: torch.channels_last, 5: torch.channels_last_3d}


def catalogue() -> list[Case]:
    """Every geometry of up to three axes that something was wrong with once; a few of them in the interpreter."""
    fits = [case for case in CASES if case.geometry.ndim <= 3 and case.batch]
    wanted = ("dilation 3 stride 2", "groups", "negative crop", "depthwise with multiplier")
    return fits if REAL else [case for case in fits if case.name in wanted]


def drawn(count: int) -> list[Case]:
    """Layers drawn at random, the same in every run."""
    draw = random.Random(0)
    return [_drawn(draw, n) for n in range(count if REAL else 2)]


def _drawn(draw: random.Random, number: int) -> Case:
    while True:
        ndim = draw.choice((1, 2, 2, 3))
        axes = [(draw.randint(1, 5), draw.randint(1, 4), draw.randint(1, 3)) for _ in range(ndim)]
        kernel, stride, dilation = (tuple(each) for each in zip(*axes, strict=True))
        crop = tuple((draw.randint(-2, 3), draw.randint(-2, 3)) for _ in range(ndim))
        geometry = Geometry(kernel, stride, dilation, crop)
        size = tuple(draw.randint(1, 40 // ndim if REAL else 2) for _ in range(ndim))
        groups = draw.choice((1, 1, 2, 5))
        ins, outs = (groups * draw.choice((1, 2, 7, 16, 33) if REAL else (1, 3)) for _ in range(2))
        if all(a.full_size(n) > a.crop_lo + a.crop_hi for a, n in zip(geometry.axes, size, strict=True)):
            return Case(f"drawn {number}", geometry, size, draw.randint(1, 3), ins, outs, groups)


def arrays(case: Case, dtype: torch.dtype, last: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Input, weight and bias: normally distributed, on the device."""
    torch.manual_seed(len(case.name))
    shapes = (
        (case.batch, case.in_channels, *case.in_size),
        (case.in_channels, case.out_channels // case.groups, *case.geometry.kernel),
        (case.out_channels,),
    )
    x, weight, bias = (torch.randn(shape).to(DEVICE, dtype) for shape in shapes)
    return (x.contiguous(memory_format=FORMATS[x.dim()]) if last else x), weight, bias


def exact(case: Case, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The result in double precision, by the compiled core or, where it is, by NumPy; on the CPU."""
    layer = tconv.prepare(
        weight.double().cpu().numpy(), None if bias is None else bias.double().cpu().numpy(), case.geometry, case.groups
    )
    return torch.from_numpy(layer(x.double().cpu().contiguous().numpy()))


def prepared(case: Case, weight: Tensor, bias: Tensor | None, activation: Any = None) -> Any:
    """The layer on the engine for GPUs."""
    engine: Any = engine_for(DEVICE.type)
    assert engine.active() == "triton" and engine.refusal(weight) is None
    return engine.prepare(weight, bias, case.geometry, case.groups, activation)


def error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    assert found.shape == expected.shape
    one, other = (each.detach().double().cpu() for each in (found, expected))
    return float((one - other).abs().max()) / (float(other.abs().max()) or 1.0)


def allowed(dtype: torch.dtype, terms: int) -> float:
    """What a right result may differ by, relative to the largest value: one rounding, and those of float32's sums."""
    sums = 2.0**-24 * (8 + terms**0.5)
    if dtype is torch.float32:
        return (2.0**-10 + sums) if private.tf32() and REAL else 2.0**-10 if private.tf32() else 2 * sums
    return 0.51 * torch.finfo(dtype).eps + sums


def terms(case: Case) -> int:
    """Products in a sum, at most."""
    taps = 1
    for kernel in case.geometry.kernel:
        taps *= kernel
    return taps * case.in_channels // case.groups


@contextmanager
def tf32(allow: bool) -> Iterator[None]:
    """Within it, float32 may be multiplied as TF32, or must not be."""
    cudnn: Any = torch.backends.cudnn  # makes its switches when it is imported, so that no type says them
    conv = cudnn.conv
    before = conv.fp32_precision
    conv.fp32_precision = "tf32" if allow else "ieee"
    try:
        yield
    finally:
        conv.fp32_precision = before


def settle() -> None:
    """Wait for the device."""
    if REAL:
        torch.cuda.synchronize()


def repeated(run: Callable[[], Tensor], times: int = 4) -> list[Tensor]:
    """The results of several runs."""
    found = [run() for _ in range(times)]
    settle()
    return found
