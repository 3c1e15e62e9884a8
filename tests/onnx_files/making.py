"""Small models, and what ONNX Runtime makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, NodeProto, TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array

RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape, np.float32)


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    weights: Mapping[str, Any],
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
) -> ModelProto:
    """A model of these nodes; inputs are of one element type, outputs of any shape."""
    graph = make_graph(
        list(nodes),
        "made",
        [make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
        [from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    opsets = [make_opsetid("", opset), *(make_opsetid(name, 1) for name in {each.domain for each in nodes} - {""})]
    made = onnx.shape_inference.infer_shapes(make_model(graph, opset_imports=opsets, ir_version=9))
    for value in made.graph.output:
        if not value.type.tensor_type.elem_type:
            value.type.tensor_type.elem_type = kind
    return made


def node(kind: str, inputs: str, outputs: str = "y", **attributes: Any) -> NodeProto:
    """A node with inputs and outputs that are written with spaces; "-" is one that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return make_node(kind, names, outputs.split(), name=outputs.split()[0] + "_node", **attributes)


def runtime(made: ModelProto, inputs: Mapping[str, Any]) -> list[Any]:
    """What ONNX Runtime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, dict(inputs))
    return found


def exported(network: torch.nn.Module, *inputs: torch.Tensor, opset: int = 17, **settings: Any) -> ModelProto:
    """A network in evaluation mode as PyTorch's exporter writes it that traces."""
    names = [f"x{n}" for n in range(len(inputs))]
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says about its older exporter
        torch.onnx.export(
            network.eval(), inputs, buffer, dynamo=False, opset_version=opset, input_names=names, **settings
        )
    return onnx.load_model_from_string(buffer.getvalue())


def close(found: Any, expected: Any, limit: float = 1e-5) -> None:
    """Equal up to rounding, relative to the largest value."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert np.abs(found - expected).max() <= limit * np.abs(expected).max()
