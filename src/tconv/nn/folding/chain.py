"""A chain of steps run as one layer: derived from the model's own tensors, and derived again when those change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv.errors import TconvError
from tconv.nn import private
from tconv.nn.engine import Engine, Prepared, RefusedError, refusal
from tconv.nn.folding import laws, trial
from tconv.nn.folding.extract import Origin, function_of
from tconv.nn.folding.joining import join
from tconv.nn.folding.laws import Conv, NoFoldError, Transposed
from tconv.nn.folding.layout import lies_last
from tconv.nn.folding.parts import Activation, Convolution, Step
from tconv.nn.packing import PIXELS_FOR_FULL_CHECK, Stamps


class Derived(NamedTuple):
    """The one layer of some steps, made from tensors as they were: what an engine prepared, or a convolution."""

    stamps: Stamps
    prepared: Prepared | None = None
    conv: Callable[[Tensor], Tensor] | None = None
    phases: Tensor | None = None  # a bias that differs between phases, (out_channels, *stride)


class Folded(nn.Module):
    """Steps of a graph run as one layer, called with the steps' input and the tensors that their weights are made of.

    What is derived from these is kept with stamps. Where one has changed, the steps run as they are written, and the
    layer is derived once more when the same tensors are met again: weights that change at every call, as those that
    another network computes, cost nothing. What the engine does not take, and what no longer folds, runs as the steps.
    """

    def __init__(self, name: str, steps: Sequence[Step], origin: Origin, engine: Engine, winograd: bool):
        """`origin`: of the steps' tensors."""
        super().__init__()
        self.sources = len(origin.inputs)
        self.name = name
        self.engine = engine
        self.wanted = self.by_rule = True
        self.out_channels = int(private.example_of(steps[-1].node).shape[1])
        chain = [step.node for step in steps]
        self._parts = [step.part for step in steps]
        self._winograd = winograd
        self.last = lies_last(chain[-1])
        self._weights = function_of(origin.made, origin.inputs, tuple(step.tensors for step in steps))
        self.by_steps: Callable[..., Tensor] = function_of(
            [*origin.made, *chain], [steps[0].input, *origin.inputs], chain[-1]
        )
        self._derived: Derived | None = None
        self._met = False  # whether the weights were derived before
        self._seen: Stamps | None = None  # weights that were met once since

    def forward(self, x: Tensor, *sources: Tensor) -> Tensor:
        """The result of the steps on `x`, whose weights are made of `sources`."""
        if (race := trial.current()) is not None:
            self.wanted = race.wanted(self, (x, *sources))
        return self.folded(x, *sources) if self.wanted else self.by_steps(x, *sources)

    def folded(self, x: Tensor, *sources: Tensor) -> Tensor:
        """The steps as one layer, where that is possible."""
        if private.profiling():
            with torch.profiler.record_function(f"tconv: {self.name}"):
                return self._folded(x, sources)
        return self._folded(x, sources)

    def _folded(self, x: Tensor, sources: tuple[Tensor, ...]) -> Tensor:
        derived = self.derived(x, sources)
        if derived is None:
            return self.by_steps(x, *sources)
        if derived.conv is not None:
            return derived.conv(x)
        assert derived.prepared is not None
        try:
            y = derived.prepared.run(x, lambda: self._layer(sources)[:2], self.last)
        except RefusedError:
            return self.by_steps(x, *sources)  # which says what is wrong with it
        return y if derived.phases is None else _add_phases(y, derived.phases)

    def prepared(self, x: Tensor, sources: tuple[Tensor, ...]) -> Prepared | None:
        """The layer whose result is this one's, so that it can be written into a view; None if there is none."""
        derived = self.derived(x, sources)
        return None if derived is None or derived.phases is not None else derived.prepared

    @property
    def may_write_into(self) -> bool:
        """Whether the layer that was derived can be written into a view."""
        derived = self._derived
        return derived is not None and derived.prepared is not None and derived.phases is None

    def by_winograd(self, shape: Sequence[int]) -> bool:
        """Whether an input of this shape would be computed by Winograd's algorithm."""
        derived = self._derived
        if derived is None or derived.prepared is None:
            return False
        return "winograd" in derived.prepared.way(shape, self.last)

    def source(self, sources: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the one layer."""
        weight, bias, *_ = self._layer(sources)
        return weight, bias

    def derived(self, x: Tensor, sources: tuple[Tensor, ...]) -> Derived | None:
        """What is derived from `sources` as they are now, if it is known, or is to be known from now on."""
        derived = self._derived
        pixels = x.numel() // max(1, x.shape[1])
        if derived is not None and derived.stamps.fit(sources, pixels >= PIXELS_FOR_FULL_CHECK):
            return None if derived.prepared is None and derived.conv is None else derived
        if self._met and not (self._seen is not None and self._seen.fit(sources, False)):
            self._seen = Stamps(sources) if refusal(**_named_weights(sources)) is None else None
            return None
        try:
            return self.derive(sources)
        except NoFoldError:  # a new bias, say, that no longer lets the fold be exact
            return None

    def derive(self, sources: tuple[Tensor, ...]) -> Derived:
        """Derive the layer from `sources`, and keep it until they are gone. Raises NoFoldError if there is none."""
        self._met, self._seen = True, None
        reason = refusal(**_named_weights(sources))
        if reason is not None or any(tensor.is_inference() for tensor in sources):
            raise NoFoldError(reason or "PyTorch does not count the writes to inference tensors")
        stamps = Stamps(sources, self._forget)
        self._derived = Derived(stamps)  # should there be no layer, then not again for the same tensors
        weight, bias, linear, activation = self._layer(sources)
        if isinstance(linear, Conv):
            self._derived = Derived(stamps, conv=_convolution(linear, weight, bias))
            return self._derived
        named = None if activation is None else _named(activation)
        try:
            prepared = self.engine.prepare(weight, bias, linear.geometry, linear.groups, named, self._winograd)
        except RefusedError as refused:
            raise NoFoldError(str(refused)) from refused
        phases = None if linear.phase_bias is None else linear.phase_bias.to(weight.dtype)
        self._derived = Derived(stamps, prepared, phases=phases)
        return self._derived

    def _forget(self, _: object) -> None:
        self._derived = None

    @torch.no_grad()
    def _layer(self, sources: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None, Conv | Transposed, Activation | None]:
        """Weight and bias in the tensors' own dtype, and the layer that they belong to."""
        tensors = self._weights(*sources)
        try:
            joined = join(list(zip(self._parts, tensors, strict=True)))
        except TconvError as error:  # numbers that are no transposed convolution
            raise NoFoldError(str(error)) from error
        linear, dtype = joined.linear, sources[0].dtype
        if isinstance(linear, Conv) and set(linear.stride) == {1}:
            linear = laws.turned(linear)  # which the engine runs
        weight = linear.weight.to(dtype)
        if isinstance(linear, Conv):  # which PyTorch runs, with a weight laid out as the model's
            pairs = zip(self._parts, tensors, strict=True)
            weight = torch.empty_like(next(t[0] for part, t in pairs if isinstance(part, Convolution))).copy_(weight)
        return weight, None if linear.bias is None else linear.bias.to(dtype), linear, joined.activation


def _named_weights(sources: tuple[Tensor, ...]) -> dict[str, Tensor | None]:
    return {f"weight {number}": tensor for number, tensor in enumerate(sources)}


def _convolution(conv: Conv, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """A convolution with another weight, computed by PyTorch."""
    run: Any = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    padding = [lo for lo, _ in conv.padding]
    if any(lo != hi for lo, hi in conv.padding):
        raise NoFoldError(f"PyTorch's convolution takes no padding that differs between sides: {conv.padding}")
    return lambda x: run(x, weight, bias, conv.stride, padding, conv.dilation, conv.groups)


def _add_phases(y: Tensor, phases: Tensor) -> Tensor:
    """The bias of each phase, added to `y` itself, which is new and whose sizes are multiples of the strides."""
    out, *scales = phases.shape
    first, cells = y.dim() - len(scales), y
    for axis in reversed(range(len(scales))):
        cells = torch.unflatten(cells, first + axis, (-1, scales[axis]))
    cells += phases.view(out, *(n for r in scales for n in (1, r)))
    return y


def _named(activation: Activation) -> str | tuple[str, float]:
    return (activation.name, activation.slope) if activation.name == "leaky_relu" else activation.name
