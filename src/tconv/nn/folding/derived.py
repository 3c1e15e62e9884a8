"""One layer derived from the tensors of several steps, and derived again when those change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.errors import TconvError
from tconv.nn import private
from tconv.nn.engine import Engine, Prepared, RefusedError, refusal
from tconv.nn.engines.layouts import by_channels
from tconv.nn.folding import laws
from tconv.nn.folding.extract import code_of
from tconv.nn.folding.joining import join
from tconv.nn.folding.laws import Conv, NoFoldError, Transposed
from tconv.nn.folding.parts import Activation, Convolution, Part
from tconv.nn.packing import PIXELS_FOR_FULL_CHECK, Stamps

UNCOUNTED = (
    "its tensors were made in torch.inference_mode(), and PyTorch does not count the writes to them: make or load the "
    "model outside of it"
)


class Derived(NamedTuple):
    """The one layer of some steps, made from tensors as they were: what an engine prepared, or a convolution."""

    stamps: Stamps
    prepared: Prepared | None = None
    conv: Callable[[Tensor], Tensor] | None = None
    phases: Tensor | None = None  # a bias that differs between phases, (out_channels, *stride)


class Derivation:
    """The one layer that some parts are, derived from the tensors ("sources") that their weights are made of.

    What is derived is kept with stamps. Where a source has changed there is no layer, and it is derived once more when
    the same sources are met again: weights that change at every call, as those that another network computes, cost
    nothing.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        tensors: Callable[..., tuple[Any, ...]],
        engine: Engine,
        winograd: bool,
        dtype: torch.dtype,
    ):
        """`tensors`: makes those of each part of the sources; `dtype`: of the layer, which autocast may have chosen."""
        self._parts = parts
        self.dtype = dtype
        self._tensors = tensors
        self._engine = engine
        self._winograd = winograd
        self.now: Derived | None = None
        self._met = False  # whether the sources were derived from before
        self._seen: Stamps | None = None  # sources that were met once since

    def derived(self, x: Tensor, sources: tuple[Tensor, ...]) -> Derived | None:
        """What is derived from `sources` as they are now, if it is known, or is to be known from now on."""
        derived = self.now
        pixels = x.numel() // max(1, x.shape[1])
        if derived is not None and derived.stamps.fit(sources, pixels >= PIXELS_FOR_FULL_CHECK):
            return None if derived.prepared is None and derived.conv is None else derived
        if private.capturing():  # to derive means to wait for the device; a CUDA graph holds the steps then
            return None
        if self._met and not (self._seen is not None and self._seen.fit(sources, False)):
            self._seen = Stamps(sources) if refusal(**_named_weights(sources)) is None else None
            return None
        try:
            return self.derive(sources)
        except NoFoldError:  # a new bias, say, that no longer lets the fold be exact
            return None

    def made(self, sources: tuple[Tensor, ...]) -> Derived:
        """What is derived from `sources`, which another graph may have done. Raises NoFoldError if there is none."""
        now = self.now
        if now is not None and now.stamps.fit(sources, True) and (now.prepared is not None or now.conv is not None):
            return now
        return self.derive(sources)

    def derive(self, sources: tuple[Tensor, ...]) -> Derived:
        """Derive the layer from `sources`, and keep it until they are gone. Raises NoFoldError if there is none."""
        self._met, self._seen = True, None
        reason = refusal(**_named_weights(sources))
        if reason is None and any(tensor.is_inference() for tensor in sources):
            reason = UNCOUNTED
        if reason is not None:
            raise NoFoldError(reason)
        stamps = Stamps(sources, self._forget)
        self.now = Derived(stamps)  # should there be no layer, then not again for the same tensors
        weight, bias, linear, activation = self.layer(sources)
        if isinstance(linear, Conv):
            self.now = Derived(stamps, conv=_convolution(linear, weight, bias))
            return self.now
        named = None if activation is None else spelled(activation)
        try:
            prepared = self._engine.prepare(weight, bias, linear.geometry, linear.groups, named, self._winograd)
        except RefusedError as refused:
            raise NoFoldError(str(refused)) from refused
        phases = None if linear.phase_bias is None else linear.phase_bias.to(weight.dtype)
        self.now = Derived(stamps, prepared, phases=phases)
        return self.now

    def _forget(self, _: object) -> None:
        self.now = None

    @torch.no_grad()
    def layer(self, sources: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None, Conv | Transposed, Activation | None]:
        """Weight and bias, rounded to the layer's dtype once, and the layer that they belong to."""
        tensors = self._tensors(*sources)
        try:
            joined = join(list(zip(self._parts, tensors, strict=True)))
        except TconvError as error:  # numbers that are no transposed convolution
            raise NoFoldError(str(error)) from error
        linear, dtype = joined.linear, self.dtype
        if isinstance(linear, Conv) and set(linear.stride) == {1} and self._engine.convolves:
            linear = laws.turned(linear)  # which the engine runs
        weight = linear.weight.to(dtype)
        if isinstance(linear, Conv):  # which PyTorch runs, with a weight laid out as the model's
            pairs = zip(self._parts, tensors, strict=True)
            like = next(t[0] for part, t in pairs if isinstance(part, Convolution))
            if like.shape == weight.shape:
                weight = torch.empty_like(like, dtype=dtype).copy_(weight)
            elif by_channels(like, 1):  # a convolution of some of the channels
                weight = weight.movedim(1, -1).contiguous().movedim(-1, 1)
        return weight, None if linear.bias is None else linear.bias.to(dtype), linear, joined.activation

    def weights(self, sources: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the layer."""
        weight, bias, *_ = self.layer(sources)
        return weight, bias


# By all that decides what is derived. A model has a graph for each kind of input that it has met; they share layers.
_shared: WeakValueDictionary[Any, Derivation] = WeakValueDictionary()


def shared(
    parts: Sequence[Part],
    tensors: Callable[..., tuple[Any, ...]],
    values: Sequence[Tensor],
    engine: Engine,
    winograd: bool,
    dtype: torch.dtype,
) -> Derivation:
    """The derivation of these parts from these sources: one for all graphs that ask for it.

    Args:
        parts, tensors, engine, winograd, dtype: those of `Derivation`; `tensors` is a `function_of`.
        values: the sources.
    """
    sources = tuple((id(value), value.dtype, value.stride()) for value in values)
    key = (tuple(parts), code_of(tensors), sources, engine.name, winograd, dtype)
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = Derivation(parts, tensors, engine, winograd, dtype)
    return found


def _named_weights(sources: tuple[Tensor, ...]) -> dict[str, Tensor | None]:
    return {f"weight {number}": tensor for number, tensor in enumerate(sources)}


def _convolution(conv: Conv, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """A convolution with another weight, computed by PyTorch."""
    run: Any = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    padding = [lo for lo, _ in conv.padding]
    if any(lo != hi for lo, hi in conv.padding):
        raise NoFoldError(f"PyTorch's convolution takes no padding that differs between sides: {conv.padding}")
    return lambda x: run(x, weight, bias, conv.stride, padding, conv.dilation, conv.groups)


def spelled(activation: Activation) -> str | tuple[str, float]:
    """The activation as `tconv.prepare` takes it."""
    return (activation.name, activation.slope) if activation.name == "leaky_relu" else activation.name
