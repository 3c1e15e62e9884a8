"""`tconv.conv_transpose` and its siblings on PyTorch's tensors."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from tconv import errors
from tconv.dialects import to_torch
from tconv.functional import judged_elsewhere
from tconv.nn import functional

_FUNCTIONS = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def conv_transpose(
    ndim: int | None, input: Tensor, weight: Any, bias: Any, groups: int, out: Any, *geometry_arguments: Any
) -> Tensor:
    """See `tconv.functional.conv_transpose`, which hands its arguments on in this order."""
    call = ndim, input, weight, bias, groups, out, *geometry_arguments
    geometry = judged_elsewhere("torch.Tensor", "torch.as_tensor", _is_tensor, *call)
    run = _FUNCTIONS[geometry.ndim]
    try:
        words = to_torch(geometry)
    except errors.DialectError:  # the whole result, of which a crop that PyTorch has no words for is cut or added to
        full = run(input, weight, None, geometry.stride, 0, 0, int(groups), geometry.dilation)
        crops = [crop for axis in reversed(geometry.axes) for crop in (axis.crop_lo, axis.crop_hi)]
        # Grown before it is cut: one side may lose more than there was.
        result = F.pad(F.pad(full, [max(0, -crop) for crop in crops]), [min(0, -crop) for crop in crops])
        return result if bias is None else result + bias.reshape(-1, *(1,) * geometry.ndim)
    del words["kernel_size"]  # the functions see it by the weight
    return run(input, weight, bias, groups=int(groups), **words)
