"""What an engine is to PyTorch's tensors, and the one decision who computes a call.

An engine computes transposed convolutions of one kind of device: `tconv.nn.engines.cpu` is the compiled core,
`tconv.nn.engines.triton` has kernels for GPUs.
Functions, layers, folds and `explain` ask `route`, which names the engine or says why PyTorch's own operator runs;
nothing else decides. Only `RefusedError` sends a call back to PyTorch: any other exception is an engine's fault, and
surfaces.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, is_grad_enabled

from tconv.errors import TconvError
from tconv.geometry import Geometry
from tconv.nn import private

Ints: TypeAlias = tuple[int, ...]
# The numbers of a call: stride, padding, output_padding, groups, dilation; one entry per axis.
Settings: TypeAlias = tuple[Ints, Ints, Ints, int, Ints]
# The weight and the bias of a layer, whenever they are needed once more.
Source: TypeAlias = Callable[[], tuple[Tensor, Tensor | None]]

PLAIN = (Tensor, torch.nn.Parameter)


class StrictError(TconvError):
    """TCONV_STRICT=1 is set and PyTorch's own operator would have run."""


class RefusedError(TconvError):
    """An engine does not take a call; PyTorch's own operator runs instead, or raises its own error."""


class DeferredError(RefusedError):
    """An engine takes such calls, but is not worth it yet; PyTorch's own operator runs instead."""


class Call(NamedTuple):
    """One transposed convolution, as torch.nn.functional's function of as many axes would be called."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    settings: Settings

    @property
    def needs_gradients(self) -> bool:
        """Whether the result is to be differentiated."""
        tensors = (self.input, self.weight, self.bias)
        return is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


class Prepared(Protocol):
    """A layer whose weights an engine has laid out for itself. It runs on any size of input, and keeps no tensor."""

    def run(self, input: Tensor, source: Source, last: bool | None = None) -> Tensor:
        """The result for `input` (batch, in_channels, *in_size), or without the batch.

        Args:
            input: a plain tensor of the engine's device and the weights' dtype.
            source: gives the very weight and bias that the layer was prepared from.
            last: channels-last in memory, or not; default: if the input is, or the weight was.

        Raises:
            RefusedError: the input does not fit the layer, or has no memory.
        """

    def run_into(self, input: Tensor, out: Tensor, source: Source) -> None:
        """As `run`, with a batch, written into `out` of the result's shape, which may lie in memory with gaps."""

    def way(self, input_shape: Sequence[int], last: bool) -> str:
        """The way in which an input of this shape would be computed, in words; `last`: channels-last in memory."""


class Engine(Protocol):
    """The contract. An engine is a value, imported when the first tensor of its device is met.

    Attributes:
        name: what it is called.
        convolves: whether it computes convolutions of stride 1, as the transposed ones that they are, faster than
            PyTorch by rule. Where it does not, they are folded by rule only where PyTorch's own can run them.
        packs_at_once: whether it packs any weights when they are first met. Else those that are no parameters, and so
            may be computed for one call only, are packed when they are met again.
    """

    name: str
    convolves: bool
    packs_at_once: bool

    def refusal(self, tensor: Tensor, dtype: torch.dtype | None = None) -> str | None:
        """Why the engine takes no plain, strided tensor like this one of its device; None if it does.

        `dtype`: what the tensor is rounded to first; default: it stays as it is. Graphs are captured through this
        function, with tensors that have no memory.
        """

    def prepare(
        self,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        groups: int,
        activation: str | tuple[str, float] | None = None,
        winograd: bool = False,
    ) -> Prepared:
        """The layer; the arguments are those of `tconv.prepare`, with tensors. Raises RefusedError."""

    def normalise(
        self,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        groups: int,
        eps: float,
        activation: str | tuple[str, float] | None = None,
    ) -> Tensor:
        """torch.nn.functional.group_norm, then an activation as `tconv.prepare` names them; in the input's layout.

        Raises RefusedError.
        """

    def normalises(self, tensor: Tensor) -> bool:
        """Whether `normalise` takes a tensor of this dtype, which `refusal` does not refuse."""

    def pays_with_gradients(self, call: Call, alone: bool = False) -> bool:
        """Whether forward and backward together are faster if the engine computes the forward.

        `alone`: the backward is PyTorch's, as in a graph; else it is the engine's where `gradients_pay`.
        """

    def gradients_pay(self, call: Call) -> bool:
        """Whether the engine computes the backward faster than PyTorch, whoever computed the forward."""

    def gradients(
        self, grad: Tensor, call: Call, wanted: Sequence[bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The gradients of the input, the weight and the bias, from `grad`, that of the result.

        Args:
            grad: (batch, out_channels, *out_size); a plain tensor that `refusal` does not refuse, as the call's are.
            call: with a batch; its bias is left out.
            wanted: which of the three are.

        Returns:
            None for each that is not wanted, and for each that PyTorch shall compute.
        """

    def empty(self, shape: Sequence[int], like: Tensor, last: bool) -> Tensor:
        """Memory for a result (batch, channels, *size) of the dtype and device of `like`; channels-last with `last`."""

    def seconds(self, run: Callable[[], object], device: torch.device) -> float:
        """How long the device takes for what `run` starts on it."""

    def active(self) -> str:
        """What computes, as `explain` calls it."""

    def others(self) -> dict[str, str]:
        """What the engine could compute with besides, by name, and why it does not."""


# By the type of the device: where the engine is, and the engine once a tensor of that device was met. PyTorch calls
# AMD's GPUs "cuda", too.
_ENGINES = {"cpu": "tconv.nn.engines.cpu", "cuda": "tconv.nn.engines.triton.engine"}
_loaded: dict[str, Engine] = {}


def engine_for(device_type: str) -> Engine | None:
    """The engine for devices of a type such as "cpu", or None if there is none."""
    engine = _loaded.get(device_type)
    if engine is None and device_type in _ENGINES:
        engine = _loaded[device_type] = import_module(_ENGINES[device_type]).ENGINE
    return engine


def use(device_type: str, engine: Engine) -> None:
    """Let an engine compute all tensors of a type of devices from now on, as tests and dry runs do."""
    _loaded[device_type] = engine


class Route(NamedTuple):
    """Who computes a call: an engine; or, because of `reason`, PyTorch's own operator."""

    engine: Engine | None
    reason: str
    by_choice: bool = False  # PyTorch's operator is the faster one, and not the only one
    dtype: torch.dtype | None = None  # what autocast rounds the tensors to first; None: they stay as they are


def route(call: Call) -> Route:
    """Who computes this call, here and now."""
    tensors: dict[str, Any] = {"input": call.input, "weight": call.weight, "bias": call.bias}
    reason = refusal(**tensors) or circumstance()
    if reason is not None:
        return Route(None, reason)
    if private.autocast() and (dtype := autocast_dtype(call)) is not None:
        return _under_autocast(call, dtype)
    if call.input.dtype != call.weight.dtype or call.input.device != call.weight.device:
        kinds = [f"{str(t.dtype).removeprefix('torch.')} on {t.device}" for t in (call.input, call.weight)]
        return Route(None, f"the input is {kinds[0]}, the weight {kinds[1]}; PyTorch says what it makes of that")
    engine = engine_for(call.input.device.type)
    assert engine is not None  # else there had been a reason
    if call.needs_gradients and not engine.pays_with_gradients(call):
        reason = "gradients are needed, and PyTorch computes both ways as fast here; torch.no_grad() asks for none"
        return Route(None, reason, by_choice=True)
    return Route(engine, "")


def autocast_dtype(call: Call) -> torch.dtype | None:
    """What autocast rounds the tensors of a call to; None if it is off, or leaves one as it is, as it does float64."""
    dtype = private.autocast_dtype(call.input.device.type)
    if dtype is None:
        return None
    tensors = (call.input, call.weight, call.bias)
    return None if any(t is not None and t.dtype is torch.float64 for t in tensors) else dtype


def _under_autocast(call: Call, dtype: torch.dtype) -> Route:
    """Who computes a call whose tensors autocast rounds to `dtype`."""
    engine = engine_for(call.input.device.type)
    assert engine is not None
    reason = engine.refusal(call.input, dtype)
    if reason is not None:
        return Route(None, f"autocast makes the input one that {reason}")
    if call.needs_gradients:
        return Route(None, "gradients are needed under autocast; torch.no_grad() asks for none", by_choice=True)
    return Route(engine, "", dtype=dtype)


def refusal(**tensors: Tensor | None) -> str | None:
    """Why no engine takes one of these tensors, or None if one takes all of them."""
    for name, tensor in tensors.items():
        if tensor is not None:
            reason = _refusal(tensor)
            if reason:
                return f"the {name} {reason}"
    return None


def _refusal(tensor: Tensor) -> str | None:
    if type(tensor) not in PLAIN:
        return f"is a {type(tensor).__name__}, which may change what an operator does; engines take plain tensors"
    if tensor.layout != torch.strided:
        return f"has layout {tensor.layout}; engines take strided tensors"
    engine = engine_for(tensor.device.type)
    if engine is None:
        return f"is on {tensor.device}; there are engines for {' and '.join(_ENGINES)}"
    if not torch.compiler.is_compiling() and private.let_go(tensor):  # in a graph, no tensor has memory
        return "has no memory now"
    return engine.refusal(tensor)


def negated(tensor: Tensor) -> str | None:
    """Why an engine takes no tensor whose memory holds the numbers before a negation; None for all others."""
    if torch.compiler.is_compiling() or not tensor.is_neg():  # a graph's tensors are never lazy
        return None
    return "is a lazy negation; .resolve_neg() makes it a plain tensor"


def circumstance() -> str | None:
    """What around the call asks for PyTorch's own operator, or None."""
    if private.transformed():
        return "a torch.func transform (vmap, grad, jvp) is at work"
    if private.forward_mode():
        return "forward-mode differentiation is on"
    if private.scripting() or torch.compiler.is_exporting():
        return "the model is being exported, and shall run without tconv"
    return None


def strict() -> bool:
    """Whether TCONV_STRICT=1 is set: then PyTorch's own operator in place of an engine is an error."""
    return os.environ.get("TCONV_STRICT", "0") not in ("", "0")
