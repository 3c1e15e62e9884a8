"""Training: forward and backward of layers by PyTorch and by `tconv.nn`, in turns.

    python bench/training.py                           all published layers; writes bench/results/training-CPU-DATE.md
    python bench/training.py --only U-Net --rounds 3 -o out/training.md

One step writes to the weight, as an optimiser does, and computes the result and the gradients of input, weight and bias
for a given gradient of the result, in float32.
"cl" is channels-last: input, weight and gradient lie so in memory, as after `model.to(memory_format=...)`; PyTorch has
no such layout for one axis. All contenders sit in one process and take turns, with pauses in which the threads of the
last one fall asleep; times are medians over the rounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean, median
from time import sleep
from typing import Any

import torch
import torch.nn.functional as F
from arguments import check, layers

import tconv.nn.functional as ours
from tconv.benchmark import machine
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.process import PAUSE
from tconv.benchmark.suite import Case
from tconv.nn.engine import Call, route
from tconv.nn.engines.cpu import ENGINE

FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


def step(case: Case, module: Any, layout: str) -> tuple[Callable[[], Any], str]:
    """One step of training, and what of it the engine computes."""
    x, w, b = (torch.from_numpy(array) for array in (case.input(), *case.parameters()))
    if layout == "cl":
        x, w = (tensor.contiguous(memory_format=FORMATS[case.ndim]) for tensor in (x, w))
    tensors = [tensor.requires_grad_() for tensor in (x, w, b)]
    convolve = getattr(module, f"conv_transpose{case.ndim}d")
    stride, padding, output_padding, dilation = (
        (n,) * case.ndim for n in (case.stride, case.padding, case.output_padding, case.dilation)
    )
    settings = stride, padding, output_padding, case.groups, dilation
    gradient = torch.randn_like(convolve(*tensors, *settings).detach())

    def run() -> Any:
        with torch.no_grad():
            w.mul_(1)
        return torch.autograd.grad(convolve(*tensors, *settings), tensors, gradient)

    call = Call(x, w, b, settings)
    forward, backward = module is ours and route(call).engine is not None, module is ours and ENGINE.gradients_pay(call)
    return run, {(True, True): "all", (True, False): "forward", (False, True): "backward"}.get(
        (forward, backward), "nothing"
    )


def race(case: Case, rounds: int) -> tuple[dict[str, float], dict[str, str]]:
    layouts = ("cf", "cl") if case.ndim > 1 else ("cf",)
    steps = {
        f"{name} {layout}": step(case, module, layout)
        for name, module in (("torch", F), ("tconv", ours))
        for layout in layouts
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for name in sorted(steps, reverse=number % 2 == 1):
            sleep(PAUSE)
            times[name].append(median(seconds_of_calls(steps[name][0])))
    return {name: median(each) for name, each in times.items()}, {name: who for name, (_, who) in steps.items()}


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """PyTorch's time over ours in the same layout, and its better layout's over our better one's."""
    found = {layout: seconds[f"torch {layout}"] / seconds[f"tconv {layout}"] for layout in ("cf", "cl")
             if f"torch {layout}" in seconds}  # fmt: skip
    best = {name: min(t for each, t in seconds.items() if each.startswith(name)) for name in ("torch", "tconv")}
    return found | {"best": best["torch"] / best["tconv"]}


def document(results: dict[str, Any], about: dict[str, Any]) -> str:
    lines = ["# Training", "", *(f"- {name}: {value}" for name, value in about.items()), ""]
    for kind, words in (
        ("cf", "channels-first"), ("cl", "channels-last"), ("best", "the better of the layouts on both sides"),
    ):  # fmt: skip
        found = {name: ratios(seconds)[kind] for name, (seconds, _) in results.items() if kind in ratios(seconds)}
        if not found:
            continue
        below = ", ".join(f"{name} {share:.2f}" for name, share in found.items() if share < 0.97) or "none"
        lines.append(f"- {words}: {geometric_mean(found.values()):.2f} times as fast as PyTorch (geometric mean of "
                     f"{len(found)} layers), least {min(found.values()):.2f}; below 0.97: {below}")  # fmt: skip
    lines += ["", "Milliseconds of a step; in brackets what of it the engine computes; the rest is PyTorch's.", ""]
    lines.append("| layer | torch cf | torch cl | tconv cf | tconv cl | cf | cl | best |")
    lines.append("| --- " * 8 + "|")
    for name, (seconds, who) in results.items():
        cells = [name]
        for one in ("torch cf", "torch cl", "tconv cf", "tconv cl"):
            made = f" ({who[one]})" if one.startswith("tconv") and one in who else ""
            cells.append(f"{seconds[one] * 1e3:.3g}{made}" if one in seconds else "")
        shares = ratios(seconds)
        cells += [f"{shares[kind]:.2f}" if kind in shares else "" for kind in ("cf", "cl", "best")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=(), help="parts of the names of layers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    check(parser, options, rounds=1, threads=1)
    torch.set_num_threads(options.threads)
    results = {}
    for case in layers(parser, options.only):
        results[case.name] = race(case, options.rounds)
        print(case.name, {name: f"{share:.2f}" for name, share in ratios(results[case.name][0]).items()}, flush=True)
    now = datetime.now(UTC)
    about = machine.about(now, options.rounds, options.threads, None)
    text = document(results, about)
    print(text)
    path = options.out or Path(__file__).parent / "results" / f"training-{machine.file_stem(about, None)}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
