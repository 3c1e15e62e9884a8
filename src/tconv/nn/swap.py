"""A layer changes its class: torch.nn's for tconv's, and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from torch import nn

from tconv.nn import modules as ours
from tconv.nn.comparison import Call, Comparison, at_first_calls, compare
from tconv.nn.engine import engine_for, refusal
from tconv.nn.example import Example
from tconv.nn.private import TransposedBase
from tconv.nn.report import Row

Filter: TypeAlias = Callable[[str, nn.Module], bool]

TO_OURS: dict[type[nn.Module], type[nn.Module]] = {
    nn.ConvTranspose1d: ours.ConvTranspose1d,
    nn.ConvTranspose2d: ours.ConvTranspose2d,
    nn.ConvTranspose3d: ours.ConvTranspose3d,
}
TO_THEIRS = {swapped: original for original, swapped in TO_OURS.items()}
MARK = "_tconv_swapped"  # on a swapped layer; a model's own tconv layers are without it


def swap(name: str, layer: nn.Module, wanted: Filter | None) -> str | None:
    """Make a transposed convolution tconv's; the reason if it stays as it is.

    Only the class changes, so that the layer's parameters, hooks and name in the model stay, and isinstance holds.
    """
    if type(layer) in TO_THEIRS:
        return "it is tconv's already"
    if wanted is not None and not wanted(name, layer):
        return "the filter leaves it alone"
    kind = _counterpart(type(layer), TO_OURS)
    if kind is None:
        return f"its type {type(layer).__module__}.{type(layer).__qualname__} is not exactly torch.nn's"
    weight: Any = layer.weight
    if nn.parameter.is_lazy(weight):
        return "it is not initialised yet; call the model once"
    reason = refusal(weight=weight)
    if reason is None:
        layer.__class__ = kind
        vars(layer)[MARK] = True
    return reason


def unswap(layer: nn.Module) -> None:
    """Give a layer that `swap` changed its class back."""
    if vars(layer).pop(MARK, False):
        kind = _counterpart(type(layer), TO_THEIRS)
        assert kind is not None
        layer.__class__ = kind


def _counterpart(kind: type[nn.Module], classes: dict[type[nn.Module], type[nn.Module]]) -> type[nn.Module] | None:
    """The class that stands for `kind`; PyTorch's class of a parametrised layer is made anew upon the other base."""
    if kind in classes:
        return classes[kind]
    base = kind.__bases__[0]
    if kind.__name__ == f"Parametrized{base.__name__}" and base in classes:
        members = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
        return type(kind.__name__, (classes[base],), members)
    return None


def swap_all(model: nn.Module, wanted: Filter | None) -> list[Row]:
    """Make all transposed convolutions tconv's."""
    rows = []
    for name, layer in [(n, m) for n, m in model.named_modules() if isinstance(m, TransposedBase)]:
        reason = swap(name, layer, wanted)
        action = "replaced" if reason is None else "kept" if type(layer) in TO_THEIRS else "skipped"
        rows.append(Row(action, name, type(layer).__name__, reason or ""))
    return rows


def swap_faster(model: nn.Module, example: Example, wanted: Filter | None) -> list[Row]:
    """`swap_all`, then race each layer, forward and backward, against what it was, on what the model calls it with;
    losers are taken back.
    """
    rows = swap_all(model, wanted)
    layers = {row.name: model.get_submodule(row.name) for row in rows if row.action == "replaced"}
    results: dict[str, Comparison] = {}

    def race(name: str, call: Call) -> None:
        layer = layers[name]
        kind = next(kind for kind in type(layer).__mro__ if kind in TO_THEIRS)
        theirs, ours = (partial(cls.forward, layer) for cls in (TO_THEIRS[kind], kind))
        weight: Any = layer.weight
        engine = engine_for(weight.device.type)
        assert engine is not None  # else the layer had not been replaced
        clock = partial(engine.seconds, device=weight.device)
        results[name] = compare(theirs, ours, call, layer, clock=clock)

    at_first_calls(model, example.run, layers, race)
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
