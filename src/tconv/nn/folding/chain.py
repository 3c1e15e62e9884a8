"""A run of steps as one layer: derived from the model's own tensors, and derived again when those change."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv.errors import TconvError
from tconv.layer import Layer, prepare
from tconv.nn.folding import laws
from tconv.nn.folding.laws import Conv, NoFoldError, Transposed
from tconv.nn.folding.parts import (
    CONV,
    NORM,
    TRANSPOSED,
    Activation,
    Nearest,
    Shuffle,
    Step,
    conv_of,
    transposed_of,
)
from tconv.nn.packing import Stamps, by_channels, compute


@dataclass(frozen=True)
class Joined:
    """What some steps are together: one linear layer, and perhaps an activation."""

    linear: Conv | Transposed
    activation: Activation | None = None


def join(steps: Sequence[Step]) -> Joined:
    """The one layer that the steps are; raises NoFoldError if they are none."""
    joined: Joined | None = None
    pending: Nearest | None = None
    for step in steps:
        if joined is None and pending is None and isinstance(step.part, Nearest):
            pending = step.part
        elif joined is None:
            joined = Joined(_first(step, pending))
        else:
            joined = _next(joined, step)
    if joined is None:
        raise NoFoldError("nothing is to be folded here")
    return joined


def _first(step: Step, before: Nearest | None) -> Conv | Transposed:
    if type(step.part) in CONV:
        conv = conv_of(step.part)
        return conv if before is None else laws.nearest_before(_scales(before, conv), conv)
    if type(step.part) in TRANSPOSED and before is None:
        return transposed_of(step.part)
    raise NoFoldError(f"{step.name} begins no fold")


def _scales(nearest: Nearest, conv: Conv) -> tuple[int, ...]:
    ndim = conv.weight.dim() - 2
    scales = nearest.scales * ndim if len(nearest.scales) == 1 else nearest.scales
    if len(scales) != ndim:
        raise NoFoldError(f"{len(scales)} scales do not fit {ndim} axes")
    for scale in scales:
        if not laws.scale_is_exact(scale, nearest.mode):
            raise NoFoldError(f"PyTorch's nearest upsampling by {scale} rounds some places to their neighbour")
    return scales


def _next(joined: Joined, step: Step) -> Joined:
    linear, part = joined.linear, step.part
    if joined.activation is not None:
        raise NoFoldError("behind an activation nothing is linear")
    if type(part) in NORM:
        return Joined(laws.norm_after(linear, part))
    if isinstance(part, Shuffle) and isinstance(linear, Conv) and linear.weight.dim() == 4:
        return Joined(laws.shuffle_after(linear, part.scale))
    if isinstance(part, Activation) and not (isinstance(linear, Transposed) and linear.phase_bias is not None):
        return Joined(linear if isinstance(linear, Transposed) else laws.turned(linear), part)
    if type(part) in CONV and isinstance(linear, Transposed):
        return Joined(laws.conv_after(linear, conv_of(part)))
    raise NoFoldError(f"{step.name} is not folded here")


class Folded(nn.Module):
    """Steps of a model run as one layer, for inference; with `winograd`, by Winograd's algorithm where that is faster.

    The steps' modules stay where they are in the model, and own the weights. What is derived from them is kept here
    with stamps, and made anew when one of them has changed. What the engine does not take, and what no longer folds,
    runs as the steps.
    """

    def __init__(self, steps: Sequence[Step], winograd: bool):
        super().__init__()
        self.steps = tuple(steps)
        self.winograd = winograd
        self.absorbed = tuple(step.module for step in steps if step.module is not None)
        self.name = " + ".join(step.name for step in steps)
        self._derive()

    def forward(self, x: Tensor) -> Tensor:
        self._refresh()
        if self._conv is not None:
            return self._conv(x)
        if self._layer is not None:
            with contextlib.suppress(TconvError, TypeError, RuntimeError):
                y = compute(self._layer, x, self._last)
                return y if self._phases is None else self._add_phases(y)
        return self.by_steps(x)

    def by_steps(self, x: Tensor) -> Tensor:
        """What the model computes without the fold."""
        for step in self.steps:
            x = step.run(x)
        return x

    def layer_into(self) -> Layer | None:
        """The layer whose result is this module's, so that it can be written into a view; None if there is none."""
        self._refresh()
        return self._layer if self._phases is None else None

    def gains_alone(self) -> bool:
        """Whether a single step, on a map of usual size, is faster here than in PyTorch."""
        if self._layer is None or not self._last:
            return False
        channels, sizes = self._in_channels, (64,) * self._layer.geometry.ndim
        return self._layer.plan((1, channels, *sizes), channels_last=True).way == "winograd"

    def _sources(self) -> tuple[Tensor, ...]:
        tensors = (t for m in self.absorbed for t in (*m._parameters.values(), *m._buffers.values()))
        return tuple(t for t in tensors if t is not None)

    def _refresh(self) -> None:
        if not self._stamps.fit(self._sources()):
            with contextlib.suppress(NoFoldError):  # a new bias, say, that no longer lets the fold be exact
                self._derive()

    @torch.no_grad()
    def _derive(self) -> None:
        self._layer: Layer | None = None
        self._conv: Callable[[Tensor], Tensor] | None = None
        self._phases: Tensor | None = None
        sources = self._sources()
        if any(tensor.is_inference() for tensor in sources):
            raise NoFoldError("PyTorch does not count the writes to inference tensors")
        self._stamps = Stamps.of(sources)
        joined = join(self.steps)
        linear, dtype = joined.linear, sources[0].dtype
        if isinstance(linear, Conv) and set(linear.stride) == {1}:
            linear = laws.turned(linear)  # which the engine runs
        weight, bias = linear.weight.to(dtype), None if linear.bias is None else linear.bias.to(dtype)
        if isinstance(linear, Conv):
            self._conv = self._convolution(weight, bias)
            return
        activation = None if joined.activation is None else _named(joined.activation)
        arrays = weight.numpy(), None if bias is None else bias.numpy()
        self._in_channels, self.out_channels = weight.shape[0], linear.out_channels
        self._layer = prepare(*arrays, linear.geometry, linear.groups, activation, self.winograd)
        weighed: list[Any] = [m for m in self.absorbed if type(m) in (*CONV, *TRANSPOSED)]
        self._last = any(by_channels(m.weight) for m in weighed)
        self._phases = None if linear.phase_bias is None else linear.phase_bias.to(dtype)

    def _convolution(self, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
        """The convolution among the steps, with another weight in the same memory layout."""
        conv: Any = next(m for m in self.absorbed if type(m) in CONV)
        weight = torch.empty_like(conv.weight).copy_(weight)
        run: Any = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
        return lambda x: run(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)

    def _add_phases(self, y: Tensor) -> Tensor:
        """The bias of each phase, added to `y` itself, which is new and whose sizes are multiples of the strides."""
        assert self._phases is not None
        out, *scales = self._phases.shape
        first, cells = y.dim() - len(scales), y
        for axis in reversed(range(len(scales))):
            cells = torch.unflatten(cells, first + axis, (-1, scales[axis]))
        cells += self._phases.view(out, *(n for r in scales for n in (1, r)))
        return y


def _named(activation: Activation) -> str | tuple[str, float]:
    return (activation.name, activation.slope) if activation.name == "leaky_relu" else activation.name
