"""A graph as the code of a module: a line for each operator, in the graph's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import onnx.numpy_helper
import torch
from onnx import ModelProto, NodeProto, TensorProto
from torch import Tensor, nn

from tconv import errors
from tconv.names import printable
from tconv.onnx.graph import Graph
from tconv.onnx.importing.layers import LAYERS, fill, layer_of
from tconv.onnx.importing.numbers import ON_NUMBERS, Rank
from tconv.onnx.importing.operators import DTYPES, Operator, version_of
from tconv.onnx.importing.patterns import recognised
from tconv.onnx.importing.table import OPERATORS, name_of, on_numbers
from tconv.onnx.importing.tree import attach, layer_path, path_of
from tconv.onnx.model import OnnxModel, Port, as_torch
from tconv.onnx.reading import attributes_of, constants_of, first_line, live, opset_of, title

MOST_NUMBERS = 1000  # in a constant that is taken for sizes


@dataclass(frozen=True)
class Constant:
    """A value that is known: a weight, a size."""

    name: str
    tensor: Tensor

    @property
    def rank(self) -> Rank:
        """Of the Python number or list that it can be, if it can."""
        few = self.tensor.dim() <= 1 and self.tensor.numel() <= MOST_NUMBERS
        plain = self.tensor.dtype in (torch.int64, torch.float32, torch.bool)
        return self.tensor.dim() if few and plain else None


@dataclass(frozen=True)
class Variable:
    """A value that is computed: the variable that holds it, and the rank of a Python number or list; None: a tensor."""

    code: str
    rank: Rank = None


Value: TypeAlias = Constant | Variable


@dataclass
class Line:
    """A statement, the variables that it reads and those that it sets."""

    text: str
    reads: set[str]
    sets: list[str]


class Program:
    """A model being written as code.

    Args:
        model: whose operators are all computed; see `unsupported`.
        inputs, outputs: its ports.
    """

    def __init__(self, model: ModelProto, inputs: tuple[Port, ...], outputs: tuple[Port, ...]):
        self.module = OnnxModel(inputs, outputs)
        graph = Graph(model)
        self._nodes, self._more = recognised(graph)
        self._constants = constants_of(model.graph)
        self._opset, self._shape = graph.opset, graph.shape
        self._values: dict[str, Value] = {}
        self._lines: list[Line] = []
        self._counts: Counter[str] = Counter()
        self._parameters: dict[tuple[str, str], nn.Parameter] = {}
        self._codes: dict[str, str] = {}

    def write(self) -> OnnxModel:
        """The module, in evaluation mode."""
        names = [port.name for port in self.module.inputs]
        arguments = [f"x{n}" for n in range(len(names))]
        arrays = self._constants | self._more
        self._values = {name: Constant(name, as_torch(array)) for name, array in arrays.items()}
        self._values |= {name: Variable(code) for name, code in zip(names, arguments, strict=True)}
        for node in live(self._nodes, [port.name for port in self.module.outputs]):
            if node.op_type != "Constant":
                self._try(node)
        results = [self._result(port.name) for port in self.module.outputs]
        given = results[0] if len(results) == 1 else f"({', '.join(results)})"
        head = f"def run({', '.join(['self', *arguments])}):"
        self.module.runs("\n".join([head, *self._body(results), f"    return {given}", ""]))
        return self.module.eval()

    def _body(self, results: Sequence[str]) -> list[str]:
        """The lines, each of which lets go of the memory that nobody reads after it."""
        seen = {word for result in results for word in result.replace("(", " ").replace(")", " ").split()}
        text: list[str] = []
        for line in reversed(self._lines):
            done = sorted({*line.reads, *line.sets} - seen)
            seen |= {*done}
            text += [f"    del {', '.join(done)}"] if done else []
            text.append(f"    {line.text}")
        return text[::-1]

    def _result(self, name: str) -> str:
        """An output's code; a constant is copied, so that nobody writes to it."""
        value = self._values[name]
        if isinstance(value, Constant):
            return f"{self._weight(value)}.clone()"
        return value.code if value.rank is None else f"as_tensor({value.code})"

    def _try(self, node: NodeProto) -> None:
        """Write a node, or say which one it is that makes no sense."""
        try:
            self._add(node)
        except errors.TconvError:
            raise
        except Exception as error:  # of PyTorch, on shapes and attributes that do not fit
            raise errors.OnnxError(
                f"{node.op_type} {title(node)!r} of the model cannot be computed: {first_line(error)}; export it anew"
            ) from error

    def _add(self, node: NodeProto) -> None:
        operator = version_of(OPERATORS[node.op_type], self._opset)
        assert operator is not None
        inputs = [self._values[name] if name else None for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        attributes = {name: _attribute(value) for name, value in attributes_of(node).items()}
        if operator.several:
            attributes["outputs"] = len(node.output)
        if all(isinstance(value, Constant | None) for value in inputs):
            self._compute(node, operator, inputs, attributes)
        elif not self._on_numbers(node, inputs, attributes) and not self._layer(node, inputs, attributes):
            arguments = [self._argument(operator, n, value) for n, value in enumerate(inputs)]
            self._call(node, name_of(node.op_type, operator), arguments, attributes, several=operator.several)

    def _compute(self, node: NodeProto, operator: Operator, inputs: Sequence[Any], attributes: dict[str, Any]) -> None:
        """The operator's results, now."""
        arguments = [
            None if value is None else value.tensor.tolist() if n in operator.python else value.tensor
            for n, value in enumerate(inputs)
        ]
        with torch.no_grad():
            found = operator.function(*arguments, **attributes)
        for name, tensor in zip(node.output, found if operator.several else (found,), strict=False):
            self._values[name] = Constant(name, tensor)

    def _on_numbers(self, node: NodeProto, inputs: Sequence[Any], attributes: dict[str, Any]) -> bool:
        """Write the operator on Python numbers, if all its inputs are numbers or it asks for a shape."""
        kind = node.op_type
        if kind in ("Shape", "Size") and inputs[0].rank is None:
            rank: Rank = 1 if kind == "Shape" else 0
        else:
            ranks = [value.rank for value in inputs if value is not None]
            entry = ON_NUMBERS.get(kind)
            if entry is None or None in ranks:
                return False
            known = [value.tensor.tolist() if isinstance(value, Constant) else None for value in inputs]
            rank = entry.rank(ranks, attributes, known)
        if rank is None:
            return False
        arguments = [_of_python(value) for value in inputs]
        self._call(node, on_numbers(kind), arguments, attributes, rank)
        return True

    def _layer(self, node: NodeProto, inputs: Sequence[Value | None], attributes: dict[str, Any]) -> bool:
        """Write the operator as a layer, if it is one with fixed weights."""
        first, *others = inputs
        fixed = all(isinstance(value, Constant | None) for value in others)
        if node.op_type not in LAYERS or not isinstance(first, Variable) or first.rank is not None or not fixed:
            return False
        constants: list[Any] = [None, *others]
        tensors = [None if each is None else each.tensor for each in constants]
        layer = layer_of(node.op_type, tensors, attributes, self._shape(node.input[0]))
        if layer is None:
            return False
        module = fill(layer, lambda n, change: self._parameter(constants[n], change))
        code = attach(self.module, layer_path(constants[1].name, title(node), node.op_type), module)
        given = f"zero_pad({first.code}, {list(layer.pad)})" if layer.pad else first.code
        text = f"{code}({given})"
        self._set(node, f"trimmed({text}, {layer.cuts})" if layer.cuts else text, {first.code})
        return True

    def _parameter(self, constant: Constant, change: Callable[[Tensor], Tensor]) -> nn.Parameter:
        """A weight of a layer: layers that share it in the file share it here, if they use it in one way."""
        tensor = change(constant.tensor)
        key = constant.name, str(tuple(tensor.stride()) + tuple(tensor.shape))
        if key not in self._parameters:
            self._parameters[key] = nn.Parameter(tensor, requires_grad=False)
        return self._parameters[key]

    def _argument(self, operator: Operator, position: int, value: Value | None) -> tuple[str, set[str]]:
        """An input as code, and the variables that it reads."""
        if value is None:
            return "None", set()
        python = position in operator.python
        if isinstance(value, Constant):
            number = operator.scalars and value.tensor.dim() == 0 and value.rank is not None
            return (repr(value.tensor.tolist()), set()) if python or number else (self._weight(value), set())
        plain = value.code
        if value.rank is None:
            return (f"as_python({plain})" if python else plain), {plain}
        return (plain if python or (operator.scalars and value.rank == 0) else f"as_tensor({plain})"), {plain}

    def _weight(self, constant: Constant) -> str:
        """The code of a constant that stays a tensor: a parameter if it can be learned, else a buffer."""
        if constant.name not in self._codes:
            tensor = constant.tensor
            learned = tensor.is_floating_point() and tensor.dim() > 0
            key = constant.name, str(tuple(tensor.stride()) + tuple(tensor.shape))
            shared = self._parameters.get(key)
            held = nn.Parameter(tensor, requires_grad=False) if learned and shared is None else tensor
            held = held if shared is None else shared
            self._codes[constant.name] = attach(self.module, path_of(constant.name), held)
        return self._codes[constant.name]

    def _call(
        self,
        node: NodeProto,
        name: str,
        arguments: Sequence[tuple[str, set[str]]],
        attributes: dict[str, Any],
        rank: Rank = None,
        several: bool = False,
    ) -> None:
        texts = [text for text, _ in arguments] + [f"{key}={value!r}" for key, value in attributes.items()]
        reads = {name for _, names in arguments for name in names}
        self._set(node, f"{name}({', '.join(texts)})", reads, rank, several)

    def _set(self, node: NodeProto, text: str, reads: set[str], rank: Rank = None, several: bool = False) -> None:
        """A line that sets the node's outputs."""
        names = []
        for name in node.output if several else node.output[:1]:
            self._counts[node.op_type] += 1
            names.append(f"{node.op_type.lower()}_{self._counts[node.op_type]}")
            self._values[name] = Variable(names[-1], rank)
        into = ", ".join(names) + ("," if several and len(names) == 1 else "")
        self._lines.append(Line(f"{into} = {text}  # {printable(title(node))}", reads, names))


def _of_python(value: Value | None) -> tuple[str, set[str]]:
    if value is None:
        return "None", set()
    return (repr(value.tensor.tolist()), set()) if isinstance(value, Constant) else (value.code, {value.code})


def _attribute(value: Any) -> Any:
    """An attribute as code can hold it: a tensor of one number as that number with ONNX's number of its dtype."""
    if isinstance(value, TensorProto):
        return onnx.numpy_helper.to_array(value).reshape(-1)[0].item(), value.data_type
    return value


def unsupported(model: ModelProto) -> list[str]:
    """What of a model is not computed here, in words; nothing of one that can be imported."""
    found: Counter[str] = Counter()
    opset, graph = opset_of(model), model.graph
    outputs = {value.name for value in graph.output}
    nodes = live(graph.node, outputs)
    read = {name for node in nodes for name in node.input} | outputs
    off = {"", *(name for name, array in constants_of(graph).items() if array.size == 1 and not array.any())}
    for node in nodes:
        if (what := _unsupported(node, opset, read, off)) is not None:
            found[what] += 1
    for value in graph.input:
        if value.type.tensor_type.elem_type not in DTYPES:
            found[f"input {printable(value.name)} that is no tensor of numbers"] += 1
    found |= Counter(f"sparse weight {printable(each.values.name)}" for each in graph.sparse_initializer)
    for array in (constants_of(graph) if not found else {}).items():
        if array[1].dtype.kind not in "fiub" and array[1].dtype.name != "bfloat16":
            found[f"weight {printable(array[0])} of dtype {array[1].dtype}"] += 1
    return [printable(f"{what} ({count} times)" if count > 1 else what) for what, count in sorted(found.items())]


def _unsupported(node: NodeProto, opset: int, read: set[str], off: set[str]) -> str | None:
    """What of a node is not computed.

    Args:
        node: of the graph.
        opset: of the model.
        read: the values that somebody reads.
        off: those that are known to be false or left out.
    """
    if node.domain not in ("", "ai.onnx"):
        return f"{node.domain}.{node.op_type}"
    attributes = attributes_of(node)
    if node.op_type == "Constant":
        strange = [name for name in attributes if name in ("value_string", "value_strings", "sparse_value")]
        return f"Constant with {strange[0]}" if strange else None
    operator = version_of(OPERATORS.get(node.op_type, ()), opset)
    if operator is None:
        return node.op_type
    refused = operator.unknown(attributes)
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] not in off:
        refused = "training_mode"
    if refused is not None:
        return f"{node.op_type} with {refused}"
    more = [name for name in node.output[1:] if name in read]
    return f"{node.op_type} with {len(more) + 1} outputs" if more and not operator.several else None


def imported(model: ModelProto, name: str = "the model") -> OnnxModel:
    """The model as a module.

    Raises:
        UnsupportedOperatorError: it holds operators that are not computed here; all are named.
    """
    if missing := unsupported(model):
        raise errors.UnsupportedOperatorError(
            f"{name} holds what tconv does not compute: {', '.join(missing)}; run it with ONNX Runtime"
        )
    return Program(model, ports(model), tuple(_port(value) for value in model.graph.output)).write()


def ports(model: ModelProto) -> tuple[Port, ...]:
    """The inputs of a model that have no value of their own."""
    initial = {each.name for each in model.graph.initializer}
    return tuple(_port(value) for value in model.graph.input if value.name not in initial)


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    dtype = DTYPES.get(kind.elem_type, torch.float32)
    if not kind.HasField("shape"):
        return Port(value.name, dtype, None)
    sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
    return Port(value.name, dtype, tuple(sizes))
