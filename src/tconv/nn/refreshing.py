"""`refresh`: weights that were written to behind PyTorch's back."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.autograd.graph import increment_version

from tconv.nn.fold import check_module

Model = TypeVar("Model", bound=nn.Module)


def refresh(model: Model) -> Model:
    """Make all that tconv derived from the tensors of `model` anew when it is next needed.

    That is needed after a write that PyTorch does not count, through `weight.data` or a NumPy array that shares a
    weight's memory, where such a write can be missed: in layers of fewer than 2,048 input pixels, and only if none of
    some 60 values that are looked at has changed.

    Returns:
        The model itself.

    Raises:
        TypeError: `model` is no module.
    """
    check_module(model)
    for tensor in (*model.parameters(), *model.buffers()):
        if not tensor.is_inference():  # from which nothing is derived
            increment_version(tensor)
    return model
