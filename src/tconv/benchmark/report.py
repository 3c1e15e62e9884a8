"""The results as tables of text, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from tconv.benchmark.contenders import OWN
from tconv.benchmark.results import CALM, LOSS, Results, Row
from tconv.benchmark.worker import CALLERS, SIZES

COMPARED = (
    "Contenders are compared with the best peer of the same memory layout: tconv_cf with torch, onnxruntime and "
    "openvino (channels-first), tconv_cl with torch_cl and jax (channels-last)."
)


@dataclass(frozen=True)
class Table:
    """A title, what the columns mean, and text in columns; the first `names` columns are names, the others numbers."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]
    names: int = 1


def tables(results: Results) -> list[Table]:
    """All tables that have rows, the layers first."""
    made = (_layers, _errors, _sizes, _callers, _memory)
    return [table for make in made if (table := make(results)).rows]


def verdict(results: Results) -> Iterator[str]:
    """One line each: geometric means, layers that lose, what failed and what was missing."""
    for own in OWN:
        for against, ratio in _ratios(own, results.free).items():
            if mean := results.mean(ratio):
                yield f"{own}: {mean[0]:.2f}x {against} (geometric mean of {mean[1]} layers)"
        yield from _worst_size(own, results)
    lost = [f"{layer} ({own} {ratio:.2f})" for layer, own, ratio in results.lost()]
    yield f"below {LOSS}x the best peer: {', '.join(lost) or 'none'}"
    if mean := results.mean(lambda row: row.over_any()):
        found = ", ".join(f"{layer} ({ratio:.2f})" for layer, ratio in results.lost_to_any()) or "none"
        yield f"the better layout: {mean[0]:.2f}x as fast as the best peer of any layout; below {LOSS}x: {found}"
    yield from _doubtful(results)
    for row in results.rows:
        yield from (f"{name} failed on {row.layer}: {why}" for name, why in row.failed.items())
    yield from (f"{name} left out: {why}" for name, why in results.missing.items())


def _doubtful(results: Results) -> Iterator[str]:
    """What cannot be trusted, because something else was at work beside the measurement."""
    disturbed = [f"{layer} ({name} {_percent(1 + share)})" for layer, name, share in results.disturbed()]
    yield f"disturbed, the median of the rounds over {CALM:.0%} worse than the best: {', '.join(disturbed) or 'none'}"
    too_fast = [f"{layer} ({own} {ratio:.2f})" for layer, own, ratio in results.too_fast()]
    if too_fast:
        yield f"below {LOSS} floors, so that the floor itself was disturbed: {', '.join(too_fast)}"


def markdown(results: Results) -> str:
    """The whole report: machine, verdict, tables."""
    parts = ["# Benchmark of the transposed convolution"]
    parts.append("\n".join(f"- {name}: {value}" for name, value in results.about.items()))
    parts += ["## Verdict", "\n".join(f"- {line}" for line in verdict(results)), COMPARED]
    for table in tables(results):
        parts += [f"## {table.title}", table.note, _markdown_table(table)]
    return "\n\n".join(parts) + "\n"


def to_json(results: Results) -> str:
    """All that was measured, and per layer the floor and the ratios that follow."""
    data = asdict(results)
    for row, plain in zip(results.rows, data["rows"], strict=True):
        ratios = {own: {against: ratio(row) for against, ratio in _ratios(own, results.free).items()} for own in OWN}
        plain |= {"floor": row.floor, "bound": row.bound, "ratios": ratios}
    return json.dumps(data, indent=1) + "\n"


def _ratios(own: str, free: list[str]) -> dict[str, Callable[[Row], float | None]]:
    """What is compared, by its name; the peers that were not held back are also left out once."""
    held = {f"as fast as the best peer without {', '.join(free)}": lambda row: row.over_peer(own, free)} if free else {}
    return {
        "as fast as the best peer": lambda row: row.over_peer(own),
        **held,
        "as fast as torch": lambda row: row.over(own, row.seconds.get("torch")),
        "the floor's time": lambda row: row.to_floor(own),
    }


def _worst_size(own: str, results: Results) -> Iterator[str]:
    """What it costs at most if every call has an input size of its own."""
    sizes = [each for each in results.sizes if each.contender == own]
    if sizes:
        worst = max(sizes, key=lambda each: each.new)
        yield f"{own}: a new input size in every call costs {_percent(worst.new)} at most ({worst.layer})"


def _layers(results: Results) -> Table:
    names = results.contenders()
    header = ["layer", "floor", *names, "cf/peer", "cl/peer", "cf/floor", "cl/floor", "error"]
    rows = []
    for row in results.rows:
        times = [row.floor, *(row.seconds.get(name) for name in names)]
        ratios = [row.over_peer(own) for own in OWN] + [row.to_floor(own) for own in OWN]
        error = max((row.errors[own] for own in OWN if own in row.errors), default=None)
        rows.append([row.layer, *map(_micro, times), *(_number(r, ".2f") for r in ratios), _number(error, ".1e")])
    note = (
        "Microseconds per call, median over the rounds. /peer: times as fast as the best peer of the layout (above 1 "
        "tconv is faster). /floor: times as slow as the floor. error: of tconv, against float64."
    )
    return Table("Layers", note, header, rows)


def _errors(results: Results) -> Table:
    names = results.contenders()
    rows = []
    for row in results.rows:
        rates = [f"{row.gemm / 1e9:.0f}", f"{row.copy / 1e9:.1f}", row.bound]
        rows.append([row.layer, *rates, *(_number(row.errors.get(name), ".1e") for name in names)])
    note = (
        "floor = max(useful FLOP / GEMM rate, bytes of input, weight and output / copy rate); rates of the machine in "
        "GFLOP/s and GB/s, the best of the rounds. Errors: ||y - reference|| / ||reference||, reference in float64."
    )
    return Table("Floor and errors", note, ["layer", "GEMM", "copy", "floor by", *names], rows)


def _sizes(results: Results) -> Table:
    rows = [
        [each.layer, each.contender, _micro(each.fixed), _percent(each.changing), _percent(each.new)]
        for each in results.sizes
    ]
    note = (
        f"Microseconds per call with the last call's input size, median over {SIZES} sizes, with the time to bind the "
        "input. What a call costs more whose size is not the last call's, and one whose size was never met before."
    )
    return Table("Changing sizes", note, ["layer", "contender", "same", "changing", "new"], rows, 2)


def _callers(results: Results) -> Table:
    rows = [[each.layer, each.contender, *(f"{rate:,.0f}" for rate in each.rates)] for each in results.callers]
    note = "Calls per second of all calling Python threads together."
    return Table("Calling threads", note, ["layer", "contender", *(f"{n} calling" for n in CALLERS)], rows, 2)


def _memory(results: Results) -> Table:
    rows = [
        [each.layer, each.contender, *(f"{size / 2**20:.1f}" for size in (each.growth, each.result, each.weight))]
        for each in results.memory
    ]
    note = (
        "MiB by which the process grew at most from before the layer was prepared to after its first call; a result "
        "and a copy of the weight are the least that can be expected."
    )
    return Table("Peak memory", note, ["layer", "contender", "growth", "result", "weight"], rows, 2)


def _markdown_table(table: Table) -> str:
    align = ["---" if column < table.names else "---:" for column in range(len(table.header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (table.header, align, *table.rows))


def _micro(seconds: float | None) -> str:
    """Microseconds with three digits, or all digits before the point."""
    if seconds is None:
        return "-"
    micro = seconds * 1e6
    return f"{micro:.2f}" if micro < 9.995 else f"{micro:.1f}" if micro < 99.95 else f"{micro:,.0f}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _percent(ratio: float) -> str:
    return f"{ratio - 1:+.0%}"
