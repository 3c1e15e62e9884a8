"""What a node of a captured graph is to the folds: a part, with its numbers, and the nodes of its tensors.

TorchDynamo's graphs hold PyTorch's functions as models and PyTorch's own layers call them, so that functions are all
there is to know; which spelling a model used, module or function, in place or not, makes no difference here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Node

from tconv.nn.operator import OPERATOR
from tconv.nn.private import example_of

Ints: TypeAlias = tuple[int, ...]


class Convolution(NamedTuple):
    """A convolution; padding may be "same" or "valid".

    `only`: on these input channels alone, each pair from the first to before the second; `biased`: with its bias.
    """

    ndim: int
    stride: Ints
    padding: Ints | str
    dilation: Ints
    groups: int
    only: tuple[tuple[int, int], ...] = ()
    biased: bool = True


class TransposedConvolution(NamedTuple):
    """A transposed convolution."""

    ndim: int
    stride: Ints
    padding: Ints
    output_padding: Ints
    groups: int
    dilation: Ints


class BatchNorm(NamedTuple):
    """A batch norm in evaluation mode; `shifts`: with what it adds, or only with what it multiplies by."""

    eps: float
    shifts: bool = True


class Nearest(NamedTuple):
    """Nearest upsampling by whole numbers."""

    scales: Ints
    mode: str


class Shuffle(NamedTuple):
    """A pixel shuffle."""

    scale: int


class Activation(NamedTuple):
    """An activation that an engine applies in its store."""

    name: str
    slope: float = 0.01


class Parametric(NamedTuple):
    """A leaky ReLU whose slope is a parameter: PReLU."""


class GroupNorm(NamedTuple):
    """A group norm, or an instance norm: as many groups as channels, told by 0."""

    groups: int
    eps: float


Part: TypeAlias = (
    Convolution | TransposedConvolution | BatchNorm | Nearest | Shuffle | Activation | Parametric | GroupNorm
)


@dataclass(frozen=True)
class Step:
    """A node as a part: the node of its input, and those of its tensors in the order of the law; None if absent."""

    part: Part
    node: Node
    input: Node
    tensors: tuple[Node | None, ...] = ()


_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_INSTANCE_NORM = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
_GROUP_NORM = ("input", "num_groups", "weight", "bias", "eps")
_INTERPOLATE = ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")

_ACTIVATIONS: dict[Any, str] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu_), "relu"),
    **dict.fromkeys((F.tanh, torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_), "tanh"),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_), "sigmoid"),
    F.silu: "silu",
}
_BY = (operator.truediv, operator.mul, torch.div, torch.true_divide, torch.mul, Tensor.div, Tensor.mul)
_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)


def read(node: Node) -> Step | None:
    """The step that a node is; None if no fold knows it, or its numbers are not known when the graph is made."""
    function = called(node)
    read_as = _READERS.get(function)
    if read_as is None:
        return None
    names, reader = read_as
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    input = given.pop("input", None)
    if not isinstance(input, Node) or len(node.args) > len(names):
        return None
    return reader(node, input, given)


def is_identity(node: Node) -> bool:
    """Whether a node hands its input on as it is: dropout outside training."""
    if called(node) not in _DROPOUTS:
        return False
    given = dict(zip(("input", "p", "training", "inplace"), node.args, strict=False)) | dict(node.kwargs)
    return given.get("training", True) is False


def is_by_one(node: Node) -> bool:
    """Whether a node makes a copy of its input: divides floating-point numbers by one, or multiplies them."""
    if called(node) not in _BY or len(node.args) != 2 or node.kwargs or not isinstance(node.args[0], Node):
        return False
    x, y = example_of(node.args[0]), example_of(node)
    kinds = [(t.dtype, t.shape) for t in (x, y) if isinstance(t, Tensor) and t.is_floating_point()]
    by: Any = node.args[1]
    return type(by) in (int, float) and by == 1 and len(kinds) == 2 and kinds[0] == kinds[1]


def is_cat(node: Node) -> tuple[list[Node], int] | None:
    """The parts and the axis, if a node is torch.cat of tensors."""
    if called(node) not in (torch.cat, torch.concat, torch.concatenate):
        return None
    given = dict(zip(("tensors", "dim"), node.args, strict=False)) | dict(node.kwargs)
    parts, dim = given.get("tensors"), given.get("dim", given.get("axis", 0))
    if not isinstance(parts, list | tuple) or not all(isinstance(p, Node) for p in parts) or type(dim) is not int:
        return None
    return list(parts), dim


def called(node: Node) -> Any:
    """What a node calls; None where the result goes into memory that is there, which no fold writes."""
    if node.kwargs.get("out") is not None:
        return None
    if node.op == "call_function":
        return node.target
    return getattr(Tensor, str(node.target), None) if node.op == "call_method" else None


def _numbers(value: Any, ndim: int) -> Ints | None:
    """One int per axis; None if some are only known when the graph runs."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    values = values * ndim if len(values) == 1 else values
    return values if len(values) == ndim and all(type(v) is int for v in values) else None


def _axes(node: Node) -> int:
    example = example_of(node)
    return example.dim() - 2 if isinstance(example, Tensor) else 0


def _conv(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    ndim = _axes(given["weight"]) if isinstance(given.get("weight"), Node) else 0
    stride, dilation = (_numbers(given.get(name, 1), ndim) for name in ("stride", "dilation"))
    padding = given.get("padding", 0)
    padding = padding if isinstance(padding, str) else _numbers(padding, ndim)
    groups = given.get("groups", 1)
    if ndim < 1 or stride is None or dilation is None or padding is None or type(groups) is not int:
        return None
    part = Convolution(ndim, stride, padding, dilation, groups)
    return _with_tensors(part, node, input, given, ("weight", "bias"))


def _transposed(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    ndim = _axes(given["weight"]) if isinstance(given.get("weight"), Node) else 0
    names = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    numbers = {name: _numbers(given.get(name, default), ndim) for name, default in names.items()}
    groups = given.get("groups", 1)
    if ndim < 1 or None in numbers.values() or type(groups) is not int:
        return None
    part = TransposedConvolution(ndim, groups=groups, **numbers)  # type: ignore[arg-type]  # none is None
    return _with_tensors(part, node, input, given, ("weight", "bias"))


def _batch_norm(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    eps = given.get("eps", 1e-5)
    if given.get("training", False) is not False or given.get("running_mean") is None or not isinstance(eps, float):
        return None
    return _with_tensors(BatchNorm(eps), node, input, given, ("running_mean", "running_var", "weight", "bias"))


def _group_norm(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    groups, eps = given.get("num_groups"), given.get("eps", 1e-5)
    if type(groups) is not int or not isinstance(eps, float):
        return None
    return _with_tensors(GroupNorm(groups, eps), node, input, given, ("weight", "bias"))


def _instance_norm(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    eps = given.get("eps", 1e-5)
    plain = given.get("use_input_stats", True) is True and given.get("running_mean") is None
    if not plain or not isinstance(eps, float):
        return None
    return _with_tensors(GroupNorm(0, eps), node, input, given, ("weight", "bias"))


def _with_tensors(part: Part, node: Node, input: Node, given: dict[str, Any], names: tuple[str, ...]) -> Step | None:
    tensors = tuple(given.get(name) for name in names)
    if not all(t is None or isinstance(t, Node) for t in tensors):
        return None
    return Step(part, node, input, tensors)


def _interpolate(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    """Nearest upsampling, if each output size is a whole multiple of the input's, whatever that will be."""
    mode = given.get("mode", "nearest")
    before, after = example_of(input), example_of(node)
    if mode not in ("nearest", "nearest-exact") or not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return None
    scales = []
    for small, large in zip(before.shape[2:], after.shape[2:], strict=True):
        scale = _multiple(small, large)
        if scale is None:
            return None
        scales.append(scale)
    given_scales = given.get("scale_factor")
    if given_scales is not None:  # PyTorch computes with the factor it is given, which may be 2.0001
        factors = tuple(given_scales) if isinstance(given_scales, list | tuple) else (given_scales,) * len(scales)
        if any(not isinstance(f, int | float) or f != s for f, s in zip(factors, scales, strict=False)):
            return None
    return Step(Nearest(tuple(scales), mode), node, input)


def _multiple(small: Any, large: Any) -> int | None:
    """How often `small` goes into `large`, if that is a whole number for all sizes that the graph is for."""
    if type(small) is int and type(large) is int:
        return large // small if small and large % small == 0 else None
    known = torch.fx.experimental.symbolic_shapes.statically_known_true
    return next((n for n in range(1, 9) if known(small * n == large)), None)


def _shuffle(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    scale = given.get("upscale_factor")
    return Step(Shuffle(scale), node, input) if type(scale) is int else None


def _activation(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    return Step(Activation(_ACTIVATIONS[called(node)]), node, input) if set(given) <= {"inplace"} else None


def _prelu(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    return _with_tensors(Parametric(), node, input, given, ("weight",)) if given.get("weight") is not None else None


def _leaky_relu(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    slope = given.get("negative_slope", 0.01)
    return Step(Activation("leaky_relu", float(slope)), node, input) if isinstance(slope, int | float) else None


def _gelu(node: Node, input: Node, given: dict[str, Any]) -> Step | None:
    return Step(Activation("gelu"), node, input) if given.get("approximate", "none") == "none" else None


_Reader: TypeAlias = Callable[[Node, Node, dict[str, Any]], Step | None]

_READERS: dict[Any, tuple[tuple[str, ...], _Reader]] = {
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d, F.conv1d, F.conv2d, F.conv3d), (_CONV, _conv)),
    **dict.fromkeys(
        (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d), (_TRANSPOSED, _transposed)
    ),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), (_TRANSPOSED, _transposed)),
    **dict.fromkeys((OPERATOR, OPERATOR.default), (_TRANSPOSED, _transposed)),
    F.batch_norm: (_NORM, _batch_norm),
    F.group_norm: (_GROUP_NORM, _group_norm),
    F.instance_norm: (_INSTANCE_NORM, _instance_norm),
    F.interpolate: (_INTERPOLATE, _interpolate),
    **dict.fromkeys((F.pixel_shuffle, torch.pixel_shuffle), (("input", "upscale_factor"), _shuffle)),
    **dict.fromkeys(_ACTIVATIONS, (("input", "inplace"), _activation)),
    **dict.fromkeys((F.prelu, torch.prelu), (("input", "weight"), _prelu)),
    **dict.fromkeys((F.leaky_relu, F.leaky_relu_), (("input", "negative_slope", "inplace"), _leaky_relu)),
    **dict.fromkeys((F.gelu,), (("input", "approximate"), _gelu)),
}
