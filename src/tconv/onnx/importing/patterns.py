"""Operators that exporters write as several, because the standard did not have them: seen again as the one they are.

x * sigmoid(x) is SiLU, x/2 * (1 + erf(x/sqrt(2))) is GELU, and an instance norm between two reshapes is a group norm.
PyTorch computes each in one pass over memory, and the engine together with the layer before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
import onnx.helper
from onnx import NodeProto

from tconv.onnx.graph import Array, Graph, is_standard
from tconv.onnx.reading import attributes_of, title


@dataclass(frozen=True)
class Pattern:
    """Nodes that are one.

    Attributes:
        old: the nodes, of which only the last one's result is read by others.
        new: the one, which is called as the table calls it and gives that result.
        constants: what it reads besides the model's constants.
    """

    old: tuple[NodeProto, ...]
    new: NodeProto
    constants: dict[str, Array] = field(default_factory=dict)


Found: TypeAlias = Pattern | None


def recognised(graph: Graph) -> tuple[list[NodeProto], dict[str, Array]]:
    """The graph's nodes in order, with one in the place of each pattern; and the constants that these read."""
    gone: set[str] = set()
    instead: dict[str, NodeProto] = {}
    constants: dict[str, Array] = {}
    for node in graph.nodes:
        for find in _FINDERS:
            found = find(graph, node)
            if found is not None and not gone & {each.output[0] for each in found.old}:
                gone |= {each.output[0] for each in found.old}
                instead[found.old[-1].output[0]] = found.new
                constants |= found.constants
    nodes = []
    for node in graph.nodes:
        name = node.output[0] if node.output else ""
        if name not in gone or name in instead:
            nodes.append(instead.get(name, node))
    return nodes, constants


def _is(graph: Graph, name: str, value: float) -> bool:
    """Whether a value is this number."""
    array = graph.constants.get(name)
    return array is not None and array.size == 1 and abs(float(array.reshape(-1)[0]) - value) <= 1e-3 * value


def _one(kind: str, old: list[NodeProto], inputs: list[str], **attributes: Any) -> NodeProto:
    return onnx.helper.make_node(kind, inputs, [old[-1].output[0]], title(old[-1]), **attributes)


def _other(node: NodeProto, name: str) -> str:
    """The input of a node of two inputs that is not this one."""
    return str(node.input[1] if node.input[0] == name else node.input[0])


def _silu(graph: Graph, node: NodeProto) -> Found:
    if not is_standard(node, "Sigmoid"):
        return None
    last = graph.reader(node.output[0])
    if last is None or not is_standard(last, "Mul") or _other(last, node.output[0]) != node.input[0]:
        return None
    old = [node, last]
    return Pattern(tuple(old), _one("Silu", old, [node.input[0]]))


def _gelu(graph: Graph, node: NodeProto) -> Found:
    """x * (erf(x/sqrt(2)) + 1) * 0.5, or (x * 0.5) * (erf(x/sqrt(2)) + 1)."""
    scaled = graph.maker(node.input[0]) if is_standard(node, "Erf") else None
    plus = graph.reader(node.output[0]) if scaled is not None else None
    product = graph.reader(plus.output[0]) if plus is not None and is_standard(plus, "Add") else None
    if scaled is None or plus is None or product is None or not is_standard(product, "Mul"):
        return None
    x = str(scaled.input[0])
    divided = is_standard(scaled, "Div") and _is(graph, scaled.input[1], sqrt(2))
    times = is_standard(scaled, "Mul") and _is(graph, scaled.input[1], sqrt(0.5))
    private = graph.reader(scaled.output[0]) is node
    if not (divided or times) or not private or not _is(graph, _other(plus, node.output[0]), 1):
        return None
    first, half = [scaled, node, plus], _other(product, plus.output[0])
    if half == x:
        last = graph.reader(product.output[0])
        if last is None or not is_standard(last, "Mul") or not _is(graph, _other(last, product.output[0]), 0.5):
            return None
        old = [*first, product, last]
        return Pattern(tuple(old), _one("Gelu", old, [x]))
    halved = graph.maker(half)
    if halved is None or not is_standard(halved, "Mul") or graph.reader(half) is not product:
        return None
    if halved.input[0] != x or not _is(graph, halved.input[1], 0.5):
        return None
    old = [halved, *first, product]
    return Pattern(tuple(old), _one("Gelu", old, [x]))


def _group_norm(graph: Graph, node: NodeProto) -> Found:
    """Reshape to (batch, groups, rest), InstanceNormalization without weights, Reshape back, Mul and Add by channel."""
    before = graph.maker(node.input[0]) if is_standard(node, "InstanceNormalization") else None
    after = graph.next(node, "Reshape")
    if before is None or after is None or not is_standard(before, "Reshape"):
        return None
    groups = _groups(graph, before, node)
    product = graph.next(after, "Mul")
    last = graph.next(product, "Add") if product is not None else None
    x = str(before.input[0])
    if groups is None or product is None or last is None or not _goes_back(graph, after, x):
        return None
    arrays = [graph.constants.get(each.input[1]) for each in (product, last)]
    shape = graph.shape(x)
    weights = [_by_channel(array, None if shape is None else len(shape)) for array in arrays if array is not None]
    if graph.reader(before.output[0]) is not node or len(weights) < 2 or any(each is None for each in weights):
        return None
    old = [before, node, after, product, last]
    names = [f"{each.output[0]}.weights_of_group_norm" for each in (product, last)]
    epsilon = attributes_of(node).get("epsilon", 1e-5)
    new = _one("GroupNorm", old, [x, *names], num_groups=groups, epsilon=epsilon)
    return Pattern(tuple(old), new, {name: w for name, w in zip(names, weights, strict=True) if w is not None})


def _groups(graph: Graph, before: NodeProto, norm: NodeProto) -> int | None:
    """The number of groups, if a norm normalises them and does nothing else."""
    shape, scale, shift = graph.constant(before, 1), graph.constant(norm, 1), graph.constant(norm, 2)
    if shape is None or shape.size != 3 or scale is None or shift is None or shape[2] != -1 or shape[1] < 1:
        return None
    return int(shape[1]) if bool((scale == 1).all() and (shift == 0).all()) else None


def _goes_back(graph: Graph, after: NodeProto, x: str) -> bool:
    """Whether a Reshape gives its result the shape of `x`."""
    maker, fixed, known = graph.maker(after.input[1]), graph.constant(after, 1), graph.shape(x)
    if maker is not None and is_standard(maker, "Shape") and not maker.attribute:
        return bool(maker.input[0] == x)
    return fixed is not None and known is not None and list(fixed) == list(known)


def _by_channel(array: Array, ndim: int | None) -> Array | None:
    """Numbers (channels, 1, 1, ...) as a list of them."""
    fits = ndim is not None and array.ndim == ndim - 1 and array.shape[0] == array.size
    return np.ascontiguousarray(array.reshape(-1)) if fits else None


_FINDERS: tuple[Callable[[Graph, NodeProto], Found], ...] = (_silu, _gelu, _group_norm)
