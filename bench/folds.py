"""The patterns that `tconv.nn.fold` folds, and PyTorch's layers and tconv's in turns.

    python bench/folds.py                            all of it; writes bench/results/folds-CPU-DATE.md
    python bench/folds.py --folds "conv + batch norm" --in-turns 0 --rounds 3 -o out/folds.md

Every contender sits in a process of its own, and they take turns; times are medians over the rounds. The patterns:
PyTorch, compiled, tconv's layers one by one ("swapped"), and folded. In turns: the whole takes as long as its layers
alone if neither is in the other's way. Every round of that has new processes, one at a time: the time of one,
PyTorch's too, depends by a third on where its memory happens to lie.
"""

from __future__ import annotations

import argparse
import copy
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from arguments import check
from contenders import CONTENDERS, Run
from patterns import FOLDS, IN_TURNS
from race import Worker, measure
from torch import nn
from zoo import made

from tconv.benchmark import machine
from tconv.benchmark.clock import seconds_of_calls
from tconv.benchmark.process import serve

PROGRAM = (str(Path(__file__).resolve()), "--serve")
FOLDING = ("torch", "torch_cl", "compile", "swapped", "folded")
ENTRIES = FOLDS | IN_TURNS


class LayerByLayer(Worker):
    """A worker that also times the layers of its model alone."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self._alone: list[Run] = []

    def layers(self) -> dict[str, float]:
        """Seconds of all layers, each on what the model calls it with."""
        if not self._alone:
            model, (x,) = made(self._entry)
            assert isinstance(model, nn.Sequential)
            for layer in model:
                # In a model of one layer, as `accelerate` takes what models hold.
                alone = nn.Sequential(copy.deepcopy(layer)).eval()
                self._alone.append(CONTENDERS[self._contender](self._entry, alone, x))
                x = layer(x)
        return {"seconds": sum(median(seconds_of_calls(run)) for run in self._alone)}


def fold_table(races: dict[str, dict[str, Any]]) -> str:
    lines = ["| pattern | " + " | ".join(f"{n} ms" for n in FOLDING) + " | swapped / folded | largest error |"]
    lines.append("| --- " * (len(FOLDING) + 3) + "|")
    for pattern, race in races.items():
        each = race["each"]
        times = " | ".join("failed" if "failed" in it else f"{it['seconds'] * 1e3:.2f}" for it in each.values())
        both = all("seconds" in each[name] for name in ("swapped", "folded"))
        gain = f"{each['swapped']['seconds'] / each['folded']['seconds']:.2f}" if both else ""
        error = f"{each['folded']['error']:.1e}" if "error" in each["folded"] else ""
        lines.append(f"| {pattern} | {times} | {gain} | {error} |")
    return "\n".join(lines) + "\n"


def turns_table(rounds: int, threads: int) -> str:
    lines = ["| layers | | whole ms | its layers alone ms | whole / alone | least | most |", "| --- " * 7 + "|"]
    for name in IN_TURNS:
        seen: dict[str, list[dict[str, Any]]] = {"torch": [], "swapped": []}
        for _ in range(rounds):
            for contender, its in seen.items():
                its.append(measure(PROGRAM, name, (contender,), 5, threads, more="layers")["each"][contender])
        for contender, its in seen.items():
            ratios = [it["seconds"] / it["layers"] for it in its]
            times = " | ".join(f"{median(it[what] for it in its) * 1e3:.2f}" for what in ("seconds", "layers"))
            lines.append(
                f"| {name} | {contender} | {times} | {median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folds", nargs="*", choices=FOLDS, default=list(FOLDS), metavar="PATTERN")
    parser.add_argument("--in-turns", type=int, default=7, help="rounds of PyTorch's layers and tconv's in turns")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender (default 7)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    check(parser, options, rounds=1, threads=1, in_turns=0)
    about = machine.about(datetime.now(UTC), options.rounds, options.threads, None)
    path = options.out or Path(__file__).parent / "results" / f"folds-{machine.file_stem(about, None)}.md"
    facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
    *_, how = (__doc__ or "").strip().split("\n\n")
    text = f"# Folds, and layers in turns\n\n{how}\n\n{facts}\n"
    if options.folds:
        races = {name: measure(PROGRAM, name, FOLDING, options.rounds, options.threads) for name in options.folds}
        text += f"\n## Folds\n\n{fold_table(races)}"
        print(fold_table(races), flush=True)
    if options.in_turns:
        table = turns_table(options.in_turns, options.threads)
        text += f"\n## In turns\n\n{table}"
        print(table, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"written to {path}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _, _, pattern, expected, limit, contender, threads = sys.argv
        serve(lambda: LayerByLayer(ENTRIES[pattern], contender, int(threads), expected, int(limit)), int(threads))
    else:
        main()
