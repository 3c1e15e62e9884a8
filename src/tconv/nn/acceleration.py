"""One call that speeds up a model."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from torch.nn.parameter import is_lazy

from tconv.errors import TconvError
from tconv.nn.attempt import FOLD, Row, fastest, fold_all, swap_all, swap_faster
from tconv.nn.comparison import evaluating
from tconv.nn.restoration import Model, restore
from tconv.nn.swap import Filter


class AccelerateError(TconvError):
    """`accelerate(strict=True)` left a transposed convolution as it was."""


def accelerate(
    model: Model,
    example: Any = None,
    *,
    mode: Literal["inference", "training"] = "inference",
    filter: Filter | None = None,
    strict: bool = False,
    verify: bool = True,
    winograd: bool = True,
) -> Model:
    """Make the transposed convolutions of `model` tconv's, and in inference fold what folds; in place.

    Layers of exactly torch.nn's types, parametrised ones (weight_norm) included, get tconv's class: parameters, hooks,
    isinstance and state_dict stay. In inference mode the model is folded (`tconv.nn.fold`). With an example, old and
    new run in turns (on a copy of the model): a layer or a fold that is not faster is taken back. In inference that is
    tried with the weights as they are and with channels-last ones, whose results are channels-last in memory as well;
    the faster model stays, and everything is taken back if it is not faster than the old one. A table says what
    happened. A model that was accelerated before is restored first.

    Args:
        model: any module; may itself be a transposed convolution.
        example: an input of the model, or a tuple of its arguments; without, nothing is measured.
        mode: "inference" folds as well; "training" only swaps, and measures forward and backward.
        filter: `filter(name, module)` is false for convolutions, transposed or not, to leave alone: they are neither
            replaced nor folded. Default: none.
        strict: raise if a transposed convolution stays as it was, or there is none; the model is then as before.
        verify: measure and compare, if there is an example.
        winograd: as for `tconv.nn.fold`, which says what it costs; default yes.

    Returns:
        The model itself; `restore(model)` undoes it.

    Raises:
        AccelerateError: see `strict`.
        ValueError: the mode is neither of the two.
        TypeError: `model` is no module, or `filter` no function.

    >>> from torch import nn
    >>> model = accelerate(nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2)))
    replaced  0  ConvTranspose2d
    """
    if mode not in ("inference", "training"):
        raise ValueError(f"mode {mode!r} is unknown; choose 'inference' or 'training'")
    if filter is not None and not callable(filter):
        raise TypeError(f"filter {filter!r} must be a function of a layer's name and the layer")
    arguments = None if example is None or not verify else example if isinstance(example, tuple) else (example,)
    restore(model)
    rows: list[Row]
    if arguments is not None and any(map(is_lazy, model.parameters())):  # which get their shapes from the example
        with evaluating(model):
            model(*arguments)
    try:
        if arguments is None:
            rows = swap_all(model, filter) + (fold_all(model, filter, winograd) if mode == "inference" else [])
        elif mode == "training":
            rows = swap_faster(model, arguments, filter, training=True)
        else:
            rows = fastest(model, arguments, filter, winograd)
    except BaseException:  # of the model, which the example may not fit; or Ctrl-C
        restore(model)
        raise
    for row in rows:
        print(f"{row.action:8}  {row.name or '(model)'}  {row.kind}  {row.text}".rstrip())
    stayed = [row for row in rows if row.action == "skipped" and row.kind != FOLD]
    if strict and (stayed or all(row.kind == FOLD for row in rows)):
        restore(model)
        what = (
            "; ".join(f"{row.name or '(model)'}: {row.text}" for row in stayed) or "there is no transposed convolution"
        )
        raise AccelerateError(f"strict: {what}; the model is as before")
    if not any(row.action in ("replaced", "folded", "whole") for row in rows):
        name = type(model).__name__
        warnings.warn(f"accelerate changed nothing in {name}: no layer that tconv makes faster was found", stacklevel=2)
    return model
