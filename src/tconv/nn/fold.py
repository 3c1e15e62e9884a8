"""`fold`: several layers of a model as one, in inference."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from tconv.nn.backend import Backend, Rest, checked_flag, checked_rest
from tconv.nn.capture import capture, captured

Model = TypeVar("Model", bound=nn.Module)


def fold(model: Model, *, winograd: bool = True, rest: Rest = "eager") -> Model:
    """Run layers of `model` that are one layer mathematically as one, in inference; in place.

    Folded are: nearest upsampling by whole numbers and a convolution; a convolution and a pixel shuffle; a transposed
    convolution and a linear convolution, where that saves work and the border stays exact; batch norms after any of
    these or after a convolution; activations after a transposed convolution, or after a convolution of stride 1,
    which is one; and `cat` along the channels, into which a layer then writes. `tconv.nn.folding.laws` proves each;
    results differ from the model's by rounding only.

    The model is captured by TorchDynamo when it is first called, which takes a second or so, and again where something
    that the captured graph depends on has changed: types, shapes, modes, attributes, configuration, globals, hooks.
    Weights are inputs of the graph: folded layers follow them, and are derived anew at the second call with changed
    ones. What cannot be followed runs as Python, between graphs. In training, with gradients, in exports, where
    autocast changes within a graph, and for devices and dtypes that no engine takes, the model runs as written. Under
    autocast what folds computes in its dtype; in half precision sums and norms are computed in float32, bias and
    activation included, and rounded once.

    A write to a weight through `weight.data` is noticed where the layer is large enough that a look at every value
    costs less than 2 % of it (2,048 input pixels, all images together); in smaller layers 60 spread values are looked
    at, and `tconv.nn.refresh(model)` makes a write that misses them right.

    Args:
        model: any module. It keeps its class, forward, modules, parameters, hooks and state_dict; copies and pickles
            of it are not folded.
        winograd: allow Winograd's algorithm (see `tconv.prepare`) in folded layers, and fold single convolutions and
            transposed convolutions that gain by it: those of two or three axes with channels-last weights, two or three
            taps per phase and many channels, and those of one axis with stride 1 and three or more taps. It rounds a
            little more: some 1e-6 of the largest value in float32; in half precision 1e-5 besides the one rounding of
            a result, and 2e-3 in layers of bfloat16 with more than 16 MB of transformed weights. Default yes.
        rest: who runs what is not folded: "eager" PyTorch (the default), or "inductor", which needs a C++ compiler and
            takes longer to capture.

    Returns:
        The model itself. `tconv.nn.restore(model)` undoes it; `tconv.nn.accelerate` folds, measures and reports.

    Raises:
        TypeError: `model` is no module, or `winograd` neither True nor False.
        ValueError: `rest` is neither of the two.

    >>> import torch
    >>> model = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)).eval()
    >>> with torch.no_grad():
    ...     fold(model)(torch.ones(1, 3, 5, 5)).shape
    torch.Size([1, 4, 10, 10])
    """
    check_module(model)
    backend = Backend(checked_flag("winograd", winograd), checked_rest(rest))
    if captured(model) is None:
        capture(model, backend)
    return model


def check_module(model: object) -> None:
    """Refuse what is no module."""
    if not isinstance(model, nn.Module):
        what = f"the class {model.__name__}; call it" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"the model must be a torch.nn.Module, not {what}")
