"""Exact folds: several layers of a model as one, in inference."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from tconv.nn.folding.forward import FoldedForward
from tconv.nn.folding.graph import Folding, fold_graphs

__all__ = ["check_module", "fold", "unfold"]

Model = TypeVar("Model", bound=nn.Module)


def fold(model: Model, *, winograd: bool = True) -> Model:
    """Run layers of `model` that are one layer mathematically as one, in inference; in place.

    Folded are: nearest upsampling by whole numbers and a convolution; a convolution and a pixel shuffle; a transposed
    convolution and a linear convolution, where that saves work and the border stays exact; batch norms behind any of
    these or behind a convolution; activations behind a transposed convolution, or behind a convolution of stride 1,
    which is one; and `cat` along the channels, into which a transposed convolution then writes.
    `tconv.nn.folding.laws` proves each; results differ from the model's by rounding only.

    The model keeps its modules, parameters, hooks and state_dict. Folded layers follow the weights: they are derived
    anew when one has changed. In training mode, with gradients, under torch.compile or autocast, and for devices and
    dtypes that the engine does not take, the model runs as written.

    Args:
        model: any module; what torch.fx cannot trace is left alone, and its children are tried.
        winograd: allow Winograd's algorithm (see `tconv.prepare`) in folded layers, and fold single convolutions and
            transposed convolutions that gain by it: those of two or three axes with channels-last weights, two or three
            taps per phase and many channels. It rounds a little more (some 1e-6 of the largest value in float32).
            Default yes.

    Returns:
        The model itself. `tconv.nn.restore(model)` undoes it; `tconv.nn.accelerate` folds, and reports.

    Raises:
        TypeError: `model` is no module.

    >>> import torch
    >>> model = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)).eval()
    >>> with torch.no_grad():
    ...     fold(model)(torch.ones(1, 3, 5, 5)).shape
    torch.Size([1, 4, 10, 10])
    """
    check_module(model)
    fold_graphs(model, Folding(winograd=winograd))
    return model


def check_module(model: object) -> None:
    """Refuse what is no module."""
    if not isinstance(model, nn.Module):
        what = f"the class {model.__name__}; call it" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"the model must be a torch.nn.Module, not {what}")


def unfold(model: nn.Module) -> None:
    """Give every part of `model` its own forward back."""
    for module in model.modules():
        forward = vars(module).get("forward")
        if isinstance(forward, FoldedForward):
            del module.forward
            forward.forget()
