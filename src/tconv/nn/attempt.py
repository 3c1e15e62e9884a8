"""A model made faster in one way: what was replaced and folded in it, what was taken back, and what came of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from torch import nn

from tconv.nn.comparison import Call, Comparison, at_first_calls, compare, evaluating
from tconv.nn.folding import unfold
from tconv.nn.folding.chain import Folded
from tconv.nn.folding.graph import Folding, fold_graphs
from tconv.nn.packing import by_channels
from tconv.nn.restoration import make_channels_last, restore
from tconv.nn.swap import TO_THEIRS, Filter, swap, unswap

FOLD = "fold"  # the kind of a row that is no layer


@dataclass
class Row:
    """A line of the table: what happened to a part of the model, and why or with what gain."""

    action: str
    name: str
    kind: str
    text: str


@dataclass
class Attempt:
    """A model's rows, and how it compares to the original; `last`: with channels-last weights."""

    rows: list[Row]
    whole: Comparison
    last: bool
    winograd: bool

    @property
    def changes(self) -> bool:
        """Whether anything was done to the model."""
        return self.last or any(row.action in ("replaced", "folded") for row in self.rows)

    def again(self, model: nn.Module) -> None:
        """Make of the restored `model` what it was in this attempt, without measuring."""
        if self.last:
            make_channels_last(model)
        done = {(row.action, row.name) for row in self.rows}
        for name, layer in model.named_modules():
            if ("replaced", name) in done:
                swap(name, layer, None)
        fold_graphs(model, Folding(lambda name, _: ("folded", name) in done, self.winograd))


def fastest(model: nn.Module, arguments: tuple[Any, ...], wanted: Filter | None, winograd: bool) -> list[Row]:
    """Try both layouts of the weights, and leave the model as it was faster, or restored if neither was."""
    original = copy.deepcopy(model)
    kind, kept = type(model).__name__, []
    attempts = [_attempt(model, original, arguments, wanted, False, winograd)]
    if any(p.dim() > 3 and not by_channels(p) for p in model.parameters()):
        try:
            attempts.append(_attempt(model, original, arguments, wanted, True, winograd))
        except Exception as error:  # of the model's own code: `view`, for one, asks for the layout it was written for
            reason = str(error).splitlines()[:1] or [type(error).__name__]
            kept.append(Row("kept", "", kind, f"the layout of its weights; channels-last ones fail: {reason[0]}"))
    # One that changed nothing is as fast as before; and where the layout matters little, the weights stay as they are.
    best = min(attempts, key=lambda a: a.whole.after / a.whole.before * (1 if a.last else 0.98) if a.changes else 1)
    restore(model)
    if not (best.changes and best.whole.faster):
        for row in best.rows:
            row.action = "undone" if row.action in ("replaced", "folded") else row.action
        return [*best.rows, *kept, Row("restored", "", kind, f"not faster: {best.whole}")]
    best.again(model)
    layout = "channels-last weights: " if best.last else ""
    return [*best.rows, *kept, Row("whole", "", kind, f"{layout}{best.whole}")]


def _attempt(
    model: nn.Module,
    original: nn.Module,
    arguments: tuple[Any, ...],
    wanted: Filter | None,
    last: bool,
    winograd: bool,
) -> Attempt:
    restore(model)
    if last:
        make_channels_last(model)
    rows = swap_faster(model, arguments, wanted)
    rows += fold_all(model, wanted, winograd, arguments)
    with evaluating(model), evaluating(original):
        return Attempt(rows, compare(original, model, (arguments, {})), last, winograd)


def swap_all(model: nn.Module, wanted: Filter | None) -> list[Row]:
    """Make all transposed convolutions tconv's."""
    rows = []
    for name, layer in _transposed(model):
        reason = swap(name, layer, wanted)
        action = "replaced" if reason is None else "kept" if type(layer) in TO_THEIRS else "skipped"
        rows.append(Row(action, name, type(layer).__name__, reason or ""))
    return rows


def _transposed(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in model.named_modules() if isinstance(m, nn.modules.conv._ConvTransposeNd)]


def swap_faster(
    model: nn.Module, arguments: tuple[Any, ...], wanted: Filter | None, training: bool = False
) -> list[Row]:
    """`swap_all`, then race each layer against what it was, on what the model calls it with; losers are taken back."""
    original = {name: copy.deepcopy(layer) for name, layer in _transposed(model)}
    rows = swap_all(model, wanted)
    layers = {row.name: model.get_submodule(row.name) for row in rows if row.action == "replaced"}
    results: dict[str, Comparison] = {}

    def race(name: str, call: Call) -> None:
        results[name] = compare(original[name], layers[name], call, training)

    at_first_calls(model, arguments, layers, race)
    for row in rows:
        if row.action != "replaced":
            continue
        comparison = results.get(row.name)
        if comparison is None:
            row.text = "the example does not reach it"
            continue
        row.text = str(comparison)
        if not comparison.faster:
            unswap(layers[row.name])
            row.action, row.text = "skipped", f"not faster: {comparison}"
    return rows


def fold_all(
    model: nn.Module, wanted: Filter | None, winograd: bool, arguments: tuple[Any, ...] | None = None
) -> list[Row]:
    """Fold the model, but for layers that are not wanted; with arguments, race each fold against its steps, and fold
    again without those that lose.
    """
    results: dict[str, Comparison] = {}
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.modules.conv._ConvNd)]
    alone = {layer for name, layer in layers if wanted is not None and not wanted(name, layer)}

    def keep(name: str, folded: Folded) -> bool:
        return alone.isdisjoint(folded.absorbed) and (name not in results or results[name].faster)

    def race(name: str, call: Call) -> None:
        results[name] = compare(new[name].by_steps, new[name], call)

    while True:
        unfold(model)
        folding = Folding(keep, winograd)
        fold_graphs(model, folding)
        new = {name: fold for name, fold in folding.folds.items() if name not in results}
        if arguments is None or not new:
            break
        at_first_calls(model, arguments, new, race)
        if new.keys() - results.keys():  # the example does not reach them
            break
    losers = [name for name, result in results.items() if not result.faster]
    rows = [Row("skipped", name, FOLD, f"not faster: {results[name]}") for name in losers]
    rows += [Row("folded", name, FOLD, str(results.get(name, ""))) for name in folding.folds if name not in losers]
    return rows + [Row("skipped", name, FOLD, reason) for name, reason in folding.skipped]
