"""Operators with fixed weights as PyTorch's own layers: their names, training mode, filters and folds then apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from tconv.dialects import from_onnx
from tconv.onnx.importing.borders import flat, pairs_of
from tconv.onnx.importing.products import split_crop

Shape: TypeAlias = "Sequence[int | None] | None"

CONV: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Callable[..., nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM: dict[int, Callable[..., nn.Module]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


@dataclass(frozen=True)
class Layer:
    """A layer without its weights, which are named by the positions of the operator's inputs.

    Args:
        module: the layer.
        weights: for each of its parameters and buffers the position of the input, and what is done to it first.
        pad: zeros to be added to the input first, as torch.nn.functional.pad takes them; none: ().
        cuts: cells (low, high) to be cut off the result, by axis; none: ().
    """

    module: nn.Module
    weights: Mapping[str, tuple[int, Callable[[Tensor], Tensor]]]
    pad: tuple[int, ...] = ()
    cuts: tuple[tuple[int, int], ...] = ()


Maker: TypeAlias = Callable[[Sequence[Tensor | None], Mapping[str, Any], Shape], Layer | None]


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


Weights: TypeAlias = dict[str, tuple[int, Callable[[Tensor], Tensor]]]


def conv(weights: Sequence[Tensor | None], attributes: Mapping[str, Any], shape: Shape) -> Layer | None:
    """A convolution whose padding does not depend on the size of its input, or whose input's size is known."""
    weight, bias = weights[1], weights[2]
    assert weight is not None
    kernel = tuple(weight.shape[2:])
    ones = (1,) * len(kernel)
    strides, dilations = tuple(attributes.get("strides") or ones), tuple(attributes.get("dilations") or ones)
    auto_pad, pads = attributes.get("auto_pad", "NOTSET"), attributes.get("pads")
    pairs = pairs_of(pads, auto_pad, kernel, strides, dilations, _known(shape))
    if len(kernel) not in CONV or pairs is None:
        return None
    even = all(low == high for low, high in pairs)
    groups = attributes.get("group", 1)
    module = CONV[len(kernel)](
        weight.shape[1] * groups, weight.shape[0], kernel, strides, tuple(low for low, _ in pairs) if even else 0,
        dilations, groups, bias is not None, device="meta",
    )  # fmt: skip
    return Layer(module, _weight_and_bias(bias), () if even else tuple(flat(pairs)))


def conv_transpose(weights: Sequence[Tensor | None], attributes: Mapping[str, Any], shape: Shape) -> Layer | None:
    """A transposed convolution whose crop does not depend on the size of its input, or whose input's size is known."""
    weight, bias = weights[1], weights[2]
    assert weight is not None
    kernel, sizes = tuple(weight.shape[2:]), _known(shape)
    if len(kernel) not in TRANSPOSED or (attributes.get("output_shape") and sizes is None):
        return None
    given = {name: each for name, each in attributes.items() if name not in ("group", "kernel_shape")}
    if given.get("auto_pad", "NOTSET") != "NOTSET":
        given.pop("pads", None)
    geometry = from_onnx(kernel, sizes, **given)
    padding, extra, cuts = split_crop(geometry)
    groups = attributes.get("group", 1)
    module = TRANSPOSED[len(kernel)](
        weight.shape[0], weight.shape[1] * groups, kernel, geometry.stride, padding, extra, groups, bias is not None,
        geometry.dilation, device="meta",
    )  # fmt: skip
    return Layer(module, _weight_and_bias(bias), cuts=cuts if any(map(any, cuts)) else ())


def _known(shape: Shape) -> tuple[int, ...] | None:
    """The spatial sizes, if all are known."""
    sizes = None if shape is None else [size for size in shape[2:] if size is not None]
    return tuple(sizes) if shape is not None and sizes is not None and len(sizes) == len(shape) - 2 else None


def _weight_and_bias(bias: Tensor | None) -> Weights:
    weights: Weights = {"weight": (1, _as_it_is)}
    if bias is not None:
        weights["bias"] = (2, _as_it_is)
    return weights


def gemm(weights: Sequence[Tensor | None], attributes: Mapping[str, Any], shape: Shape) -> Layer | None:
    """A linear layer, if the product is that of one."""
    weight, bias = weights[1], weights[2]
    assert weight is not None
    by_rows = bool(attributes.get("transB", 0))
    out, into = weight.shape if by_rows else weight.shape[::-1]
    plain = not attributes.get("transA", 0) and attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1
    if not plain or (bias is not None and bias.shape != (out,)):
        return None
    weights_of = _weight_and_bias(bias)
    if not by_rows:
        weights_of["weight"] = (1, lambda tensor: tensor.T.contiguous())
    return Layer(nn.Linear(into, out, bias is not None, device="meta"), weights_of)


def batch_norm(weights: Sequence[Tensor | None], attributes: Mapping[str, Any], shape: Shape) -> Layer | None:
    """A batch norm, if the number of axes is known."""
    kind = None if shape is None else BATCH_NORM.get(len(shape))
    if kind is None or weights[1] is None:
        return None
    module = kind(weights[1].shape[0], attributes.get("epsilon", 1e-5), 1 - attributes.get("momentum", 0.9))
    names = ("weight", "bias", "running_mean", "running_var")
    return Layer(module, {name: (n, _as_it_is) for n, name in enumerate(names, 1)})


def prelu(weights: Sequence[Tensor | None], attributes: Mapping[str, Any], shape: Shape) -> Layer | None:
    """A PReLU with one slope, or one for each channel."""
    slope = weights[1]
    assert slope is not None
    by_channel = shape is not None and slope.dim() == len(shape) - 1 and slope.shape[0] == slope.numel()
    if slope.numel() != 1 and not by_channel:
        return None
    module = nn.PReLU(slope.numel(), device="meta")
    return Layer(module, {"weight": (1, lambda tensor: tensor.reshape(-1))})


LAYERS: dict[str, tuple[Maker, int]] = {
    "BatchNormalization": (batch_norm, 5),
    "Conv": (conv, 3),
    "ConvTranspose": (conv_transpose, 3),
    "Gemm": (gemm, 3),
    "PRelu": (prelu, 2),
}
"""For each operator what makes its layer, and how many inputs it has."""


def layer_of(kind: str, weights: Sequence[Tensor | None], attributes: Mapping[str, Any], shape: Shape) -> Layer | None:
    """The layer of an operator.

    Args:
        kind: the operator.
        weights: its inputs but the first, which is None here, as tensors; None where one is left out.
        attributes: its own.
        shape: of its first input, as far as that is known.

    Returns:
        None, where a layer of PyTorch's cannot be what the operator is.
    """
    maker, count = LAYERS[kind]
    padded = [*weights, *[None] * (count - len(weights))]
    same = {each.dtype for each in padded if each is not None}
    return maker(padded, attributes, shape) if len(same) == 1 and padded[1] is not None else None


def fill(layer: Layer, parameter: Callable[[int, Callable[[Tensor], Tensor]], nn.Parameter]) -> nn.Module:
    """The layer with its weights, which `parameter` gives for an input's position and what is to be done to it."""
    module = layer.module
    for name, (position, change) in layer.weights.items():
        weight = parameter(position, change)
        if name.startswith("running_"):
            module.register_buffer(name, weight.detach().clone())
        else:
            module.register_parameter(name, weight)
    return module
