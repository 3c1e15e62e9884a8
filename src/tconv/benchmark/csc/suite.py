"""Let the contenders take turns on every case, and say what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tconv.benchmark.csc.cases import CASES, Case
from tconv.benchmark.csc.contenders import contenders, missing
from tconv.benchmark.process import Contestant, Failed
from tconv.benchmark.report import Table

PROGRAM = ("-m", "tconv.benchmark.csc.worker")
SLACK = 1.005
"""Kernels that are at most so much worse count as good."""


@dataclass
class Row:
    """One contender on one case.

    Attributes:
        steps: that it took.
        seconds: median, by the clock; 0 for learners, of which the clock was not read.
        cpu: median, of all processors together, which other work on the machine changes less.
        memory: bytes.
        curve: of a learner: turns, seconds, and the objective of codes under its kernels.
    """

    case: str
    contender: str
    steps: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    curve: list[tuple[int, float, float]] = field(default_factory=list)


@dataclass
class Results:
    """All that was measured."""

    about: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def run(
    cases: Sequence[Case],
    about: dict[str, str],
    rounds: int,
    threads: int,
    isa: str | None,
    tell: Callable[[str, int, int], None],
) -> Results:
    """Measure; a contender that fails or is missing is named, and the others go on."""
    results = Results(about)
    for number, case in enumerate(cases):
        tell(case.name, number, len(cases))
        _case(results, case, rounds, threads, isa)
    return results


def _case(results: Results, case: Case, rounds: int, threads: int, isa: str | None) -> None:
    racing: list[tuple[Row, Contestant]] = []
    optimum = 0.0
    for name in contenders(case):
        if package := missing(name):
            results.failed.append(f"{name} left out on {case.name}: {package} is not installed")
            continue
        contestant = Contestant(f"{name}/{CASES.index(case)}/0/{optimum}", threads, isa, PROGRAM)
        row = Row(case.name, name)
        found = _ask(results, row, contestant)
        if found is not None:
            racing.append((row, contestant))
            optimum = found.get("optimum", 0.0)
    try:
        times: dict[str, list[dict[str, float]]] = {row.contender: [] for row, _ in racing}
        for _ in range(rounds if case.what == "code" else 0):
            for row, contestant in racing:
                times[row.contender].append(contestant.ask("turn"))
    finally:
        for _, contestant in racing:
            contestant.close()
    rows = [row for row, _ in racing]
    for row in rows if case.what == "code" else []:
        row.seconds = median(turn["seconds"] for turn in times[row.contender])
        row.cpu = median(turn["cpu"] for turn in times[row.contender])
    if case.what == "learn":
        _compare(rows)
    for row in rows:
        with Contestant(f"{row.contender}/{CASES.index(case)}/{row.steps}/{optimum}", threads, isa, PROGRAM) as fresh:
            row.memory = fresh.ask("memory")["growth"]
    results.rows += rows


def _ask(results: Results, row: Row, contestant: Contestant) -> dict[str, Any] | None:
    """What a contender answers that arrives; its row is filled in."""
    try:
        found: dict[str, Any] = contestant.ask("arrive")
    except Failed as why:
        results.failed.append(f"{row.contender} failed on {row.case}: {why}")
        contestant.close()
        return None
    row.steps = found.get("steps", 0)
    row.curve = [(int(n), float(seconds), float(value)) for n, seconds, value in found.get("rows", [])]
    return found


def _compare(rows: list[Row]) -> None:
    """The seconds that learners take to kernels as good as the worst of those that each ends with."""
    if not rows:
        return
    goal = max(row.curve[-1][2] for row in rows) * SLACK
    for row in rows:
        row.steps, row.cpu, _ = next(point for point in row.curve if point[2] <= goal)


def table(results: Results) -> Table:
    """A row per case and contender."""
    lines = []
    ours = {row.case: row for row in results.rows if row.contender == "tconv"}
    for row in results.rows:
        own = ours.get(row.case)
        times = f"{row.cpu / own.cpu:.1f}" if own and own.cpu else "-"
        memory = f"{row.memory / own.memory:.1f}" if own and own.memory > 0 else "-"
        cells = [
            row.case,
            row.contender,
            str(row.steps),
            f"{row.seconds:.3f}" if row.seconds else "-",
            f"{row.cpu:.3f}",
            times,
            f"{row.memory / 2**20:.0f}",
            memory,
        ]
        lines.append(cells)
    note = (
        "Seconds until the objective is within 1e-3 of the optimum (to learn: until the kernels are as good as the "
        "worst of those that a contender ends with), by the clock and of all processors together, which other work on "
        "the machine changes less; medians over the rounds. MiB by which the resident memory grew. Multiples of "
        "tconv's follow."
    )
    header = ["case", "contender", "steps", "seconds", "CPU seconds", "/ tconv", "MiB", "/ tconv"]
    return Table("Sparse coding", note, header, lines, names=2)


def curves(results: Results) -> Table:
    """How learners became better."""
    rows = [
        [row.case, row.contender, str(n), f"{seconds:.2f}", f"{value:.2f}"]
        for row in results.rows
        for n, seconds, value in row.curve
    ]
    note = "The objective of codes of the same images, found by the same coder, under the kernels after so many turns."
    return Table("Learning", note, ["case", "contender", "turns", "seconds", "objective"], rows, names=2)


def markdown(results: Results) -> str:
    """The whole report."""
    parts = ["# Benchmark of convolutional sparse coding"]
    parts.append("\n".join(f"- {name}: {value}" for name, value in results.about.items()))
    for one in (table(results), curves(results)):
        if one.rows:
            rule = ["---" if n < one.names else "---:" for n in range(len(one.header))]
            lines = ["| " + " | ".join(cells) + " |" for cells in (one.header, rule, *one.rows)]
            parts += [f"## {one.title}", one.note, "\n".join(lines)]
    if results.failed:
        parts += ["## Left out", "\n".join(f"- {line}" for line in results.failed)]
    return "\n\n".join(parts) + "\n"


def to_json(results: Results) -> str:
    """All that was measured."""
    return json.dumps(asdict(results), indent=1) + "\n"
