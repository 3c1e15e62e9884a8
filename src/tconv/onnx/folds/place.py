"""A place in a graph where something else can compute the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx.helper
import onnx.numpy_helper
from onnx import NodeProto, TensorProto

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass
class Candidate:
    """What may stand in a place.

    Attributes:
        name: what it is, for the report.
        nodes: in order; the first reads what the place reads first, the last gives what the place gives.
        weights: the constants that they read, besides those of the model.
    """

    name: str
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Nodes of a graph one after the other, none but the last of which is read by others.

    Attributes:
        name: of the first convolution, for the report.
        nodes: in order.
        candidates: what computes the same.
    """

    name: str
    nodes: tuple[NodeProto, ...]
    candidates: tuple[Candidate, ...]

    @property
    def input(self) -> str:
        """The value that is computed with."""
        return str(self.nodes[0].input[0])

    @property
    def output(self) -> str:
        """The value that is computed."""
        return str(self.nodes[-1].output[0])

    @property
    def kinds(self) -> str:
        """The operators, for the report."""
        return " + ".join(node.op_type for node in self.nodes)


class Writer:
    """Writes a candidate: nodes one after the other, each of which reads the result of the one before.

    Args:
        name: of the candidate.
        place: a prefix for the names of nodes and values, which no other place has.
        source, target: the values that the place reads and gives.
    """

    def __init__(self, name: str, place: str, source: str, target: str):
        self._candidate = Candidate(name)
        self._prefix, self._value, self._target = place, source, target

    def weight(self, name: str, array: Array) -> str:
        """A constant; the name to read it by."""
        full = f"{self._prefix}.{name}"
        self._candidate.weights.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), full))
        return full

    def then(self, kind: str, *constants: str, **attributes: Any) -> None:
        """A node behind the last one, with these further inputs."""
        number = len(self._candidate.nodes)
        value, name = f"{self._prefix}.value_{number}", f"{self._prefix}.{kind}_{number}"
        node = onnx.helper.make_node(kind, [self._value, *constants], [value], name, **attributes)
        self._candidate.nodes.append(node)
        self._value = value

    def copy(self, node: NodeProto) -> None:
        """A node of the place, with its attributes and its further inputs."""
        made = NodeProto()
        made.CopyFrom(node)
        made.input[0] = self._value
        made.output[0] = self._value = f"{self._prefix}.value_{len(self._candidate.nodes)}"
        self._candidate.nodes.append(made)

    def done(self) -> Candidate:
        """The candidate, whose last node gives what the place gives."""
        self._candidate.nodes[-1].output[0] = self._target
        return self._candidate
