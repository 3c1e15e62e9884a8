"""Parts of a graph as functions of their own, and the weights that a graph computes before it uses them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from tconv.nn.folding.parts import called
from tconv.nn.private import WEIGHT_NORM

# What parametrisations such as weight norm and spectral norm compute weights with: the same from the same tensors.
_PURE: set[Any] = {
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.getitem),
    *(torch.add, torch.sub, torch.mul, torch.div, torch.neg, torch.exp, torch.sqrt, torch.rsqrt, torch.square),
    *(torch.norm, torch.linalg.vector_norm, torch.mv, torch.dot, torch.matmul, torch.vdot, F.normalize),
    *WEIGHT_NORM,
    *(Tensor.view, Tensor.reshape, Tensor.permute, Tensor.transpose, Tensor.flatten, Tensor.expand, Tensor.clone),
    *(Tensor.contiguous, Tensor.unsqueeze, Tensor.squeeze, Tensor.size, Tensor.float, Tensor.double, Tensor.to),
    *(torch.reshape, torch.permute, torch.transpose, torch.flatten, torch.unsqueeze, torch.squeeze),
}


def is_pure(node: Node) -> bool:
    """Whether a node is one of the operators that weights are computed with."""
    return called(node) in _PURE


class Origin(NamedTuple):
    """The inputs of a graph that some weights are made of, and the nodes that make them, in the graph's order."""

    inputs: list[Node]
    made: list[Node]


def origin_of(tensors: Iterable[Node | None]) -> Origin | None:
    """Where weights come from; None if one of them is made of more than parameters and what is computed from them."""
    inputs: dict[Node, None] = {}
    made: dict[Node, None] = {}

    def trace(node: Node) -> bool:
        if node.op == "placeholder":
            inputs[node] = None
            return True
        if node not in made:
            if not is_pure(node) or not all(trace(before) for before in node.all_input_nodes):
                return False
            made[node] = None
        return True

    if all(trace(node) for node in tensors if node is not None):
        return Origin(list(inputs), list(made))
    return None


def function_of(nodes: Sequence[Node], inputs: Sequence[Node], results: Any) -> Callable[..., Any]:
    """`nodes`, in their order, as a function of `inputs` that returns `results`: a node, or nodes and None."""
    graph = Graph()
    known: dict[Node, Node] = {node: graph.placeholder(f"x{n}") for n, node in enumerate(inputs)}
    for node in nodes:
        known[node] = graph.node_copy(node, lambda old: known[old])
        known[node].meta.clear()  # which refers to the first inputs and the weights
    graph.output(map_arg(results, lambda old: known[old]))
    run: Callable[..., Any] = GraphModule(nn.Module(), graph).forward
    return run


def code_of(function: Callable[..., Any]) -> str:
    """What a `function_of` computes, as text: the same for functions that compute the same."""
    module: Any = getattr(function, "__self__", None)
    assert isinstance(module, GraphModule)
    return str(module.code)
