"""What is not folded, handed on to Inductor: the graph in pieces around its folds, each piece compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torch.fx.passes.split_module import split_module

from tconv.nn.folding.layout import FOLD


def compiled_around_folds(module: GraphModule) -> Callable[..., Any]:
    """A folded graph whose stretches between folds Inductor compiles, each when it first runs.

    Args:
        module: the graph; it is changed.
    """
    piece = 0
    pieces: dict[Node, int] = {}
    for node in module.graph.nodes:
        folds = _is_fold(node)
        piece += folds
        pieces[node] = piece
        piece += folds
    split = split_module(module, nn.Module(), lambda node: pieces[node])
    for name, part in list(split.named_children()):
        if isinstance(part, GraphModule) and not any(map(_is_fold, part.graph.nodes)):
            setattr(split, name, _Compiled(part))
    run: Callable[..., Any] = split.forward
    return run


def _is_fold(node: Node) -> bool:
    return node.op == "call_module" and str(node.target).startswith(FOLD)


class _Compiled(nn.Module):
    def __init__(self, part: GraphModule):
        super().__init__()
        self._run = torch.compile(part.forward)

    def forward(self, *args: Any) -> Any:
        return self._run(*args)
