"""The whole benchmark: contenders take turns round after round, layer after layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from math import prod
from statistics import median
from typing import Any

from tconv.benchmark import machine
from tconv.benchmark.contenders import OWN, PEERS, lacking
from tconv.benchmark.process import FLOOR, FREE, Contestant, Failed
from tconv.benchmark.results import Callers, Memory, Results, Row, Sizes
from tconv.benchmark.suite import VARIED, WEIGHED, Case

Report = Callable[[str, int, int], None]
"""Told what is being measured, how many steps are done, and of how many."""


def run(
    cases: Sequence[Case],
    peers: Sequence[str] = PEERS,
    rounds: int = 7,
    threads: int = 2,
    isa: str | None = None,
    report: Report = lambda what, done, total: None,
) -> Results:
    """Measure these layers; a peer that is not installed is named in the results and left out.

    Raises:
        Failed: the floor cannot be measured.
    """
    missing = {name: f"{', '.join(lacking(name))} not installed" for name in peers if lacking(name)}
    names = [*OWN, *(name for name in peers if name not in missing)]
    free = [name for name in names if isa and name in FREE]
    results = Results(machine.about(datetime.now(UTC), rounds, threads, isa), missing, free)
    varied = [case for case in cases if case.name in VARIED]
    weighed = [case for case in cases if case.name in WEIGHED]
    total, done = len(cases) + len(varied) + len(weighed), 0
    with ExitStack() as stack:
        floor, *contestants = [stack.enter_context(Contestant(name, threads, isa)) for name in (FLOOR, *names)]
        for case in cases:
            report(case.name, done, total)
            results.rows.append(_row(case, floor, contestants, rounds))
            done += 1
        for case in varied:
            report(f"{case.name}, sizes and callers", done, total)
            results.sizes += [Sizes(case.name, name, **answer) for name, answer in _ask(contestants, "sizes", case)]
            results.callers += [
                Callers(case.name, name, **answer) for name, answer in _ask(contestants, "callers", case)
            ]
            done += 1
    for case in weighed:
        report(f"{case.name}, memory", done, total)
        fresh = _one_by_one(Contestant(name, threads, isa) for name in names)
        need = {"result": 4 * prod(case.result_shape(case.in_size)), "weight": 4 * prod(case.weight_shape)}
        results.memory += [Memory(case.name, name, **answer, **need) for name, answer in _ask(fresh, "memory", case)]
        done += 1
    report("", total, total)
    return results


def _row(case: Case, floor: Contestant, contestants: list[Contestant], rounds: int) -> Row:
    """One layer. Every round begins with the next contender: none always runs after the same other one."""
    floor.ask("prepare", case)
    errors, failed = {}, {}
    ready = []
    for contestant in contestants:
        try:
            errors[contestant.name] = contestant.ask("prepare", case)["error"]
            ready.append(contestant)
        except Failed as error:
            failed[contestant.name] = str(error)
    turns: dict[str, list[float]] = {contestant.name: [] for contestant in ready}
    rates = []
    for number in range(rounds):
        rates.append(floor.ask("turn"))
        first = number % max(len(ready), 1)
        for contestant in [*ready[first:], *ready[:first]]:
            try:
                turns[contestant.name].append(contestant.ask("turn")["seconds"])
            except Failed as error:
                failed[contestant.name] = str(error)
                ready.remove(contestant)
    # The best rate is the machine's; what lies below it is a disturbance, and would make the floor too easy.
    gemm, copy = (max(rate[what] for rate in rates) for what in ("gemm", "copy"))
    seconds = {name: median(each) for name, each in turns.items() if name not in failed}
    spread = {name: seconds[name] / min(turns[name]) - 1 for name in seconds}
    spread["floor"] = max(max(each) / median(each) - 1 for each in zip(*(rate.values() for rate in rates), strict=True))
    return Row(case.name, case.flop, case.bytes, gemm, copy, seconds, errors, failed, spread)


def _one_by_one(contestants: Iterable[Contestant]) -> Iterator[Contestant]:
    """Each has ended before the next one starts."""
    for contestant in contestants:
        with contestant:
            yield contestant


def _ask(contestants: Iterable[Contestant], do: str, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each contender answers; one that cannot is left out of this table."""
    for contestant in contestants:
        try:
            yield contestant.name, contestant.ask(do, case)
        except Failed:
            continue
