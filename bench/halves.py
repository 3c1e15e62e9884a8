"""Layers in half precision: tconv and PyTorch on bfloat16 and float16, beside tconv's own float32, in turns.

    python bench/halves.py                                all published layers; writes bench/results/halves-CPU-DATE.md
    python bench/halves.py --only U-Net --rounds 3 --threads 1 -o out/halves.md

All contenders sit in one process, which has one team of threads, and take turns; times are medians over the rounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import torch
import torch.nn.functional as F

from tconv.benchmark import machine
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.suite import Case, select
from tconv.nn.engines.cpu import ENGINE

LAYOUTS = ("cf", "cl")
FORMATS = {1: None, 2: torch.channels_last, 3: torch.channels_last_3d}


def tensors(case: Case, dtype: torch.dtype, layout: str) -> tuple[torch.Tensor, ...]:
    """Input, weight and bias; with "cl", the channels of a pixel are neighbours in the input."""
    x, w, b = (torch.from_numpy(array).to(dtype) for array in (case.input(), *case.parameters()))
    return (x.movedim(1, -1).contiguous().movedim(-1, 1) if layout == "cl" else x), w, b


def by_tconv(case: Case, dtype: torch.dtype, layout: str) -> Callable[[], Any]:
    x, w, b = tensors(case, dtype, layout)
    layer = ENGINE.prepare(w, b, case.geometry, case.groups)
    return lambda: layer.run(x, lambda: (w, b))


def by_pytorch(case: Case, dtype: torch.dtype, layout: str) -> Callable[[], Any]:
    """1-D channels-last as 2-D of height 1, which is how PyTorch can do it."""
    x, w, b = tensors(case, dtype, "cf")
    ndim, one = case.ndim, (case.stride, case.padding, case.output_padding, case.dilation)
    if layout == "cl" and ndim == 1:
        x, w, ndim, one = x[:, :, None], w[:, :, None], 2, tuple((n, m) for n, m in zip((1, 0, 0, 1), one, strict=True))
    if layout == "cl":
        x, w = x.contiguous(memory_format=FORMATS[ndim]), w.contiguous(memory_format=FORMATS[ndim])
    conv = getattr(F, f"conv_transpose{ndim}d")
    stride, padding, output_padding, dilation = one
    return lambda: conv(x, w, b, stride, padding, output_padding, case.groups, dilation)


def contenders(case: Case, dtype: torch.dtype) -> dict[str, Callable[[], Any]]:
    found = {f"f32 {layout}": by_tconv(case, torch.float32, layout) for layout in LAYOUTS}
    found |= {f"tconv {layout}": by_tconv(case, dtype, layout) for layout in LAYOUTS}
    return found | {f"torch {layout}": by_pytorch(case, dtype, layout) for layout in LAYOUTS}


def race(case: Case, dtype: torch.dtype, rounds: int) -> dict[str, float]:
    """Seconds of a call of each contender."""
    runs = contenders(case, dtype)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in sorted(runs, reverse=number % 2 == 1):
            times[name].append(median(seconds_of_calls(runs[name])))
    return {name: median(seconds) for name, seconds in times.items()}


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """How many times as fast tconv is: as the better of PyTorch's layouts, of either of its own; as its own float32."""
    best = min(seconds[f"torch {layout}"] for layout in LAYOUTS)
    own = {f"{layout} over the best": best / seconds[f"tconv {layout}"] for layout in LAYOUTS}
    return own | {f"{layout} over float32": seconds[f"f32 {layout}"] / seconds[f"tconv {layout}"] for layout in LAYOUTS}


def table(results: dict[str, dict[str, float]], dtype: torch.dtype) -> str:
    kind = str(dtype).removeprefix("torch.")
    names, shares = list(next(iter(results.values()))), list(ratios(next(iter(results.values()))))
    columns = [*(f"{name} ms" for name in names), *shares]
    lines = [f"## {kind}", "", "| layer | " + " | ".join(columns) + " |"]
    lines.append("| --- " * (1 + len(columns)) + "|")
    for name, seconds in results.items():
        times = " | ".join(f"{1e3 * seconds[one]:.3f}" for one in names)
        lines.append(f"| {name} | {times} | " + " | ".join(f"{share:.2f}" for share in ratios(seconds).values()) + " |")
    means = {share: geometric_mean(ratios(seconds)[share] for seconds in results.values()) for share in shares}
    lines += [
        "",
        *(f"- {share}: {mean:.2f}x (geometric mean of {len(results)} layers)" for share, mean in means.items()),
    ]
    for layout in LAYOUTS:
        lost = [
            f"{name} {ratio:.2f}"
            for name, seconds in results.items()
            if (ratio := ratios(seconds)[f"{layout} over the best"]) < 0.95
        ]
        lines.append(f"- {layout} below 0.95x the better of PyTorch's layouts: {', '.join(lost) or 'none'}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=(), help="parts of the names of layers")
    parser.add_argument("--dtypes", nargs="*", default=("bfloat16", "float16"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    now = datetime.now(UTC)
    about = machine.about(now, options.rounds, options.threads, None)
    output = options.output or Path(__file__).parent / "results" / f"halves-{machine.file_stem(about, None)}.md"
    parts = ["# Layers in half precision\n", "\n".join(f"- {name}: {value}" for name, value in about.items()) + "\n"]
    for name in options.dtypes:
        dtype = getattr(torch, name)
        results = {}
        with torch.inference_mode():
            for case in select(options.only):
                results[case.name] = race(case, dtype, options.rounds)
                shares = " ".join(f"{share:.2f}" for share in ratios(results[case.name]).values())
                print(f"{name} {case.name}: {shares}", file=sys.stderr)
        parts.append(table(results, dtype))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(parts))
    print(output)


if __name__ == "__main__":
    main()
