"""What undoes `accelerate` and `fold`, and the memory layout of a model's weights, which is the third thing to undo."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from tconv.nn.folding import check_module, unfold
from tconv.nn.swap import unswap

Model = TypeVar("Model", bound=nn.Module)

STRIDES = "_tconv_strides"  # on a model whose weights were made channels-last: the strides they had, by name


def restore(model: Model) -> Model:
    """Undo `accelerate` and `fold` exactly: classes, forwards, and the memory layout of the weights.

    Returns:
        The model itself; its parameters are the same objects as ever.

    Raises:
        TypeError: `model` is no module.
    """
    check_module(model)
    unfold(model)
    for layer in model.modules():
        unswap(layer)
    for name, strides in vars(model).pop(STRIDES, {}).items():
        tensor: Tensor = model.get_parameter(name)
        tensor.data = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor.data)
    return model


def make_channels_last(model: nn.Module) -> None:
    """Make the weights of convolutions channels-last, until `restore`."""
    strides = {}
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for name, tensor in model.named_parameters():
        if tensor.dim() in formats and tensor.device.type == "cpu" and tensor.layout == torch.strided:
            strides[name] = tensor.stride()
            tensor.data = tensor.data.contiguous(memory_format=formats[tensor.dim()])
    vars(model)[STRIDES] = strides
