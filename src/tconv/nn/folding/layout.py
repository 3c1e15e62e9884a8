"""Where the memory layout of a result is nobody's business, so that a fold may choose it."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule, Node

from tconv.nn.engines.layouts import by_channels
from tconv.nn.folding.parts import is_cat, read
from tconv.nn.private import example_of

FOLD = "_folded_"  # how the names of folds in a graph begin

# Operators that take any layout, and pass it on to their results.
_EITHER: set[Any] = {
    *(
        operator.add,
        operator.iadd,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.itruediv,
        torch.add,
        torch.mul,
        torch.div,
        Tensor.add,
        Tensor.add_,
        Tensor.mul,
        Tensor.div,
    ),
    *(F.max_pool2d, F.max_pool3d, F.avg_pool2d, F.avg_pool3d, torch.max_pool2d, torch.max_pool3d),
    *(F.pad, F.interpolate, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
}


def lies_last(node: Node) -> bool:
    """Whether PyTorch makes the result of a node channels-last in memory."""
    example: Any = example_of(node)
    return example.dim() > 3 and by_channels(example, 1)


def memory_format(node: Node) -> torch.memory_format:
    """The layout that PyTorch gives the result of a node."""
    if not lies_last(node):
        return torch.contiguous_format
    return torch.channels_last if example_of(node).dim() == 4 else torch.channels_last_3d


def is_free(module: GraphModule, node: Node) -> bool:
    """Whether no one but folds, and operators that pass a layout on to folds, reads the result of a node."""
    seen: set[Node] = set()

    def free(node: Node) -> bool:
        if node in seen:
            return True
        seen.add(node)
        return all(_takes_any(module, user) and (user.op == "call_module" or free(user)) for user in node.users)

    return free(node)


def may_lie_last(module: GraphModule, node: Node) -> bool:
    """Whether a result of one axis, which PyTorch has no channels-last layout for, may be channels-last all the same.

    So it may where that is nobody's business, and where it has one channel, which lies alike in both.
    """
    example: Any = example_of(node)
    return example.dim() == 3 and (example.shape[1] == 1 or is_free(module, node))


def _takes_any(module: GraphModule, user: Node) -> bool:
    if user.op == "call_module":
        return str(user.target).startswith(FOLD)
    target = getattr(Tensor, str(user.target), None) if user.op == "call_method" else user.target
    return user.op != "output" and (target in _EITHER or is_cat(user) is not None or read(user) is not None)
