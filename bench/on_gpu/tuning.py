"""Which tiles are fastest on this card for the layers of the suite, and kernels compiled in advance."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from on_gpu.device import Clock, precision, this_card
from on_gpu.layers import allowed, error, prepared, rows
from tconv.benchmark.suite import Case
from tconv.nn.engines.triton import choices
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.choices import Choice
from tconv.nn.engines.triton.launch import launcher, warm
from tconv.nn.engines.triton.layer import dense
from tconv.nn.engines.triton.packing import pack
from tconv.nn.engines.triton.plan import Plan, plan
from tconv.nn.engines.triton.task import Task

WORKERS, MEMORY = 12, 2**31  # processes that compile, and what the context of each may take of the card
MARGIN = 0.98  # where PyTorch needs less than this share of our time, its own operator is chosen


@dataclass
class Tuned:
    """A task, what was chosen for it, and seconds: of the first candidate, of the fastest one, of PyTorch."""

    task: Task
    choice: Choice
    first: float
    best: float
    theirs: float
    tried: int
    wrong: list[str]

    def as_json(self) -> dict[str, Any]:
        """All of it, in words and numbers."""
        numbers = {"first": self.first, "best": self.best, "torch": self.theirs, "tried": self.tried}
        return {"task": str(self.task), "choice": str(self.choice), **numbers, "wrong": self.wrong}


def task_of(case: Case, name: str, last: bool) -> Task:
    """The task of a layer of the suite, with bias, channels-last or not on both sides."""
    dtype = "float32" if name in ("tf32", "float32") else name
    numbers = case.geometry, case.in_size, case.batch, case.in_channels, case.out_channels, case.groups
    return Task(*numbers, dtype, name == "tf32", last, last)


def tasks(clock: Clock, dtypes: Sequence[str]) -> list[tuple[Case, str, Task]]:
    """Of all layers that are measured, in both layouts."""
    found = []
    for case, name in rows(clock.dry, dtypes, clock.free_bytes()):
        found += [(case, name, task_of(case, name, last)) for last in (False, True) if not last or case.ndim > 1]
    return found


def plans_of(task: Task, card: Card, all_choices: bool) -> list[Plan]:
    """What the engine would run for a task; with `all_choices`, all that is worth measuring."""
    wanted: Iterable[Choice | None] = choices.candidates(task, card) if all_choices else [None]
    found = (plan(task, card, choice) for choice in wanted)
    return [each for each in found if isinstance(each, Plan)]


def compile_ahead(clock: Clock, wanted: Sequence[Task], all_choices: bool, end: float) -> int:
    """Compile kernels in processes side by side, into Triton's cache on disk; how many tasks were finished in time."""
    card, distinct = this_card(clock), list(dict.fromkeys(wanted))
    if clock.dry:
        return sum(bool(plans_of(task, card, all_choices)) for task in distinct)
    workers = max(1, min(WORKERS, os.cpu_count() or 1, clock.free_bytes() // MEMORY))
    shares = [distinct[n :: workers * 4] for n in range(workers * 4)]
    done = 0
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        started = [
            pool.submit(_warm, share, card, all_choices, time.time() + end - time.monotonic()) for share in shares
        ]
        for each in as_completed(started, timeout=max(1.0, end - time.monotonic() + 30)):
            done += each.result()
    except Exception as reason:  # what is not compiled ahead is compiled when it first runs
        print(f"compiling ahead: {type(reason).__name__}: {reason}", flush=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return done


def _warm(share: Sequence[Task], card: Card, all_choices: bool, end: float) -> int:
    """In a process of its own; `end` is of `time.time`."""
    device, done = torch.device("cuda", 0), 0
    for task in share:
        for each in plans_of(task, card, all_choices):
            if time.time() > end:
                return done
            try:
                warm(each, device)
            except Exception as reason:  # a choice that does not fit is left out when it is measured
                print(f"  not compiled: {each.describe()}: {reason}", flush=True)
        done += 1
    return done


def tune(clock: Clock, dtypes: Sequence[str], end: float) -> list[Tuned]:
    """Measure all candidates of all tasks until `end` of `time.monotonic`."""
    found = []
    with torch.no_grad():
        for case, name, task in tasks(clock, dtypes):
            if time.monotonic() > end:
                break
            tuned = _tune(clock, case, name, task)
            if tuned is not None:
                found.append(tuned)
                ratio = tuned.theirs / tuned.best
                print(f"{task}: {tuned.choice.way}, {ratio:.2f}x PyTorch, {tuned.first / tuned.best:.2f}x", flush=True)
    return found


def _tune(clock: Clock, case: Case, name: str, task: Task) -> Tuned | None:
    with precision(name) as dtype:
        layer, x = prepared(case, "torch_cl" if task.input_last else "torch", dtype, clock.device)
        expected = layer(x)
        theirs = clock.launched(lambda: layer(x))
        seen: list[tuple[float, Choice]] = []
        wrong = []
        candidates = plans_of(task, this_card(clock), True)
        for made in candidates:
            try:
                run, y = _launch(made, layer, x, dtype)
                run()
                off = error(expected, y)
                if not off <= allowed(name):
                    raise ArithmeticError(f"the result is off by {off:.1e}")
                seen.append((clock.launched(run), made.choice))
            except Exception as reason:  # it does not fit the card, or is wrong: it is not chosen
                wrong.append(f"{made.choice}: {(str(reason).splitlines() or ['?'])[0]}")
    if not seen:
        return None
    best, choice = min(seen, key=lambda each: each[0])
    if theirs < MARGIN * best and not clock.dry:
        choice = Choice(way="pytorch")
    return Tuned(task, choice, seen[0][0], best, theirs, len(candidates), wrong)


def _launch(made: Plan, layer: Any, x: Tensor, dtype: torch.dtype) -> tuple[Callable[[], None], Tensor]:
    task = made.task
    shape = (task.batch, task.out_channels, *task.out_size)
    y = torch.empty_strided(shape, dense(shape, task.output_last), dtype=dtype, device=x.device)
    packed = pack(made.layout, layer.weight, layer.bias)
    memory = torch.empty(made.workspace, dtype=torch.uint8, device=x.device) if made.workspace else None
    run = launcher(made, x.device)
    return lambda: run(x, packed, y, memory), y


def save(clock: Clock, tuned: Sequence[Tuned], folder: Path, made: str) -> Path:
    """Write the card's table into a folder; what it has of other tasks stays.

    bfloat16 moves and multiplies as fast as float16, and has its choices where the table has none of its own.
    """
    path = choices.table_path(this_card(clock), folder)
    before = json.loads(path.read_text())["choices"] if path.exists() else {}
    halves = [(replace(each.task, dtype="bfloat16"), each.choice) for each in tuned if each.task.dtype == "float16"]
    measured = [(each.task, each.choice) for each in tuned]
    taken = [(task, choice) for task, choice in halves if choices.place(task) not in before]
    choices.save(this_card(clock), [*taken, *measured], folder, made)
    table = json.loads(path.read_text())
    table["choices"] = dict(sorted((before | table["choices"]).items()))
    path.write_text(json.dumps(table, indent=1) + "\n")
    choices.read(path)
    return path
