"""What a node of a traced model is to the folds: a part, read from its module or its function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv.geometry import Geometry
from tconv.nn import modules as ours
from tconv.nn.folding.laws import Conv, NoFoldError, Pair, Transposed
from tconv.nn.reasons import refusal

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(ours.ConvTranspose1d, ours.ConvTranspose2d, ours.ConvTranspose3d),
)
NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Nearest(NamedTuple):
    """Nearest upsampling by whole numbers."""

    scales: tuple[int, ...]  # one entry stands for all axes
    mode: str


class Shuffle(NamedTuple):
    """A pixel shuffle."""

    scale: int


class Activation(NamedTuple):
    """An activation that the engine applies in its store."""

    name: str
    slope: float = 0.01


Part: TypeAlias = Nearest | Shuffle | Activation | nn.Module


@dataclass(frozen=True)
class Step:
    """A part, what runs it as the model does, and the module that it is, if it is one."""

    part: Part
    run: Callable[[Tensor], Tensor]
    name: str
    module: nn.Module | None = None


def read(node: torch.fx.Node, owner: nn.Module) -> Step | None:
    """The step that a node is, if it takes one tensor and a fold may take it; `owner` is the traced module."""
    if not node.args or not isinstance(node.args[0], torch.fx.Node):
        return None
    rest, keywords = node.args[1:], node.kwargs
    if any(isinstance(value, torch.fx.Node) for value in (*rest, *keywords.values())):
        return None
    if node.op == "call_module":
        module = owner.get_submodule(str(node.target))
        part = None if rest or keywords else _module(module)
        return None if part is None else Step(part, module, str(node.target), module)
    function = node.target if node.op == "call_function" else getattr(Tensor, str(node.target), None)
    if node.op not in ("call_function", "call_method") or not callable(function):
        return None
    part = _function(function, rest, keywords)
    if part is None:
        return None
    return Step(part, lambda x: function(x, *rest, **keywords), getattr(function, "__name__", str(function)))


def _module(module: nn.Module) -> Part | None:
    kind = type(module)  # exactly: a subclass may do something else
    if kind in (*CONV, *TRANSPOSED, *NORM):
        return module
    if kind in (nn.Upsample, nn.UpsamplingNearest2d):
        return _nearest(module.size, module.scale_factor, str(module.mode))
    if isinstance(module, nn.PixelShuffle) and kind is nn.PixelShuffle:
        return Shuffle(module.upscale_factor)
    if isinstance(module, nn.LeakyReLU) and kind is nn.LeakyReLU:
        return Activation("leaky_relu", module.negative_slope)
    if kind is nn.GELU:
        return Activation("gelu") if module.approximate == "none" else None
    names = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.SiLU: "silu", nn.Sigmoid: "sigmoid"}
    return Activation(names[kind]) if kind in names else None


_FUNCTIONS: dict[Any, str] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu, torch.relu_, Tensor.relu_), "relu"),
    **dict.fromkeys((torch.tanh, Tensor.tanh, F.tanh), "tanh"),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid, F.sigmoid), "sigmoid"),
    **dict.fromkeys((F.silu,), "silu"),
}


def _function(function: Any, rest: tuple[Any, ...], keywords: dict[str, Any]) -> Part | None:
    if function is F.interpolate:
        names = ("size", "scale_factor", "mode")
        given = {**dict(zip(names, rest, strict=False)), **keywords}
        return _nearest(given.get("size"), given.get("scale_factor"), given.get("mode", "nearest"))
    if function is F.pixel_shuffle:
        return Shuffle(*rest, *keywords.values())
    if function is F.leaky_relu:
        return Activation("leaky_relu", *rest[:1] or (keywords.get("negative_slope", 0.01),))
    if function is F.gelu:
        return Activation("gelu") if (*rest, *keywords.values()) in ((), ("none",)) else None
    return Activation(_FUNCTIONS[function]) if function in _FUNCTIONS else None


def _nearest(size: Any, scale: Any, mode: str) -> Nearest | None:
    if size is not None or scale is None or mode not in ("nearest", "nearest-exact"):
        return None
    scales = tuple(scale) if isinstance(scale, tuple | list) else (scale,)
    return Nearest(tuple(int(s) for s in scales), mode) if all(float(s).is_integer() for s in scales) else None


def conv_of(layer: Any) -> Conv:
    """A torch.nn convolution as a value, in float64."""
    reason = refusal(weight=layer.weight, bias=layer.bias)
    if reason or layer.padding_mode != "zeros":
        raise NoFoldError(reason or f"padding_mode {layer.padding_mode!r} is not zeros")
    pads: list[Pair] = []
    for axis, (k, d) in enumerate(zip(layer.kernel_size, layer.dilation, strict=True)):
        total = d * (k - 1)
        same = (total // 2, total - total // 2)
        pads.append(
            same if layer.padding == "same" else (0, 0) if layer.padding == "valid" else (layer.padding[axis],) * 2
        )
    weight, bias = _double(layer)
    return Conv(weight, bias, layer.stride, tuple(pads), layer.dilation, layer.groups)


def transposed_of(layer: Any) -> Transposed:
    """A torch.nn transposed convolution as a value, in float64."""
    reason = refusal(weight=layer.weight, bias=layer.bias)
    if reason:
        raise NoFoldError(reason)
    weight, bias = _double(layer)
    numbers = (layer.stride, layer.padding, layer.output_padding, layer.dilation)
    return Transposed(weight, bias, Geometry.from_torch(layer.kernel_size, *numbers), layer.groups)


def _double(layer: Any) -> tuple[Tensor, Tensor | None]:
    return layer.weight.detach().double(), None if layer.bias is None else layer.bias.detach().double()
