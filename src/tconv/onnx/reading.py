"""ONNX models as they come: files, bytes or ModelProto; read whole, checked, with their functions written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx.checker
import onnx.helper
import onnx.inliner
import onnx.numpy_helper
import onnx.shape_inference
import onnx.version_converter
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from tconv import errors
from tconv.names import printable, shown

Source: TypeAlias = "str | Path | bytes | ModelProto"

OLDEST = 11
"""The first opset whose Resize, Clip and Pad are those of today; older models are converted to the next after it."""

CONVERTED = 13
LARGEST = 2**31 - 1  # bytes of a protobuf message

DOMAINS = ("", "ai.onnx")


def read_model(source: Source) -> ModelProto:
    """The model, with its weights, wherever they lie, and without functions; a copy where it was a ModelProto.

    Args:
        source: the name of a file, whose external data lies beside it; the bytes of one; or a model.

    Raises:
        OnnxError: it is no valid ONNX model, or its external data is missing.
        OSError: the file cannot be read.
        ArgumentTypeError: `source` is nothing of these.
    """
    model, name = _loaded(source)
    if len(model.graph.node) == 0 and not model.graph.output:
        raise errors.OnnxError(f"{name} is no ONNX model; give a file that an exporter to ONNX wrote")
    try:
        if model.ByteSize() <= LARGEST:
            onnx.checker.check_model(_with_shapes(model))
    except onnx.checker.ValidationError as error:
        raise errors.OnnxError(f"{name} is no valid ONNX model: {first_line(error)}; export it anew") from error
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _with_shapes(model: ModelProto) -> ModelProto:
    """The model, or a copy whose inputs and outputs all have some shape: the checker asks for one, no runtime does."""

    def open_ones(graph: GraphProto) -> list[onnx.ValueInfoProto]:
        tensors = [value for value in (*graph.input, *graph.output) if value.type.HasField("tensor_type")]
        return [value for value in tensors if not value.type.tensor_type.HasField("shape")]

    if not open_ones(model.graph):
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    for value in open_ones(copy.graph):
        value.type.tensor_type.shape.SetInParent()
    return copy


def _loaded(source: Any) -> tuple[ModelProto, str]:
    """The model, and what messages call it."""
    if isinstance(source, ModelProto):
        model = ModelProto()
        model.CopyFrom(source)
        return model, "the model"
    if not isinstance(source, str | Path | bytes):
        raise errors.ArgumentTypeError(
            f"a model must be a file name, the bytes of a file or an onnx.ModelProto, not {type(source).__name__}"
        )
    name = "the model" if isinstance(source, bytes) else shown(source)
    try:
        if isinstance(source, bytes):
            return onnx.load_model_from_string(source), name
        return onnx.load_model(str(source)), name
    except DecodeError:
        raise errors.OnnxError(f"{name} is no ONNX model; give a file that an exporter to ONNX wrote") from None
    except (onnx.checker.ValidationError, FileNotFoundError) as error:
        if not isinstance(source, bytes) and not Path(source).exists():
            raise
        raise errors.OnnxError(
            f"{name} keeps weights in another file that cannot be read: {first_line(error)}; copy it beside the model"
        ) from error


def external_files(path: str | Path) -> list[Path]:
    """The files beside a model that hold weights of it; none where it is no model."""
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except DecodeError:
        return []
    tensors = [tensor for tensor in model.graph.initializer if tensor.external_data]
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return [Path(path).parent / place for place in sorted(places)]


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators that the model is written with."""
    return max((each.version for each in model.opset_import if each.domain in DOMAINS), default=1)


def with_known_opset(model: ModelProto) -> ModelProto:
    """The model in an opset whose operators mean what they mean today: older ones are converted.

    Raises:
        OnnxError: onnx cannot convert it.
    """
    opset = opset_of(model)
    if opset >= OLDEST:
        return model
    try:
        return onnx.version_converter.convert_version(model, CONVERTED)
    except Exception as error:  # of C++, and of any class
        raise errors.OnnxError(
            f"the model is written with opset {opset}, and onnx cannot convert it to {CONVERTED}: {first_line(error)}; "
            f"export it anew with opset {CONVERTED} or later"
        ) from error


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """A node's attributes as Python values: numbers, text, lists of these, and protos."""
    return {each.name: _plain(onnx.helper.get_attribute_value(each)) for each in node.attribute}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def constants_of(graph: GraphProto) -> dict[str, np.ndarray[Any, Any]]:
    """The graph's initializers, the values of its Constant nodes, and copies of these, as arrays by name.

    PyTorch's exporter keeps equal weights once, and lets the others be copies by Identity.
    """
    found = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in DOMAINS:
            value = constant_value(attributes_of(node))
            if value is not None:
                found[node.output[0]] = value
        elif is_copy(node) and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def is_copy(node: NodeProto) -> bool:
    """Whether a node hands its input on."""
    return node.op_type == "Identity" and node.domain in DOMAINS


def constant_value(attributes: dict[str, Any]) -> np.ndarray[Any, Any] | None:
    """What a Constant node with these attributes holds; None where that is no dense array of numbers."""
    for name, dtype in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float32),
                        ("value_floats", np.float32)):  # fmt: skip
        if name in attributes:
            return np.array(attributes[name], dtype)
    return onnx.numpy_helper.to_array(attributes["value"]) if "value" in attributes else None


def has_subgraphs(node: NodeProto) -> bool:
    """Whether a node holds graphs of its own, as If and Loop do."""
    return any(each.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for each in node.attribute)


def names_read(node: NodeProto) -> Iterator[str]:
    """The values that a node reads, those that its subgraphs take from outside among them."""
    yield from (name for name in node.input if name)
    for each in node.attribute:
        for graph in (each.g, *each.graphs) if each.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) else ():
            own = {name for inner in graph.node for name in inner.output}
            own |= {value.name for value in (*graph.input, *graph.initializer)}
            for inner in graph.node:
                yield from (name for name in names_read(inner) if name not in own)
            yield from (value.name for value in graph.output if value.name not in own)


def live(nodes: Iterable[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """The nodes that the outputs depend on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            wanted.update(names_read(node))
            kept.append(node)
    return kept[::-1]


def shapes_of(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """What onnx's shape inference knows of the shapes of values; None for a size that it does not know."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # of C++, and of any class; a model larger than protobuf's limit, for one
        graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info)
    found = {each.name: shape for each in values if (shape := declared_shape(each)) is not None}
    return found | {each.name: tuple(each.dims) for each in graph.initializer}


def declared_shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    """The shape that a model declares for a value; None for a size, or for all, that is left open."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)


def title(node: NodeProto) -> str:
    """What messages and reports call a node."""
    return printable(node.name or (node.output[0] if node.output else node.op_type))


def first_line(error: BaseException) -> str:
    """The beginning of what an exception says, as a terminal may show it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[0] if lines else type(error).__name__)
