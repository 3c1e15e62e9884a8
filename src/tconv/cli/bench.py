"""`tconv bench`: the layers of published models, tconv beside its peers and beside what the machine can do."""

from __future__ import annotations

import os
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tconv import errors, extras
from tconv.benchmark import machine, plot, process, report
from tconv.benchmark import run as measure
from tconv.benchmark import suite as layers
from tconv.benchmark.contenders import PEERS
from tconv.benchmark.results import Results

WIDTH = 190  # columns of a table that does not go to a terminal


def bench(
    *,
    suite: str = "layers",
    only: Annotated[list[str] | None, Parameter(negative=())] = None,
    peers: str | None = None,
    repeat: int = 7,
    threads: int = 2,
    isa: str | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> None:
    """Time the layers of published models: tconv beside its peers, and beside what this machine can do at best.

    Every contender sits in a process of its own and takes turns with the others. All layers take some minutes.

        tconv bench --only U-Net --peers torch,onnxruntime --repeat 3
        tconv bench --isa avx2 -o results
        tconv bench --suite csc

    Args:
        suite: "layers", or "csc": convolutional sparse coding and dictionary learning beside SPORCO and alphacsc, to
            which --peers does not apply.
        only: Part of a layer's or problem's name or source; may be given several times. Default: all layers.
        peers: Names separated by commas, of torch, torch_cl, onnxruntime, openvino, jax; "none" for none. One that is
            not installed is left out.
        repeat: Rounds; each contender times every layer once per round.
        threads: Threads of every contender.
        isa: "avx2" holds all contenders to AVX2 that can be held.
        out: Folder for the report as JSON, Markdown and, with matplotlib, a plot; made if missing.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise errors.TconvError("the benchmark runs on Linux only: it holds each contender to processors of its own")
    for name, count in (("--repeat", repeat), ("--threads", threads)):
        if count < 1:
            raise errors.TconvError(f"{name} {count} must be at least 1")
    if isa is not None and isa not in process.ISAS:
        raise errors.TconvError(f"--isa {isa!r} is unknown; choose {' or '.join(process.ISAS)}, or leave it out")
    if suite not in ("layers", "csc"):
        raise errors.TconvError(f"--suite {suite!r} is unknown; choose layers or csc")
    if suite == "csc":
        _coding(only or [], repeat, threads, isa, out)
        return
    cases, chosen = layers.select(only or ()), _peers(peers)
    if out:
        out.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is told before, not after, the minutes
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("")

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        results = measure(cases, chosen, repeat, threads, isa, tell)
    _print(report.tables(results), [report.COMPARED, *report.verdict(results)])
    if out:
        _save(results, out, isa)


def _coding(only: list[str], repeat: int, threads: int, isa: str | None, out: Path | None) -> None:
    """The suite of sparse coding."""
    from tconv.benchmark.csc import cases, suite

    chosen = [case for case in cases.CASES if not only or any(text.casefold() in case.name.casefold() for text in only)]
    if not chosen:
        names = "; ".join(case.name for case in cases.CASES)
        raise errors.TconvError(f"--only {', '.join(only)!r} matches no problem; the problems are: {names}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
    about = machine.about(datetime.now(), repeat, threads, isa, ("tconv", "numpy", "sporco", "alphacsc"))
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("")
        results = suite.run(
            chosen, about, repeat, threads, isa,
            lambda what, done, total: progress.update(bar, description=what, completed=done, total=total),
        )  # fmt: skip
    _print([table for table in (suite.table(results), suite.curves(results)) if table.rows], results.failed)
    if out:
        stem = out / f"csc-{machine.file_stem(results.about, isa)}"
        _write(stem, ".json", suite.to_json(results))
        _write(stem, ".md", suite.markdown(results))


def _peers(text: str | None) -> list[str]:
    names = list(PEERS) if text is None else [name.strip() for name in text.split(",") if name.strip() != "none"]
    for name in names:
        if name not in PEERS:
            raise errors.TconvError(f"--peers {name!r} is unknown; choose among {', '.join(PEERS)}, or none")
    return list(dict.fromkeys(names))


def _print(tables: list[report.Table], lines: list[str]) -> None:
    """The tables, as wide as they need to be where nobody sees the lines break, then the lines."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH
    for table in tables:
        shown = Table(title=table.title, caption=table.note, box=None, title_justify="left", caption_justify="left")
        for place, name in enumerate(table.header):
            shown.add_column(name, justify="left" if place < table.names else "right", no_wrap=place >= table.names)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown, "")
    for line in lines:
        console.print(line)


def _save(results: Results, folder: Path, isa: str | None) -> None:
    stem = folder / machine.file_stem(results.about, isa)
    _write(stem, ".json", report.to_json(results))
    _write(stem, ".md", report.markdown(results))
    if find_spec("matplotlib"):
        plot.save(results, stem.with_name(f"{stem.name}.png"))
        print(f"wrote {stem}.png")
    else:
        print(f"no plot: it needs matplotlib: {extras.cure('bench')}")


def _write(stem: Path, suffix: str, text: str) -> None:
    path = stem.with_name(stem.name + suffix)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")
