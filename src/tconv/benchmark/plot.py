"""The results as a picture: every contender's time over the floor."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tconv.benchmark.contenders import OWN
from tconv.benchmark.results import Results


def save(results: Results, path: Path) -> None:
    """A PNG with a line per layer and a mark per contender; left is fast, 1 is the floor. Needs matplotlib."""
    figures = import_module("matplotlib.figure")
    count = len(results.rows)
    figure = figures.Figure(figsize=(10, 1.8 + 0.22 * count), layout="constrained")
    axes = figure.add_subplot()
    for name in sorted(results.contenders(), key=lambda name: name in OWN):  # our own on top
        places = [place for place, row in enumerate(results.rows) if name in row.seconds]
        ratios = [results.rows[place].seconds[name] / results.rows[place].floor for place in places]
        own = name in OWN
        axes.plot(ratios, places, "D" if own else "o", label=name, markersize=6 if own else 4, alpha=1 if own else 0.6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(count), [row.layer for row in results.rows], fontsize=7)
    axes.set_ylim(count - 0.5, -0.5)
    axes.grid(alpha=0.3)
    axes.set_xlabel("time over the floor: max(useful FLOP / GEMM rate, bytes / copy rate)")
    about = results.about
    axes.set_title(f"{about['cpu']}, threads: {about['threads']}; {about['backend']}, {about['date']}", fontsize=9)
    figure.legend(fontsize=7, loc="outside right upper")
    figure.savefig(path, dpi=150)
