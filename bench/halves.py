"""Layers in half precision: tconv, PyTorch and OpenVINO on bfloat16 and float16, beside tconv's own float32, in turns.

    python bench/halves.py                                all published layers; writes bench/results/halves-CPU-DATE.md
    python bench/halves.py --only U-Net --rounds 3 --threads 1 -o out/halves.md

All contenders sit in one process and take turns, with pauses in which the threads of the last one fall asleep. A time
is the median of the calls of a turn, of each contender's and the floor's fastest turn: where a core is shared with
somebody else, products in tiles (AMX) take up to four times as long for seconds, and whom that meets is chance.
OpenVINO computes in bfloat16 alone, from such inputs to such outputs. The floor is the larger of the useful products at
the rate of the fastest product of matrices in that dtype or in float32, as numbers can be widened first, and input,
weight and output at the rate of the fastest copy, both measured in the same turns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean, median
from time import sleep
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset15 as ops
import torch
import torch.nn.functional as F
from arguments import check, layers

from tconv.benchmark import machine
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.contenders import openvino_layer
from tconv.benchmark.floor import Floor
from tconv.benchmark.process import PAUSE
from tconv.benchmark.suite import Case
from tconv.nn.engines.cpu import ENGINE

DTYPES = ("bfloat16", "float16")
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


def by_openvino(case: Case, threads: int) -> Callable[[], Any]:
    """In bfloat16, channels-first; input and output are of bfloat16 too, and share their memory with us."""
    x, w, b = tensors(case, torch.bfloat16, "cf")
    inner = ops.parameter(ov.PartialShape(list(x.shape)), ov.Type.bf16)
    y = openvino_layer(ops, case, ops.convert(inner, "f32"), w.float().numpy(), b.float().numpy())
    hints = {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    model = ov.Model([ops.convert(y, ov.Type.bf16)], [inner], "layer")
    request = ov.Core().compile_model(model, "CPU", hints | {"INFERENCE_NUM_THREADS": threads}).create_infer_request()
    shape = case.result_shape(x.shape[2:])
    arrays = x.view(torch.uint16).numpy(), np.empty(shape, np.uint16)
    ends = [ov.Tensor(array, ov.Shape(list(array.shape)), ov.Type.bf16) for array in arrays]
    request.set_input_tensor(0, ends[0])
    request.set_output_tensor(0, ends[1])

    def run() -> Any:
        request.infer(share_outputs=True)
        return ends, arrays  # named here, they live as long as the request, which does not hold their memory

    return run


def contenders(case: Case, dtype: torch.dtype, threads: int) -> dict[str, Callable[[], Any]]:
    found = {f"f32 {layout}": by_tconv(case, torch.float32, layout) for layout in LAYOUTS}
    found |= {f"tconv {layout}": by_tconv(case, dtype, layout) for layout in LAYOUTS}
    found |= {f"torch {layout}": by_pytorch(case, dtype, layout) for layout in LAYOUTS}
    return found | ({"openvino": by_openvino(case, threads)} if dtype is torch.bfloat16 else {})


def race(case: Case, dtype: torch.dtype, rounds: int, floor: Floor) -> dict[str, float]:
    """Seconds of a call of each contender, and of the floor."""
    runs = contenders(case, dtype, torch.get_num_threads())
    times: dict[str, list[float]] = {name: [] for name in (*runs, "floor")}
    floor.prepare(case)
    for number in range(rounds):
        for name in sorted(runs, reverse=number % 2 == 1):
            sleep(PAUSE)
            times[name].append(median(seconds_of_calls(runs[name])))
        sleep(PAUSE)
        rate = floor.turn()
        times["floor"].append(max(case.flop / rate["gemm"], case.bytes / 2 / rate["copy"]))
    return {name: min(seconds) for name, seconds in times.items()}


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """How many times as fast as the fastest peer tconv is, in either layout, and as its own float32; in floors, too."""
    best = min(seconds[name] for name in seconds if name.startswith(("torch", "openvino")))
    own = {f"{layout} over the best": best / seconds[f"tconv {layout}"] for layout in LAYOUTS}
    own |= {f"{layout} over float32": seconds[f"f32 {layout}"] / seconds[f"tconv {layout}"] for layout in LAYOUTS}
    own |= {f"{layout} in floors": seconds[f"tconv {layout}"] / seconds["floor"] for layout in LAYOUTS}
    return own | {"the best in floors": best / seconds["floor"]}


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
        lines.append(f"- {layout} below 0.95x the fastest peer: {', '.join(lost) or 'none'}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=(), help="parts of the names of layers")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES, metavar="DTYPE")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    check(parser, options, rounds=1, threads=1)
    cases = layers(parser, options.only)
    torch.set_num_threads(options.threads)
    now = datetime.now(UTC)
    about = machine.about(now, options.rounds, options.threads, None)
    output = options.out or Path(__file__).parent / "results" / f"halves-{machine.file_stem(about, None)}.md"
    output.parent.mkdir(parents=True, exist_ok=True)
    parts = ["# Layers in half precision\n", "\n".join(f"- {name}: {value}" for name, value in about.items()) + "\n"]
    for name in options.dtypes:
        dtype = getattr(torch, name)
        results = {}
        floor = Floor(options.threads, name)
        with torch.inference_mode():
            for case in cases:
                results[case.name] = race(case, dtype, options.rounds, floor)
                shares = " ".join(f"{share:.2f}" for share in ratios(results[case.name]).values())
                print(f"{name} {case.name}: {shares}", file=sys.stderr)
                # After each layer, so that a run that is broken off keeps what it has.
                output.write_text("\n".join([*parts, table(results, dtype)]))
        parts.append(table(results, dtype))
    print(output)


if __name__ == "__main__":
    main()
