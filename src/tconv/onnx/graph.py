"""A graph as the folds look at it: who reads what, what is constant, which sizes are known; and its rewriting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx.helper
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from tconv.onnx.reading import DOMAINS, constants_of, is_copy, live, names_read, opset_of, shapes_of

Array: TypeAlias = np.ndarray[Any, Any]


class Graph:
    """The main graph of a model; graphs within nodes are only asked what they read.

    Args:
        model: is not changed.
    """

    def __init__(self, model: ModelProto):
        self.model = model
        self.opset = opset_of(model)
        self.nodes = list(model.graph.node)
        self.outputs = {value.name for value in model.graph.output}
        # An initializer that is an input as well may be given another value at every run.
        given = {value.name for value in model.graph.input}
        self.constants = {name: array for name, array in constants_of(model.graph).items() if name not in given}
        self._shapes = shapes_of(model)
        self._makers = {name: node for node in self.nodes for name in node.output}
        self._readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(names_read(node)):
                self._readers[name].append(node)

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """The shape of a value, as far as it is known."""
        return self._shapes.get(name)

    def constant(self, node: NodeProto, position: int) -> Array | None:
        """An input of a node, if it is constant; None where it is not, or is left out."""
        name = node.input[position] if position < len(node.input) else ""
        return self.constants.get(name)

    def leaves_out(self, node: NodeProto, position: int) -> bool:
        """Whether a node does without one of its inputs."""
        return position >= len(node.input) or not node.input[position]

    def maker(self, name: str) -> NodeProto | None:
        """The node that computes a value; None of an input or a constant."""
        return self._makers.get(name)

    def reader(self, name: str) -> NodeProto | None:
        """The node that reads a value, if there is one that reads it once, and it is no output of the graph."""
        readers = self._readers[name]
        if len(readers) != 1 or name in self.outputs or list(readers[0].input).count(name) != 1:
            return None
        return readers[0]

    def next(self, node: NodeProto, *kinds: str) -> NodeProto | None:
        """The only reader of a node's result, if there is one of these kinds, reads it once and first, and no output
        of the graph is the same.
        """
        found = self.reader(node.output[0]) if len(node.output) == 1 else None
        if found is None or not is_standard(found, *kinds):
            return None
        return found if found.input[0] == node.output[0] else None


def is_standard(node: NodeProto, *kinds: str) -> bool:
    """Whether a node is one of these standard operators."""
    return node.domain in DOMAINS and node.op_type in kinds


def replaced(
    model: ModelProto, old: Sequence[NodeProto], new: Sequence[NodeProto], weights: Sequence[TensorProto]
) -> ModelProto:
    """A copy of the model with other nodes in the place of some; what nobody reads any more is left out.

    The last of the old nodes gives way to the new ones, which are thus behind all that they read.
    """
    graph = model.graph
    gone = {node.output[0] for node in old}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output and node.output[0] == old[-1].output[0]:
            nodes += new
        elif not node.output or node.output[0] not in gone:
            nodes.append(node)
    nodes = live(nodes, [value.name for value in graph.output])
    made = {name for node in new for name in node.output}
    read = {name for node in nodes for name in names_read(node)} | {value.name for value in graph.output}
    result = ModelProto()
    result.CopyFrom(_without_graph(model))
    target = result.graph
    target.name, target.doc_string = graph.name, graph.doc_string
    target.node.extend(nodes)
    target.input.extend(graph.input)
    target.output.extend(graph.output)
    target.initializer.extend(each for each in graph.initializer if each.name in read)
    target.initializer.extend(weights)
    target.sparse_initializer.extend(graph.sparse_initializer)
    target.value_info.extend(value for value in graph.value_info if value.name not in gone or value.name in made)
    target.quantization_annotation.extend(graph.quantization_annotation)
    target.metadata_props.extend(graph.metadata_props)
    return result


def _without_graph(model: ModelProto) -> ModelProto:
    """All of a model but its graph, which may be large."""
    head = ModelProto()
    for field, value in model.ListFields():
        if field.name == "graph":
            continue
        if isinstance(value, str | bytes | int | float):
            setattr(head, field.name, value)
        else:
            getattr(head, field.name).extend(value)
    return head


def piece(
    model: ModelProto, nodes: Sequence[NodeProto], weights: Sequence[TensorProto], shape: Sequence[int]
) -> ModelProto:
    """Some nodes as a model of their own, from the first one's input, of this shape, to the last one's output.

    Its constants are those of the model that the nodes read, and `weights`.
    """
    graph = model.graph
    read = {name for node in nodes for name in names_read(node)} - {nodes[0].input[0]}
    made: list[NodeProto] = []
    for node in reversed(graph.node):  # of which copies may read constants, too
        if (is_standard(node, "Constant") or is_copy(node)) and node.output[0] in read:
            made.insert(0, node)
            read.update(node.input)
    own = {each.name for each in weights}
    held = [each for each in graph.initializer if each.name in read and each.name not in own]
    source, target = nodes[0].input[0], nodes[-1].output[0]
    kind = element_type(model, nodes)
    values: list[ValueInfoProto] = [
        onnx.helper.make_tensor_value_info(source, kind, shape),
        onnx.helper.make_tensor_value_info(target, kind, None),
    ]
    small = onnx.helper.make_graph([*made, *nodes], "piece", values[:1], values[1:], [*held, *weights])
    return onnx.helper.make_model(small, ir_version=model.ir_version, opset_imports=list(model.opset_import))


def element_type(model: ModelProto, nodes: Sequence[NodeProto]) -> int:
    """ONNX's number of the dtype that some nodes compute in, which is that of the first fractions they read."""
    read = [name for node in nodes for name in node.input]
    constants = constants_of(model.graph)
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    for name in read:
        array = constants.get(name)
        if array is not None and array.dtype.kind not in "iub" and len(array.shape) > 2:
            return kinds.get(name) or onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return TensorProto.FLOAT
