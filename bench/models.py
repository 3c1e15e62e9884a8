"""Real models end to end, with random weights: PyTorch in both layouts, compiled, ONNX Runtime, OpenVINO, tconv.

    python bench/models.py                           all models, all contenders; writes bench/results/models-CPU-DATE.md
    python bench/models.py --models unet fsrcnn --contenders torch torch_cl tconv --rounds 5 -o out/models.md

Every contender sits in a process of its own, and they take turns; times are medians over the rounds. "tconv_direct" is
tconv without Winograd's algorithm, with whose help one multiplies up to 2.25 times less. "up" is the part of the
upsampling layers, timed alone on what the model calls them with. Memory is the peak of a process that makes the model
and runs it once. The patterns that `tconv.nn.fold` folds follow: PyTorch, tconv's layers one by one ("swapped"), and
folded. Last, PyTorch's layers and tconv's in turns: the whole takes as long as its layers alone if neither is in the
other's way. Every round of that has new processes, one at a time: the time of one, PyTorch's too, depends by a third on
where its memory happens to lie.
"""

from __future__ import annotations

import argparse
import copy
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from zoo import FOLDS, IN_TURNS, MODELS, StyleBlock

import tconv.nn
from tconv.benchmark import machine
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.process import Contestant, Failed, serve
from tconv.nn.comparison import Call, at_first_calls

Run = Callable[[], Any]
Inputs = tuple[Tensor, ...]
ENTRIES = MODELS | FOLDS | IN_TURNS
FOLDING = ("torch", "torch_cl", "compile", "swapped", "folded")


def eager(model: nn.Module, inputs: Inputs) -> Run:
    return lambda: model(*inputs)


def channels_last(model: nn.Module, inputs: Inputs) -> Run:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for p in model.parameters():
        if p.dim() in formats:
            p.data = p.data.contiguous(memory_format=formats[p.dim()])
    changed = [x.contiguous(memory_format=formats[x.dim()]) if x.dim() in formats else x for x in inputs]
    return lambda: model(*changed)


def compiled(model: nn.Module, inputs: Inputs) -> Run:
    torch._inductor.config.freezing = True
    run = torch.compile(model)
    return lambda: run(*inputs)


def onnx_bytes(model: nn.Module, inputs: Inputs) -> bytes:
    buffer = io.BytesIO()
    torch.onnx.export(model, inputs, buffer, dynamo=False, opset_version=17)
    return buffer.getvalue()


def onnx_runtime(model: nn.Module, inputs: Inputs) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(onnx_bytes(model, inputs), options)
    feed = {node.name: x.numpy() for node, x in zip(session.get_inputs(), inputs, strict=True)}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def openvino(model: nn.Module, inputs: Inputs) -> Run:
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(onnx_bytes(model, inputs))
        config = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
        program = ov.Core().compile_model(path, "CPU", config)
    feed = [x.numpy() for x in inputs]
    return lambda: torch.from_numpy(program(feed)[0])


def swapped(model: nn.Module, inputs: Inputs) -> Run:
    """tconv's layers in the places of PyTorch's, and nothing else."""
    tconv.nn.accelerate(model, mode="training")
    return lambda: model(*inputs)


def folded(model: nn.Module, inputs: Inputs) -> Run:
    """Everything folded that folds, faster or not."""
    tconv.nn.accelerate(model)
    return lambda: model(*inputs)


def accelerated(model: nn.Module, inputs: Inputs, winograd: bool = True) -> Run:
    if isinstance(model, StyleBlock):  # it calls the function

        def run() -> Any:
            with tconv.nn.patched():
                return model(*inputs)

        return run
    tconv.nn.accelerate(model, inputs, winograd=winograd)
    return lambda: model(*inputs)


CONTENDERS: dict[str, Callable[[nn.Module, Inputs], Run]] = {
    "torch": eager,
    "torch_cl": channels_last,
    "compile": compiled,
    "onnxruntime": onnx_runtime,
    "openvino": openvino,
    "swapped": swapped,
    "folded": folded,
    "tconv_direct": lambda model, inputs: accelerated(model, inputs, winograd=False),
    "tconv": accelerated,
}
IN_PARTS = ("torch", "torch_cl", "swapped", "tconv")


class Worker:
    """A model with a contender. Times are in seconds, memory in MB."""

    def __init__(self, name: str, contender: str, threads: int) -> None:
        torch.set_grad_enabled(False)
        torch.set_num_threads(threads)
        warnings.simplefilter("ignore")
        self._name, self._make = name, CONTENDERS[contender]
        self._parts: list[Run] = []

    def prepare(self) -> dict[str, float]:
        """Get ready; the largest error relative to the largest value, and the peak of memory."""
        self._run = self._make(*made(self._name))
        found = self._run()
        # Not ru_maxrss, which a new process takes over from the one that started it.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        expected = eager(*made(self._name))()
        error = ((found - expected).abs().max() / expected.abs().max()).item()
        return {"error": error, "peak": int(status["VmHWM"].split()[0]) / 1024}

    def turn(self) -> dict[str, float]:
        return {"seconds": median(seconds_of_calls(self._run, 0.1))}

    def parts(self) -> dict[str, float]:
        """A turn of the upsampling parts alone."""
        if not self._parts:
            model, inputs = made(self._name)
            wanted = ENTRIES[self._name].parts
            named = {n: m for n, m in model.named_modules() if n in wanted or any(n.startswith(w) for w in wanted)}
            named = {n: m for n, m in named.items() if n.rpartition(".")[0] not in named}
            arguments: dict[str, Call] = {}
            at_first_calls(model, inputs, named, arguments.setdefault)
            # In a model of one layer, as `accelerate` folds what models hold.
            models = {n: nn.Sequential(copy.deepcopy(named[n])).eval() for n in arguments}
            self._parts = [self._make(models[n], call[0]) for n, call in arguments.items()]
        return {"seconds": sum(median(seconds_of_calls(run)) for run in self._parts)}


def made(name: str) -> tuple[nn.Module, Inputs]:
    torch.manual_seed(0)
    entry = ENTRIES[name]
    return entry.model().eval(), tuple(torch.randn(shape) for shape in entry.shapes)


def measure(name: str, contenders: Sequence[str], rounds: int, threads: int) -> dict[str, dict[str, float]]:
    """Error, peak, median seconds, and those of the parts, of every contender; "failed" of one that cannot."""
    program = (str(Path(__file__).resolve()), "--serve", name)
    results: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        ready = [stack.enter_context(Contestant(c, threads, program=program)) for c in contenders]
        for contestant in list(ready):
            try:
                results[contestant.name] = contestant.ask("prepare") | {"turns": [], "parts": []}
            except Failed as error:
                results[contestant.name] = {"failed": str(error)}
                ready.remove(contestant)
        for number in range(rounds):
            first = number % max(len(ready), 1)
            for contestant in [*ready[first:], *ready[:first]]:
                result = results[contestant.name]
                result["turns"].append(contestant.ask("turn")["seconds"])
                if ENTRIES[name].parts and contestant.name in IN_PARTS:
                    result["parts"].append(contestant.ask("parts")["seconds"])
    for result in results.values():
        result["seconds"] = median(result.get("turns") or [float("nan")])
        result["up"] = median(result.get("parts") or [float("nan")])
    return results


def model_table(name: str, results: dict[str, dict[str, Any]]) -> str:
    lines = [f"### {name}\n", "| contender | ms | torch / it | up ms | up share | largest error | peak MB |"]
    lines.append("| --- " * 7 + "|")
    for contender, it in results.items():
        if "failed" in it:
            lines.append(f"| {contender} | failed: {it['failed'][:90]} | | | | | |")
            continue
        up = f"{it['up'] * 1e3:.1f} | {it['up'] / it['seconds']:.0%}" if it["parts"] else "|"
        lines.append(
            f"| {contender} | {it['seconds'] * 1e3:.1f} | {against(results, contender):.2f} | {up} "
            f"| {it['error']:.1e} | {it['peak']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def against(results: dict[str, dict[str, Any]], contender: str, what: str = "seconds") -> float:
    return float(results.get("torch", {}).get(what, float("nan")) / results[contender][what])


def fold_table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    names = list(next(iter(results.values())))
    lines = ["| pattern | " + " | ".join(f"{n} ms" for n in names) + " | swapped / folded | largest error |"]
    lines.append("| --- " * (len(names) + 3) + "|")
    for pattern, each in results.items():
        times = " | ".join("failed" if "failed" in it else f"{it['seconds'] * 1e3:.2f}" for it in each.values())
        gain = each["swapped"]["seconds"] / each["folded"]["seconds"]
        lines.append(f"| {pattern} | {times} | {gain:.2f} | {each['folded']['error']:.1e} |")
    return "\n".join(lines) + "\n"


def turns_table(rounds: int, threads: int) -> str:
    lines = ["| layers | | whole ms | its layers alone ms | whole / alone | least | most |", "| --- " * 7 + "|"]
    for name in IN_TURNS:
        seen: dict[str, list[dict[str, float]]] = {"torch": [], "swapped": []}
        for _ in range(rounds):
            for contender, its in seen.items():
                its.append(measure(name, (contender,), 5, threads)[contender])
        for contender, its in seen.items():
            ratios = [it["seconds"] / it["up"] for it in its]
            times = " | ".join(f"{median(it[what] for it in its) * 1e3:.2f}" for what in ("seconds", "up"))
            lines.append(
                f"| {name} | {contender} | {times} | {median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |"
            )
    return "\n".join(lines) + "\n"


def heading(rounds: int, threads: int, out: Path | None) -> tuple[Path, str]:
    about = machine.about(datetime.now(UTC), rounds, threads, None)
    path = out or Path(__file__).parent / "results" / f"models-{machine.file_stem(about, None)}.md"
    facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
    *_, how = (__doc__ or "").strip().split("\n\n")
    return path, f"# Models end to end\n\n{how}\n\n{facts}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--folds", nargs="*", choices=FOLDS, default=list(FOLDS))
    models = [c for c in CONTENDERS if c not in ("swapped", "folded")]
    parser.add_argument("--contenders", nargs="+", choices=models, default=models, help="of the models")
    parser.add_argument("--in-turns", type=int, default=7, help="rounds of PyTorch's layers and tconv's in turns")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    for name, least in (("rounds", 1), ("threads", 1), ("in_turns", 0)):
        if (given := getattr(options, name)) < least:
            parser.error(f"--{name.replace('_', '-')} {given} must be at least {least}")
    path, text = heading(options.rounds, options.threads, options.out)
    ups = []
    for name in options.models:
        results = measure(name, options.contenders, options.rounds, options.threads)
        text += "\n" + model_table(name, results)
        print(model_table(name, results), flush=True)
        if MODELS[name].parts and {"torch", "tconv"} <= results.keys():
            ups.append(against(results, "tconv", "up"))
    if ups:
        mean = exp(sum(map(log, ups)) / len(ups))
        text += f"\nUpsampling parts, geometric mean: {mean:.2f} times as fast as eager PyTorch.\n"
    if options.folds:
        folds = {name: measure(name, FOLDING, options.rounds, options.threads) for name in options.folds}
        text += f"\n## Folds\n\n{fold_table(folds)}"
        print(fold_table(folds), flush=True)
    if options.in_turns:
        table = turns_table(options.in_turns, options.threads)
        text += f"\n## In turns\n\n{table}"
        print(table, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"written to {path}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _, _, model, contender, threads = sys.argv
        serve(lambda: Worker(model, contender, int(threads)), int(threads))
    else:
        main()
