"""The part of autograd's graph that leads from a layer back to the image."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor


def kind_of(node: Any) -> str:
    """The operator of a node, without what PyTorch puts behind its name: "Relu" of ReluBackward0."""
    return re.sub(r"Backward\d*$", "", str(node.name()).rpartition("::")[2])


class Graph:
    """The nodes between a result and a leaf, those of the result first, and each behind all that use it.

    Attributes:
        nodes: those through which something flows back to the leaf, the leaf's own last; empty if none does.
        root: the node that made the result.
        number: which of the root's results it is.
        leaf: the leaf.
    """

    def __init__(self, result: Tensor, leaf: Tensor) -> None:
        self.root: Any = result.grad_fn
        self.number = result.output_nr
        self.leaf = leaf
        self.nodes: list[Any] = [] if self.root is None else _leading(self.root, leaf)


def _leading(root: Any, leaf: Tensor) -> list[Any]:
    """The nodes from which the leaf is reached, in the order of use. No recursion, as graphs are deep."""
    reaches: dict[Any, bool] = {}
    finished: list[Any] = []
    waiting = [(root, False)]
    while waiting:
        node, seen = waiting.pop()
        if seen:
            reaches[node] = getattr(node, "variable", None) is leaf or any(
                reaches.get(after, False) for after, _ in node.next_functions
            )
            if reaches[node]:
                finished.append(node)
        elif node not in reaches:
            reaches[node] = False
            waiting.append((node, True))
            waiting += [(after, False) for after, _ in node.next_functions if after is not None]
    return finished[::-1]
