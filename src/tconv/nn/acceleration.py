"""One call that speeds up a model, and one that undoes it."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from tconv.errors import TconvError
from tconv.nn.comparison import Comparison, calls, compare, evaluating
from tconv.nn.folding import unfold
from tconv.nn.folding.graph import Report, fold_graphs
from tconv.nn.swap import MARK, TO_THEIRS, Filter, swap, unswap

Model = TypeVar("Model", bound=nn.Module)

FOLD = "fold"  # the kind of a row that is no layer
STRIDES = "_tconv_strides"  # on a model whose weights were made channels-last: the strides they had, by name


class AccelerateError(TconvError):
    """`accelerate(strict=True)` left a transposed convolution as it was."""


@dataclass
class Row:
    """A line of the table: what happened to a part of the model, and why or with what gain."""

    action: str
    name: str
    kind: str
    text: str


def accelerate(
    model: Model,
    example: Any = None,
    *,
    mode: Literal["inference", "training"] = "inference",
    filter: Filter | None = None,
    strict: bool = False,
    verify: bool = True,
) -> Model:
    """Make the transposed convolutions of `model` tconv's, and in inference fold what folds; in place.

    Layers of exactly torch.nn's types, parametrised ones (weight_norm) included, get tconv's class: parameters, hooks,
    isinstance and state_dict stay. In inference mode the model is folded (`tconv.nn.fold`). With an example, old and
    new run in turns (on a copy of the model): a layer or a fold that is not faster is taken back, the weights become
    channels-last if that is faster in inference, and everything is taken back if the whole is not faster. A table says
    what happened.

    Args:
        model: any module; may itself be a transposed convolution.
        example: an input of the model, or a tuple of its arguments; without, nothing is measured.
        mode: "inference" folds as well; "training" only swaps, and measures forward and backward.
        filter: `filter(name, module)` is false for layers to leave alone; default none.
        strict: raise if a transposed convolution stays as it was, or there is none; the model is then as before.
        verify: measure and compare, if there is an example.

    Returns:
        The model itself; `restore(model)` undoes it.

    Raises:
        AccelerateError: see `strict`.
        ValueError: the mode is neither of the two.

    >>> model = accelerate(nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2)))
    replaced  0  ConvTranspose2d
    """
    if mode not in ("inference", "training"):
        raise ValueError(f"mode {mode!r} is unknown; choose 'inference' or 'training'")
    arguments = None if example is None or not verify else example if isinstance(example, tuple) else (example,)
    original = None if arguments is None else copy.deepcopy(model)
    rows = _swap(model, filter)
    if original is not None and arguments is not None:
        _keep_faster_layers(original, model, arguments, mode == "training", rows)
    if mode == "inference":
        rows += _fold(model, arguments)
        if original is not None and arguments is not None:
            rows += _whole(original, model, arguments)
    for row in rows:
        print(f"{row.action:8}  {row.name or '(model)'}  {row.kind}  {row.text}".rstrip())
    stayed = [row for row in rows if row.action == "skipped" and row.kind != FOLD]
    if strict and (stayed or all(row.kind == FOLD for row in rows)):
        restore(model)
        what = (
            "; ".join(f"{row.name or '(model)'}: {row.text}" for row in stayed) or "there is no transposed convolution"
        )
        raise AccelerateError(f"strict: {what}; the model is as before")
    if not any(row.action in ("replaced", "folded") for row in rows):
        name = type(model).__name__
        warnings.warn(f"accelerate changed nothing in {name}: no layer that tconv makes faster was found", stacklevel=2)
    return model


def restore(model: Model) -> Model:
    """Undo `accelerate` and `fold` exactly: classes, forwards, and the memory layout of the weights.

    Returns:
        The model itself; its parameters are the same objects as ever.
    """
    unfold(model)
    for layer in model.modules():
        unswap(layer)
    _as_before(model)
    return model


def _swap(model: nn.Module, wanted: Filter | None) -> list[Row]:
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.conv._ConvTransposeNd) and MARK not in vars(layer):
            reason = swap(name, layer, wanted)
            action = "replaced" if reason is None else "kept" if type(layer) in TO_THEIRS else "skipped"
            rows.append(Row(action, name, type(layer).__name__, reason or ""))
    return rows


def _keep_faster_layers(
    original: nn.Module, model: nn.Module, arguments: tuple[Any, ...], training: bool, rows: list[Row]
) -> None:
    """Race each swapped layer against what it was, on what the model calls it with; note it in its row."""
    layers = {row.name: model.get_submodule(row.name) for row in rows if row.action == "replaced"}
    seen = calls(model, arguments, layers)
    for row in rows:
        if row.action != "replaced":
            continue
        if row.name not in seen:
            row.text = "the example does not reach it"
            continue
        comparison = compare(original.get_submodule(row.name), layers[row.name], seen[row.name], training)
        row.text = str(comparison)
        if not comparison.faster:
            unswap(layers[row.name])
            row.action, row.text = "skipped", f"not faster: {comparison}"


def _fold(model: nn.Module, arguments: tuple[Any, ...] | None) -> list[Row]:
    """Fold the model; with arguments, race each fold against its steps, and fold again without those that lose."""
    results: dict[str, Comparison] = {}
    while True:
        unfold(model)
        report = Report()
        fold_graphs(model, report, lambda name: name not in results or results[name].faster)
        new = {name: fold for name, fold in report.folds.items() if name not in results}
        if arguments is None or not new:
            break
        for name, call in calls(model, arguments, new).items():
            results[name] = compare(new[name].by_steps, new[name], call)
        if new.keys() - results.keys():  # the example does not reach them
            break
    losers = [name for name, result in results.items() if not result.faster]
    rows = [Row("skipped", name, FOLD, f"not faster: {results[name]}") for name in losers]
    rows += [Row("folded", name, FOLD, str(results.get(name, ""))) for name in report.folds if name not in losers]
    return rows + [Row("skipped", name, FOLD, reason) for name, reason in report.skipped]


def _whole(original: nn.Module, model: nn.Module, arguments: tuple[Any, ...]) -> list[Row]:
    """Make the weights channels-last if that is faster; take everything back if the whole is not faster."""
    with evaluating(model), evaluating(original):
        comparison = compare(original, model, (arguments, {}))
        vars(model)[STRIDES] = _channels_last(model)
        other = compare(original, model, (arguments, {}))
        layout = "channels-last weights: "
        if other.after / other.before > 0.98 * comparison.after / comparison.before:
            layout, other = "", comparison
            _as_before(model)
        if not other.faster:
            restore(model)
            return [Row("restored", "", type(model).__name__, f"not faster: {other}")]
    return [Row("whole", "", type(model).__name__, f"{layout}{other}")]


def _channels_last(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Make the weights of convolutions channels-last; returns the strides that they had."""
    strides = {}
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for name, tensor in model.named_parameters():
        if tensor.dim() in formats and tensor.device.type == "cpu" and tensor.layout == torch.strided:
            strides[name] = tensor.stride()
            tensor.data = tensor.data.contiguous(memory_format=formats[tensor.dim()])
    return strides


def _as_before(model: nn.Module) -> None:
    """Give the weights the strides that they had before `_channels_last`."""
    for name, strides in vars(model).pop(STRIDES, {}).items():
        tensor: Tensor = model.get_parameter(name)
        tensor.data = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor.data)
