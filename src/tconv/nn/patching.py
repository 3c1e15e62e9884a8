"""Functional callers: `torch.nn.functional.conv_transpose2d` is tconv's within a block, or in the whole process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from tconv.nn import functional
from tconv.nn.operator import OWN

_NAMES = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_OURS: dict[Callable[..., Any], Callable[..., Any]] = {
    OWN[1]: functional.conv_transpose1d,
    OWN[2]: functional.conv_transpose2d,
    OWN[3]: functional.conv_transpose3d,
}


def patched() -> TorchFunctionMode:
    """Within `with patched():`, PyTorch's functions conv_transpose1d, 2d and 3d are those of `tconv.nn.functional`.

    That reaches models that call the function and not a layer, and layers that `accelerate` does not know, on the
    calling thread only: a mode is a thread's own. `install` is for all threads. Arguments, results and errors are
    PyTorch's.

    >>> with patched():
    ...     torch.nn.functional.conv_transpose1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    tensor([[[1., 2., 2., 1.]]])
    """
    return _Patched()


class _Patched(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _OURS.get(func, func)(*args, **(kwargs or {}))


def install() -> None:
    """Make PyTorch's functions conv_transpose1d, 2d and 3d those of `tconv.nn.functional`, in all threads, until
    `uninstall`.

    The names in torch and torch.nn.functional are exchanged; what took them from there before keeps PyTorch's.
    Arguments, results and errors are PyTorch's.

    >>> install()
    >>> torch.nn.functional.conv_transpose1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    tensor([[[1., 2., 2., 1.]]])
    >>> uninstall()
    """
    for name, ours in zip(_NAMES, _OURS.values(), strict=True):
        setattr(torch, name, ours)
        setattr(torch.nn.functional, name, ours)


def uninstall() -> None:
    """Undo `install`; nothing happens if it was not called."""
    for name, own in zip(_NAMES, _OURS, strict=True):
        setattr(torch, name, own)
        setattr(torch.nn.functional, name, own)
