"""Functional callers: `torch.nn.functional.conv_transpose2d` is tconv's within a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

from tconv.nn import functional
from tconv.nn.operator import OWN

_OURS: dict[Callable[..., Any], Callable[..., Any]] = {
    OWN[1]: functional.conv_transpose1d,
    OWN[2]: functional.conv_transpose2d,
    OWN[3]: functional.conv_transpose3d,
}


def patched() -> TorchFunctionMode:
    """Within `with patched():`, PyTorch's functions conv_transpose1d, 2d and 3d are those of `tconv.nn.functional`.

    That reaches models that call the function and not a layer, and layers that `accelerate` does not know. Arguments,
    results and errors are PyTorch's.

    >>> import torch
    >>> with patched():
    ...     torch.nn.functional.conv_transpose1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    tensor([[[1., 2., 2., 1.]]])
    """
    return _Patched()


class _Patched(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _OURS.get(func, func)(*args, **(kwargs or {}))
