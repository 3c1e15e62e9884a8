"""`tconv.conv_transpose` and its siblings on PyTorch's tensors."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from tconv import errors
from tconv.arrays import check_weight, layout
from tconv.functional import geometry_of
from tconv.nn import functional

_FUNCTIONS = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def conv_transpose(
    ndim: int | None, input: Tensor, weight: Any, bias: Any, groups: int, out: Any, *geometry_arguments: Any
) -> Tensor:
    """See `tconv.functional.conv_transpose`, which hands its arguments on in this order."""
    for name, tensor in (("weight", weight), ("bias", bias)):
        if not isinstance(tensor, Tensor) and not (name == "bias" and tensor is None):
            raise errors.ArgumentTypeError(
                f"{name} is a {type(tensor).__name__}, the input a torch.Tensor; pass arrays of one kind: "
                f"torch.as_tensor({name})"
            )
    if out is not None:
        raise errors.OutError("out is for NumPy arrays; leave it out for tensors, whose memory is PyTorch's")
    shape, biases = tuple(weight.shape), None if bias is None else tuple(bias.shape)
    check_weight(shape, biases, groups, ndim)
    if len(shape) > 5:
        raise errors.RankError(
            f"weight has shape {shape}; on tensors 1 to 3 spatial axes are computed: pass NumPy arrays for more"
        )
    geometry = geometry_of(shape[2:], layout(tuple(input.shape), shape, biases, groups).in_size, *geometry_arguments)
    geometry.output_size(tuple(input.shape[-geometry.ndim :]))
    run = _FUNCTIONS[geometry.ndim]
    axes = geometry.axes
    added = [axis.crop_lo - axis.crop_hi for axis in axes]  # PyTorch's output_padding
    plain = all(
        axis.crop_lo >= 0 and 0 <= n < max(axis.stride, axis.dilation) for axis, n in zip(axes, added, strict=True)
    )
    steps: dict[str, Any] = {"stride": geometry.stride, "groups": int(groups), "dilation": geometry.dilation}
    if plain:
        return run(input, weight, bias, padding=[axis.crop_lo for axis in axes], output_padding=added, **steps)
    full = run(input, weight, **steps)
    result = F.pad(full, [-crop for axis in reversed(axes) for crop in (axis.crop_lo, axis.crop_hi)])
    return result if bias is None else result + bias.reshape(-1, *(1,) * geometry.ndim)
