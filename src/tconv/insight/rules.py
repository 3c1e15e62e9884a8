"""What becomes of the signal that goes back from a layer to the image, method by method.

Everything but activations goes back as its gradient does, which for linear layers is their transpose: a convolution
becomes the transposed convolution with the same weights, max pooling the unpooling by the switches of the forward, a
batch norm in evaluation its scale. Activations are found in autograd's graph, not among modules: there `nn.ReLU`,
`F.relu`, `torch.relu`, `relu_` and a ReLU that is used many times are all the same, and each use is seen by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from tconv import errors
from tconv.insight.graph import Graph, kind_of
from tconv.nn.private import saved

METHODS = ("deconvnet", "guided", "gradient", "gradient_times_input")

Slope: TypeAlias = float | Tensor
Gradients: TypeAlias = tuple[Tensor | None, ...]

# What looks like a ReLU, but smooth or with a kink elsewhere: treated on the way back as the ReLU that it stands for.
SMOOTH = {"Elu", "Celu", "Gelu", "Silu", "Mish", "Softplus", "Hardswish"}
# A ReLU that ends at a highest value has a derivative of zero beyond it, but is open there as a ReLU is.
CUT_OFF = {"Clamp", "Hardtanh"}
# Nodes that hide a graph of their own, in which activations are not seen.
HIDING = ("DifferentiableGraph", "CompiledFunction", "CheckpointFunction")


def checked_method(method: str) -> str:
    """One of `METHODS`.

    Raises:
        TconvError: another.
    """
    if method not in METHODS:
        raise errors.TconvError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    return method


def rectify(graph: Graph, method: str) -> Callable[[], None]:
    """Let the activations of a graph send back what `method` says; calling the result undoes it.

    Raises:
        ProjectionError: a part of the graph hides its activations.
    """
    handles: list[Any] = []
    if method in ("deconvnet", "guided"):
        for node in graph.nodes:
            hidden = next((name for name in HIDING if name in node.name()), None)
            if hidden:
                raise errors.ProjectionError(
                    f"a part of the model hides its activations from method {method!r} ({hidden}); run the model as "
                    f"plain Python, or choose method 'gradient'"
                )
            found = _rectifier(node)
            if found is not None:
                handles.append(node.register_hook(_hook(node, method, *found)))
    return partial(_remove, handles)


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()


def _hook(node: Any, method: str, number: int, slope: Slope) -> Callable[[Gradients, Gradients], Gradients | None]:
    """What autograd calls with the gradients of an activation's inputs and of its result, to exchange the first."""

    def exchange(inputs: Gradients, outputs: Gradients) -> Gradients | None:
        g, own = outputs[0], inputs[number]
        if g is None or own is None or g.shape != own.shape:
            return None
        kept = g if method == "deconvnet" else own
        if method == "guided" and kind_of(node) in CUT_OFF:
            kept = torch.where(_argument(node) > 0, g, 0.0)
        low = slope.to(kept.dtype) * kept if isinstance(slope, Tensor) else slope * kept if slope else 0.0
        return (*inputs[:number], torch.where(g > 0, kept, low), *inputs[number + 1 :])

    return exchange


def _argument(node: Any) -> Tensor:
    """What an activation was computed of; where that was overwritten, its result, which is above zero where it was."""
    argument = saved(node, "self")
    found: Tensor = saved(node, "result") if argument is None else argument
    return found.detach()


def _rectifier(node: Any) -> tuple[int, Slope] | None:
    """Which input of a node is rectified, and how steep the activation is below zero; None if it does not rectify."""
    kind = kind_of(node)
    if kind in SMOOTH or kind == "Relu":
        return 0, 0.0
    if kind == "LeakyRelu":
        return 0, float(saved(node, "negative_slope"))
    if kind == "RreluWithNoise":
        return 0, (float(saved(node, "lower")) + float(saved(node, "upper"))) / 2
    if kind == "PreluKernel":
        return 0, saved(node, "weight").detach()
    least = {"Threshold": "threshold", "Hardtanh": "min_val", "Clamp": "min", "ClampMin": "min"}.get(kind)
    if least is not None:
        return (0, 0.0) if _is_zero(saved(node, least)) else None
    if kind == "Maximum":
        for number, other in ((0, "other"), (1, "self")):
            if _is_zero(saved(node, other)):
                return number, 0.0
    return None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not bool(value.any())
    return value is not None and float(value) == 0
