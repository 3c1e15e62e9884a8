"""One call that speeds up a model."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from tconv.errors import TconvError
from tconv.nn import private
from tconv.nn.attempt import Attempt, Race
from tconv.nn.backend import Backend, Rest, checked_flag, checked_rest
from tconv.nn.capture import capture
from tconv.nn.comparison import evaluating
from tconv.nn.engine import refusal
from tconv.nn.example import Example, no_trace
from tconv.nn.report import Report, Row, forget, keep
from tconv.nn.restoration import Layout, Model, make_channels_last, restore
from tconv.nn.swap import TO_THEIRS, Filter, swap_all, swap_faster

log = logging.getLogger("tconv")


class AccelerateError(TconvError):
    """`accelerate` cannot do what it was asked for; the model is as before."""


def accelerate(
    model: Model,
    example: Any = None,
    *,
    method: str | None = None,
    mode: Literal["inference", "training"] = "inference",
    filter: Filter | None = None,
    strict: bool = False,
    verify: bool = True,
    winograd: bool = True,
    rest: Rest = "eager",
    tolerance: float = 1e-3,
    seconds: float = 30.0,
    forwards: int = 100,
) -> Model:
    """Make `model` faster, exactly, in place; keep only what is measured to be faster and right.

    In inference mode the model is captured by TorchDynamo and folded: see `tconv.nn.fold` for what folds, and for when
    the model runs as it is written. With an example, each fold is compared with what it replaces, and the whole model
    with what it was, under the same random numbers: with the weights as they are and with channels-last ones, whose
    results are channels-last in memory as well; signals of one axis, whose weights have one layout, lie channels-last
    between folds then. The fastest stays; what is not faster, or differs by more than the tolerance, is taken back. One
    line is printed; `tconv.nn.report(model)` has the rest, and so has the logger "tconv".

    In training mode layers of exactly torch.nn's types, parametrised ones (weight_norm) included, get tconv's class:
    parameters, hooks, isinstance and state_dict stay. So do they in inference mode without an example, where nothing
    can be measured and what folds is folded when the model first runs. A model that was accelerated before is restored
    first.

    Args:
        model: any module; may itself be a transposed convolution.
        example: what the model is called with: a tensor; a tuple of arguments; a dict of keyword arguments, as
            processors return; or a pair of such a tuple and such a dict. Without, nothing is measured.
        method: the name of the method that the example calls, such as "decode" or "generate"; default: the model
            itself. The modules that it calls are captured. Needs an example.
        mode: "inference" or "training", which measures forward and backward.
        filter: `filter(name, module)` is false for convolutions, transposed or not, to leave alone: they are neither
            replaced nor folded. Default: none.
        strict: raise if a transposed convolution stays as it was, or there is none; the model is then as before.
        verify: measure and compare, if there is an example.
        winograd: as for `tconv.nn.fold`, which says what it costs; default yes.
        rest: who runs what is not folded: "eager" PyTorch, or "inductor"; as for `tconv.nn.fold`.
        tolerance: the largest error that is accepted, relative to the largest value of a result; default 1e-3. Results
            in half precision may differ by more, if they are at most twice as far as the model's own from what a copy
            of it in single precision gives.
        seconds, forwards: what measuring may take: so many seconds, or so many runs of the model, whichever is less;
            defaults 30 and 100. Capturing the model comes on top; beyond `seconds` no other layout is tried.

    Returns:
        The model itself; `restore(model)` undoes it. Weights may change afterwards: `tconv.nn.fold` says what is
        noticed, and `tconv.nn.refresh(model)` makes right what was not.

    Raises:
        AccelerateError: see `strict`; or there is an example, and the model runs in step with other processes, as in
            DistributedDataParallel and FSDP: they would measure, and so call it, different numbers of times; or
            gradients are to be measured within `torch.inference_mode()`, which records none.
        ValueError: the mode or `rest` is none of the two, or a limit is not positive.
        TypeError: `model` is no module, or `filter` no function, or `method` comes without an example.
        AttributeError: the model has no such method.
        Exception: whatever the model raises when it is called with the example; it is then as before.

    >>> from torch import nn
    >>> model = accelerate(nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2)))
    tconv: Sequential: 1 layer replaced, what folds is folded when the model first runs
    """
    _check(mode, filter, method, example, tolerance, seconds, forwards)
    if example is not None and verify:
        _check_alone(model)
        if mode == "training" and torch.is_inference_mode_enabled():
            raise AccelerateError(
                "mode 'training' measures gradients, and torch.inference_mode() records none; call accelerate outside "
                "of it"
            )
    restore(model)
    backend = Backend(checked_flag("winograd", winograd), checked_rest(rest), filter)
    call = None if example is None or not verify else Example(model, example, method)
    try:
        if call is not None and any(map(is_lazy, model.parameters())):  # which get their shapes from the example
            with evaluating(model):
                call.run()
        if mode == "training":
            rows = swap_all(model, filter) if call is None else swap_faster(model, call, filter)
            report = Report(type(model).__name__, rows)
        elif call is None:
            report = _unmeasured(model, filter, backend)
        else:
            report = _measured(model, call, backend, tolerance, seconds, forwards)
        if strict:
            _check_all_done(model, report)
    except BaseException:  # of the model, which the example may not fit; or Ctrl-C
        restore(model)
        forget(model)
        raise
    keep(model, report)
    for row in report.rows:
        log.info("%s", row)
    print(report.line())
    return model


def _check(
    mode: str,
    filter: object,
    method: str | None,
    example: object,
    tolerance: float,
    seconds: float,
    forwards: int,
) -> None:
    if mode not in ("inference", "training"):
        raise ValueError(f"mode {mode!r} is unknown; choose 'inference' or 'training'")
    if filter is not None and not callable(filter):
        raise TypeError(f"filter {filter!r} must be a function of a layer's name and the layer")
    if method is not None and example is None:
        raise TypeError(f"method {method!r} needs an example: what it calls is only known once it is called")
    for name, limit in (("tolerance", tolerance), ("seconds", seconds), ("forwards", forwards)):
        if not limit > 0:
            raise ValueError(f"{name} {limit!r} must be greater than 0")


def _check_alone(model: nn.Module) -> None:
    how = private.spread(model)
    if how is not None:
        raise AccelerateError(
            f"{type(model).__name__} runs in step with other processes ({how}), and measuring would call it a "
            "different number of times in each; accelerate the model before it is wrapped or sharded, or call "
            "accelerate without an example"
        )


def _unmeasured(model: nn.Module, filter: Filter | None, backend: Backend) -> Report:
    rows = swap_all(model, filter)
    capture(model, backend)
    rows.append(Row("whole", "", type(model).__name__, "what folds is folded when the model first runs"))
    return Report(type(model).__name__, rows)


def _measured(
    model: nn.Module, example: Example, backend: Backend, tolerance: float, seconds: float, forwards: int
) -> Report:
    """Try both layouts of the weights, and leave the model as it was faster, or as it is if neither was."""
    start, breaks = time.perf_counter(), private.graph_breaks()
    kind = type(model).__name__
    backend.alone = True
    with no_trace(model), private.quietly(), _progress() as progress:
        race = Race(example, tolerance, seconds, forwards, progress)
        modules = example.entered()
        layout = Layout(model)
        attempts = [Attempt(backend, last=False)]
        if _may_lie_otherwise(model, layout, backend):
            attempts.append(Attempt(backend.anew(last=backend.rest == "eager"), last=True))
        for attempt in attempts:
            if not attempt.last or time.perf_counter() < race.last_moment:
                race.try_out(attempt, modules, layout)
            else:
                attempt.failure = f"there was no time left to try, of {seconds:g} s"
        runnable = [a for a in attempts if not a.failure and a.right and (a.folds or (a.last and layout.differs))]
        if runnable:
            race.measure(runnable, modules, layout)
        report, best = _chosen(kind, race, attempts, runnable, layout.name)
        if best is not None:
            if best.last and layout.differs:
                make_channels_last(model, layout)
            best.install()
    if (reason := _left_to_pytorch(model)) is not None:
        report.rows.insert(0, Row("kept", "", kind, f"its layers run on PyTorch: {reason}"))
    report.steady = race.steady
    report.graph_breaks = {
        why: n - breaks.get(why, 0) for why, n in private.graph_breaks().items() if n > breaks.get(why, 0)
    }
    report.seconds = time.perf_counter() - start
    return report


def _may_lie_otherwise(model: nn.Module, layout: Layout, backend: Backend) -> bool:
    """Whether channels-last is worth a try: of weights, or of the inputs of layers of one axis on a CPU."""
    if layout.differs:
        return not private.several_processes()  # which DistributedDataParallel wants to agree
    if backend.rest != "eager":  # Inductor compiles for the layout that PyTorch gives
        return False
    layers = [module for module in model.modules() if isinstance(module, nn.Conv1d | nn.ConvTranspose1d)]
    return any(not is_lazy(layer.weight) and layer.weight.is_cpu for layer in layers)


def _left_to_pytorch(model: nn.Module) -> str | None:
    """Why no engine takes the weight of the first convolution; None if one does, or there is none."""
    weights = (module.weight for module in model.modules() if isinstance(module, private.ConvBase))
    first = next((weight for weight in weights if not is_lazy(weight)), None)
    return None if first is None else refusal(weight=first)


@contextmanager
def _progress() -> Iterator[Callable[[str], object]]:
    """Shows on a terminal what is being done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def show(text: str) -> None:
        sys.stderr.write(f"\r\x1b[Ktconv: {text}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _chosen(
    kind: str, race: Race, attempts: list[Attempt], runnable: list[Attempt], other: str
) -> tuple[Report, Attempt | None]:
    """The fastest of the attempts that run and are right, if it is faster than the model as it is; and the report."""
    notes = []
    for attempt in attempts:
        layout = other if attempt.last else "folded"
        if attempt.failure:
            notes.append(Row("kept", "", kind, f"{layout}: {attempt.failure}"))
        elif not attempt.right:
            notes.append(Row("kept", "", kind, f"{layout}: the result differs {_how_far(attempt.error)}"))
    if not runnable:
        rows = [row for attempt in attempts[:1] for row in attempt.rows()]
        return Report(kind, [_undone(row) for row in rows] + notes, graphs=attempts[0].backend.graphs), None
    # Where the layout matters little, the weights stay as they are.
    best = min(runnable, key=lambda a: race.comparison(a).after * (1 if a.last else 0.98))
    whole = race.comparison(best)
    if not whole.faster:
        notes.append(Row("restored", "", kind, f"not faster: {whole}"))
        return Report(kind, [_undone(row) for row in best.rows()] + notes, whole, graphs=best.backend.graphs), None
    layout = f"{other}: " if best.last else ""
    notes.append(Row("whole", "", kind, f"{layout}{whole}"))
    return Report(kind, best.rows() + notes, whole, graphs=best.backend.graphs), best


def _how_far(error: float) -> str:
    if math.isinf(error):
        return "in a whole number, such as an index that hangs on rounding, in a shape, or in what is finite"
    return f"by {error:.1e} of its largest value"


def _undone(row: Row) -> Row:
    return Row("undone", row.name, row.kind, row.text) if row.action == "folded" else row


def _check_all_done(model: nn.Module, report: Report) -> None:
    """Raise if a transposed convolution stayed as it was, or there is none."""
    names = [name for name, layer in model.named_modules() if isinstance(layer, private.TransposedBase)]
    done = [
        row.name for row in report.rows if row.action in ("replaced", "folded") or (row.action == "kept" and row.name)
    ]
    stayed = [name for name in names if not any(name in _layers(title) for title in done)]
    if names == [""] and (done or type(model) in TO_THEIRS):  # a fold of the model itself is called by its function
        return
    if names and not stayed:
        return
    reasons = {row.name: row.text for row in report.rows}
    told = (f"{name or '(model)'}: {reasons.get(name) or report.line()}" for name in stayed)
    what = "; ".join(told) or "there is no transposed convolution"
    raise AccelerateError(f"strict: {what}; the model is as before")


def _layers(title: str) -> list[str]:
    """The full names in a fold's title."""
    first, *others = title.removeprefix("cat + ").partition(" (")[0].split(" + ")
    parent = first.rpartition(".")[0]
    return [first, *others, *(f"{parent}.{name}" for name in others)]
