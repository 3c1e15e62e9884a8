"""Models in ONNX files: ONNX Runtime, the file that `tconv.onnx.optimize` makes for it, and `tconv.onnx.load`.

    make bench-onnx                                      all models; writes bench/results/onnx-CPU-DATE.md
    python bench/onnx_models.py --models unet --rounds 3 -o out/onnx.md

The models are written from their papers, with random weights, and exported by PyTorch; all contenders get the same
bytes, NumPy arrays go in and come out. Every contender sits in a process of its own, and they take turns; times are
medians over the rounds. Errors are the largest ones, relative to the largest value of the tensor, over all outputs,
against the PyTorch model in double precision. "Ready" is how long it takes to export the model, to load, to optimize
or to accelerate it, and to run it once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from typing import Any

from arguments import check
from race import LIMIT, Worker, measure
from tables import cell, known
from zoo.exported import EXPORTED

from tconv.benchmark import machine
from tconv.benchmark.process import serve

PROGRAM = (str(Path(__file__).resolve()), "--serve")
PLAIN, OPTIMIZED, LOADED = CONTENDERS = ("onnxruntime", "onnx_optimized", "onnx_loaded")


def table(name: str, race: Mapping[str, Any]) -> str:
    """One model, a line for each contender."""
    lines = [f"### {name}\n", f"{EXPORTED[name].source}. Errors against {race['expected']['precision']}.\n"]
    lines.append("| contender | ms | ONNX Runtime / it | largest error | peak MB | ready s |")
    lines.append("| --- " * 6 + "|")
    for contender, it in race["each"].items():
        if "failed" in it:
            lines.append(f"| {contender} | failed: {cell(it['failed'])} | | | | |")
            continue
        ratio = known(gain(race, contender), ".2f")
        numbers = f"{it['seconds'] * 1e3:.1f} | {ratio} | {it['error']:.1e} | {it['peak']:.0f} | {it['ready']:.1f}"
        lines.append(f"| {contender} | {numbers} |")
    return "\n".join(lines) + "\n"


def gain(race: Mapping[str, Any], contender: str) -> float:
    """Seconds of plain ONNX Runtime over a contender's; NaN where one of them failed."""
    seconds = [race["each"].get(name, {}).get("seconds", float("nan")) for name in (PLAIN, contender)]
    return float(seconds[0] / seconds[1])


def summary(races: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each model, and the geometric means."""
    lines = ["| model | ONNX Runtime ms | optimized ms | loaded ms | optimized | loaded |", "| --- " * 6 + "|"]
    for name, race in races.items():
        times = [known(race["each"][c].get("seconds", float("nan")) * 1e3, ".1f") or "failed" for c in CONTENDERS]
        gains = [known(gain(race, c), ".2f") + "x" for c in (OPTIMIZED, LOADED)]
        lines.append(f"| {name} | {' | '.join([*times, *gains])} |")
    means = []
    for contender in (OPTIMIZED, LOADED):
        found = [it for race in races.values() if (it := gain(race, contender)) == it]
        means.append(f"{exp(sum(map(log, found)) / len(found)):.2f}x" if found else "")
    return "\n".join([*lines, f"| geometric mean | | | | {' | '.join(means)} |"]) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=EXPORTED, default=list(EXPORTED), metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender (default 7)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    check(parser, options, rounds=1, threads=1)
    return options


def main() -> None:
    options = arguments()
    about = machine.about(datetime.now(UTC), options.rounds, options.threads, None)
    path = options.out or Path(__file__).parent / "results" / f"onnx-{machine.file_stem(about, None)}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    *_, how = (__doc__ or "").strip().split("\n\n")
    head = f"# Models in ONNX files\n\n{how}\n\n" + "\n".join(f"- {name}: {value}" for name, value in about.items())
    races: dict[str, Any] = {}
    tables = ""
    for name in options.models:
        races[name] = measure(PROGRAM, name, CONTENDERS, options.rounds, options.threads, LIMIT)
        tables += "\n" + table(name, races[name])
        print(table(name, races[name]), flush=True)
        path.write_text(f"{head}\n\n## All models\n\n{summary(races)}\n## Each model\n{tables}")
    print(f"{summary(races)}\nwritten to {path}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _, _, model, expected, limit, contender, threads = sys.argv
        serve(lambda: Worker(EXPORTED[model], contender, int(threads), expected, int(limit)), int(threads))
    else:
        main()
