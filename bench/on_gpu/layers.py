"""Layers of published models: PyTorch in both layouts, compiled, and tconv, beside the floor of the card."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite, prod
from typing import Any

import torch
from torch import Tensor, nn

import tconv.nn
from on_gpu.device import Ceilings, Clock, precision
from tconv.benchmark.suite import SUITE, Case
from tconv.nn import private

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
LARGEST = 1_500_000_000  # numbers of input and output together
BATCHES = (1, 16)
COMPILED = ("U-Net up3", "CycleGAN up2", "DCGAN L5", "bilinear x2 256ch")
THEIRS = ("torch", "torch_cl")
OURS = ("tconv", "tconv_cl")


@dataclass
class Row:
    """A layer in one precision: seconds of the device and until a call returns, by contender.

    Attributes:
        error: the largest difference between tconv's results and PyTorch's, relative to the largest value.
        failed: why a contender has no time.
    """

    layer: str
    batch: int
    dtype: str
    floor: float
    bound: str
    device: dict[str, float] = field(default_factory=dict)
    enqueued: dict[str, float] = field(default_factory=dict)
    error: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)

    def best(self, names: Sequence[str]) -> float | None:
        """The least of the device's times of some contenders."""
        return min((self.device[name] for name in names if name in self.device), default=None)

    def speed(self) -> float | None:
        """How many times as fast as PyTorch, both in their better layout."""
        theirs, ours = self.best(THEIRS), self.best(OURS)
        return theirs / ours if theirs and ours else None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def cases(dry: bool) -> tuple[Case, ...]:
    """The layers: those of `tconv bench`, or a few that are tiny."""
    if not dry:
        return SUITE
    wanted = ("U-Net up4", "DCGAN L5", "bilinear x2 256ch", "HiFi-GAN V1 u4")
    return tuple(_tiny(case) for case in SUITE if case.name in wanted)


def _tiny(case: Case) -> Case:
    groups = 1 if case.groups == 1 else 4
    outputs = min(4, case.out_channels)
    return replace(case, batch=1, in_channels=4, out_channels=outputs, in_size=(3,) * case.ndim, groups=groups)


def rows(dry: bool, dtypes: Sequence[str], free: int) -> Iterator[tuple[Case, str]]:
    """What is measured: all layers in the first precision, then in the next; one image each, then more."""
    for dtype in dtypes:
        for batch in BATCHES[:1] if dry else BATCHES:
            for case in cases(dry):
                sized = replace(case, batch=case.batch * batch)
                numbers = prod(sized.result_shape(sized.in_size)) + sized.batch * sized.in_channels * prod(
                    sized.in_size
                )
                if numbers <= LARGEST and 16 * numbers <= free:
                    yield sized, dtype


def layer(case: Case, ours: bool) -> nn.Module:
    """The layer as PyTorch's or tconv's, with the same numbers every time."""
    torch.manual_seed(0)
    kinds: Any = tconv.nn if ours else nn
    kind = getattr(kinds, f"ConvTranspose{case.ndim}d")
    numbers = case.kernel, case.stride, case.padding, case.output_padding, case.groups, True, case.dilation
    made: nn.Module = kind(case.in_channels, case.out_channels, *numbers)
    return made.eval()


def prepared(case: Case, name: str, dtype: torch.dtype, device: torch.device) -> tuple[nn.Module, Tensor]:
    """A contender's layer and its input; `_cl`: channels-last."""
    made = layer(case, name.startswith("tconv")).to(device, dtype)
    x = torch.randn(case.batch, case.in_channels, *case.in_size, device=device).to(dtype)
    if name.endswith("_cl"):
        layout: Any = FORMATS[x.dim()]
        made, x = made.to(memory_format=layout), x.contiguous(memory_format=layout)
    return made, x


def measure(clock: Clock, limits: Ceilings, case: Case, name: str, autotune: bool) -> Row:
    """One layer in one precision, by all contenders."""
    itemsize = 2 if name in ("float16", "bfloat16") else 4
    numbers = case.in_size, case.in_channels, case.out_channels, case.groups, case.batch
    moved = case.geometry.bytes(*numbers, itemsize=itemsize)
    floor = limits.floor(case.flop, moved, name)
    bound = "arithmetic" if case.flop / limits.multiply[name] >= moved / limits.copy else "memory"
    row = Row(case.name, case.batch, name, floor, bound if floor > limits.smallest else "launch")
    contenders = [n for n in (*THEIRS, *OURS) if not n.endswith("_cl") or case.ndim > 1]
    expected: Tensor | None = None
    with precision(name) as dtype:
        for contender in contenders:
            try:
                torch.manual_seed(1)
                run = _run(*prepared(case, contender, dtype, clock.device))
                y = run()
                if expected is None:
                    expected = y
                elif contender in OURS:
                    row.error = max(row.error, error(expected, y))
                _time(clock, row, contender, run)
            except Exception as reason:  # of a library that does not take the layer, or of memory
                row.failed[contender] = _first_line(reason)
        if autotune and case.name in COMPILED:
            _compiled(clock, row, case, dtype)
    return row


def _run(made: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    return lambda: made(x)


def _time(clock: Clock, row: Row, contender: str, run: Callable[[], Any]) -> None:
    row.device[contender] = clock.seconds(run)
    row.enqueued[contender] = clock.enqueued(run, row.device[contender])


def _compiled(clock: Clock, row: Row, case: Case, dtype: torch.dtype) -> None:
    """torch.compile with all it tries, in the layout in which eager PyTorch is faster."""
    best = min((n for n in THEIRS if n in row.device), key=lambda n: row.device[n], default=None)
    if best is None:
        return
    torch._dynamo.reset()
    settings: Any = {"backend": "eager"} if clock.dry else {"mode": "max-autotune-no-cudagraphs"}
    try:
        made, x = prepared(case, best, dtype, clock.device)
        run = _run(torch.compile(made, **settings), x)
        run()
        _time(clock, row, "compiled", run)
    except Exception as reason:
        row.failed["compiled"] = _first_line(reason)


def error(expected: Tensor, found: Tensor) -> float:
    """The largest difference, relative to the largest value; infinite where a result is not finite."""
    if expected.shape != found.shape:
        return float("inf")
    largest = float(expected.abs().max().double()) or 1.0
    pairs = zip(expected, found, strict=True)  # image by image, as double precision takes four times the memory
    found_off = [float((a.double() - b.double()).abs().max()) for a, b in pairs]
    return max(found_off, default=0.0) / largest if all(map(isfinite, found_off)) else float("inf")


def allowed(dtype: str) -> float:
    """What two right results of a precision may differ by: some roundings of the largest value."""
    steps = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "tf32": 2.0**-10, "float32": 2.0**-20}
    return 4 * steps[dtype]


def measure_all(clock: Clock, limits: Ceilings, dtypes: Sequence[str], end: float, autotune: bool) -> list[Row]:
    """All layers until `end` of `time.monotonic`; what is not reached is left out."""
    found: list[Row] = []
    with torch.no_grad(), private.quietly():
        for case, name in rows(clock.dry, dtypes, clock.free_bytes()):
            if time.monotonic() > end:
                break
            row = measure(clock, limits, case, name, autotune and (clock.dry or case in SUITE))
            found.append(row)
            speed = row.speed()
            print(f"{name} {case.name} x {case.batch}: {f'{speed:.2f}x' if speed else row.failed}", flush=True)
    return found


def _first_line(reason: Exception) -> str:
    return (str(reason).splitlines() or [type(reason).__name__])[0]
