"""Chains of operators that are one transposed convolution, or one convolution, mathematically."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from onnx import NodeProto
from torch import Tensor

from tconv import errors
from tconv.dialects import from_onnx
from tconv.nn.folding import laws
from tconv.nn.folding.joining import Norm
from tconv.nn.folding.laws import Conv, NoFoldError, Transposed
from tconv.onnx.graph import Array, Graph
from tconv.onnx.importing.borders import pairs_of
from tconv.onnx.importing.resizing import takes_the_same
from tconv.onnx.reading import attributes_of

ACTIVATIONS = ("Clip", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Tanh")
"""Activations that treat all channels alike, and so may run before or after pixels change their places."""

KERNELS = ("Conv", "ConvTranspose")
DTYPES = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Chain:
    """Operators one after the other as one layer.

    Attributes:
        nodes: in order, the activation among them.
        layer: what they are without it, with weights in float64.
        activation: the last node, if it is one.
        weight: the dtype that the model keeps the layer's weights in.
    """

    nodes: tuple[NodeProto, ...]
    layer: Conv | Transposed
    activation: NodeProto | None
    weight: np.dtype[Any]

    @property
    def first(self) -> str:
        """The kind of the first operator."""
        return str(self.nodes[0].op_type)

    @property
    def conv(self) -> NodeProto:
        """The node that has the kernel."""
        return next(node for node in self.nodes if node.op_type in KERNELS)


def chain_from(graph: Graph, node: NodeProto) -> Chain | None:
    """The longest chain that begins with a node; None if there is none, or its sizes and weights are not known.

    Begin with nearest upsampling by whole numbers and a convolution, with a convolution and DepthToSpace, with a
    convolution and a batch norm, or with a transposed convolution.
    """
    try:
        begun = _begin(graph, node)
        if begun is None:
            return None
        nodes, layer = begun
    except (NoFoldError, errors.TconvError):
        return None
    while (norm := graph.next(nodes[-1], "BatchNormalization")) is not None:
        try:
            layer = laws.norm_after(layer, _norm(graph, norm))
        except NoFoldError:
            break
        nodes.append(norm)
    last = graph.next(nodes[-1], *ACTIVATIONS)
    if last is not None and not all(graph.leaves_out(last, n) or last.input[n] in graph.constants for n in (1, 2)):
        last = None
    weight = graph.constant(next(each for each in nodes if each.op_type in KERNELS), 1)
    assert weight is not None
    return Chain((*nodes, *([last] if last is not None else [])), layer, last, weight.dtype)


def _begin(graph: Graph, node: NodeProto) -> tuple[list[NodeProto], Conv | Transposed] | None:
    if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
        return None
    if node.op_type == "ConvTranspose":
        return [node], _transposed(graph, node)
    if node.op_type == "Resize":
        conv = graph.next(node, "Conv")
        scales = None if conv is None else nearest_scales(graph, node)
        if conv is None or scales is None:
            return None
        return [node, conv], laws.nearest_before(scales, _conv(graph, conv))
    if node.op_type == "Conv":
        shuffle = graph.next(node, "DepthToSpace")
        if shuffle is not None:
            return [node, shuffle], _shuffled(_conv(graph, node), attributes_of(shuffle))
        return ([node], _conv(graph, node)) if graph.next(node, "BatchNormalization") is not None else None
    return None


def nearest_scales(graph: Graph, node: NodeProto) -> tuple[int, ...] | None:
    """The whole numbers by which a Resize enlarges the spatial axes if it takes x[floor(j/scale)]; else None."""
    given = attributes_of(node)
    if given.get("mode", "nearest") != "nearest":
        return None
    ratios = _ratios(graph, node, given.get("axes"))
    places = given.get("coordinate_transformation_mode", "half_pixel")
    rounding = given.get("nearest_mode", "round_prefer_floor")
    if ratios is None or len(ratios) < 3 or any(ratio.denominator != 1 for ratio in ratios) or ratios[:2] != [1, 1]:
        return None
    whole = tuple(int(ratio) for ratio in ratios[2:])
    return whole if all(takes_the_same(each, places, rounding) for each in whole) else None


def _ratios(graph: Graph, node: NodeProto, axes: list[int] | None) -> list[Fraction] | None:
    """By how much every axis grows, as far as the file says so; exactly as it says."""
    scales = graph.constant(node, 2)
    before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
    if scales is not None and scales.size:
        found = [Fraction(float(each)) for each in scales]
        if axes is None:
            return found
        if before is None:
            return None
        by_axis = dict(zip((axis % len(before) for axis in axes), found, strict=True))
        return [by_axis.get(axis, Fraction(1)) for axis in range(len(before))]
    if graph.leaves_out(node, 3) or before is None or after is None:
        return None
    # The batch may be open: it is never resized by whole sizes that differ from its own.
    pairs = [(1, 1) if None in pair else pair for pair in list(zip(before, after, strict=True))[:2]]
    pairs += list(zip(before, after, strict=True))[2:]
    return None if any(None in pair for pair in pairs) else [Fraction(b or 1, a or 1) for a, b in pairs]


def _tensor(graph: Graph, node: NodeProto, position: int) -> Tensor | None:
    """A constant in float64; None where the node leaves it out.

    Raises:
        NoFoldError: it is computed, or of a dtype that is not folded.
    """
    if graph.leaves_out(node, position):
        return None
    array = graph.constant(node, position)
    if array is None or array.dtype.name not in DTYPES:
        raise NoFoldError("its weights are computed, or quantised")
    return torch.from_numpy(array.astype(np.float64))


def _conv(graph: Graph, node: NodeProto) -> Conv:
    weight, bias = _tensor(graph, node, 1), _tensor(graph, node, 2)
    assert weight is not None
    given, kernel = attributes_of(node), tuple(weight.shape[2:])
    ones = [1] * len(kernel)
    strides, dilations = given.get("strides") or ones, given.get("dilations") or ones
    pairs = pairs_of(given.get("pads"), given.get("auto_pad", "NOTSET"), kernel, strides, dilations, None)
    if pairs is None:
        raise NoFoldError("its padding depends on the size of its input")
    return Conv(weight, bias, tuple(strides), pairs, tuple(dilations), given.get("group", 1))


def _transposed(graph: Graph, node: NodeProto) -> Transposed:
    weight, bias = _tensor(graph, node, 1), _tensor(graph, node, 2)
    assert weight is not None
    given = {name: each for name, each in attributes_of(node).items() if name not in ("group", "kernel_shape")}
    if given.get("auto_pad", "NOTSET") != "NOTSET":
        given.pop("pads", None)
    sizes = None
    if given.get("output_shape"):
        shape = graph.shape(node.input[0])
        if shape is None or None in shape[2:]:
            raise NoFoldError("its crop depends on the size of its input")
        sizes = [size or 0 for size in shape[2:]]
    geometry = from_onnx(tuple(weight.shape[2:]), sizes, **given)
    return Transposed(weight, bias, geometry, attributes_of(node).get("group", 1))


def _norm(graph: Graph, node: NodeProto) -> Norm:
    given = attributes_of(node)
    scale, shift, mean, variance = (_tensor(graph, node, n) for n in range(1, 5))
    if given.get("training_mode", 0) or len(node.output) > 1 or mean is None or variance is None:
        raise NoFoldError("the batch norm depends on the batch")
    return Norm(mean, variance, scale, shift, given.get("epsilon", 1e-5))


def _shuffled(layer: Conv | Transposed, given: dict[str, Any]) -> Transposed:
    """A convolution and DepthToSpace. In DCR the place in the block changes slowest among the channels."""
    assert isinstance(layer, Conv)
    scale = int(given["blocksize"])
    if given.get("mode", "DCR") == "DCR":
        if layer.groups != 1 or layer.weight.shape[0] % scale**2:
            raise NoFoldError("blocks across groups are not folded")
        order = torch.arange(layer.weight.shape[0]).reshape(scale * scale, -1).T.reshape(-1)
        bias = None if layer.bias is None else layer.bias[order]
        layer = Conv(layer.weight[order], bias, layer.stride, layer.padding, layer.dilation, 1)
    return laws.shuffle_after(layer, scale)


def as_array(tensor: Tensor, dtype: np.dtype[Any]) -> Array:
    """Weights in float64, rounded once to the dtype of the model."""
    return tensor.numpy().astype(dtype)
