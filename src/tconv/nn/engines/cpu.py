"""The compiled core as an engine for tensors on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor, get_num_threads

from tconv.errors import TconvError
from tconv.geometry import Geometry
from tconv.layer import Layer, prepare_lent
from tconv.native import _core, active, backends
from tconv.nn import private
from tconv.nn.comparison import wall_clock
from tconv.nn.engine import Call, RefusedError, Source, negated
from tconv.nn.engines.layouts import by_channels
from tconv.nn.engines.team import join_pytorch

NORMS = {
    torch.float32: _core.group_norm_f32,
    torch.float64: _core.group_norm_f64,
    torch.bfloat16: _core.group_norm_bf16,
    torch.float16: _core.group_norm_f16,
}
GRADIENTS: dict[torch.dtype, Any] = {torch.float32: _core.gradients_f32, torch.float64: _core.gradients_f64}
HALVES = (torch.bfloat16, torch.float16)
DTYPES = (torch.float32, torch.float64, *HALVES)

# Multiplications below which the forward of a call that needs gradients is PyTorch's; and the backward.
SMALL, SMALL_BACKWARD = 2**25, 2**17
# Weights that are trained are packed in each step: that pays for so many results for each weight. Where the channels of
# a pixel are neighbours in memory, PyTorch's forward is faster.
RESULTS_PER_WEIGHT, RESULTS_PER_WEIGHT_LAST = 2, 5
# The same where the backward is PyTorch's. On whole vectors of neighbouring channels, its forward is as fast, but for
# few of them and many results: so many of both, and so many multiplications.
RESULTS_PER_WEIGHT_ALONE, RESULTS_PER_WEIGHT_LAST_ALONE = 5, 16
FEW_OUTPUTS, MANY_RESULTS_PER_WEIGHT, LARGE = 32, 128, 2**27
# The backward is PyTorch's for fewer channels of a group, for fewer pixels of the input, and for more pixels where
# stride 1 leaves no holes to step over.
FEW_CHANNELS, FEW_PIXELS, MANY_PIXELS = 64, 32, 512
# Multiplications below which the forward of a depthwise layer is PyTorch's if the backward is.
SMALL_DEPTHWISE_ALONE = 2**16


class CpuLayer:
    """A `tconv.Layer` on PyTorch's tensors, with PyTorch's number of threads."""

    def __init__(self, layer: Layer, dtype: torch.dtype, last: bool):
        self._layer = layer
        self._dtype = dtype
        self._last = last

    def run(self, input: Tensor, source: Source, last: bool | None = None) -> Tensor:
        """See `tconv.nn.engine.Prepared`."""
        layer, size = self._layer, input.shape
        if len(size) != layer.exchanged:
            return self._without_batch(input, source, last)
        if input.dtype is not self._dtype or input.is_neg():
            raise RefusedError(f"the input is {input.dtype}, the weight {self._dtype}; or a lazy negation")
        if last is None:
            last = self._last
        elif not last and not input.is_contiguous():
            input = input.contiguous()
        if last and input.is_contiguous():  # to copy such an input takes less time than what comes of it
            input = input.movedim(1, -1).contiguous().movedim(-1, 1)
        try:
            capsule = layer.exchange(
                private.to_dlpack(input), size, last, lambda: _arrays(source), (get_num_threads(), True)
            )
        except (TconvError, BufferError) as error:  # the sizes do not fit; the tensor has no memory
            raise RefusedError(str(error)) from error
        return private.from_dlpack(capsule)

    def _without_batch(self, input: Tensor, source: Source, last: bool | None) -> Tensor:
        if input.dim() != self._layer.exchanged - 1:
            raise RefusedError(f"an input of {input.dim()} axes does not fit a layer of {self._layer.geometry.ndim}")
        return self.run(input[None], source, last)[0]

    def run_into(self, input: Tensor, out: Tensor, source: Source) -> None:
        """See `tconv.nn.engine.Prepared`."""
        try:
            arrays = _array(input), _array(out)
            self._layer.computed(*arrays, lambda: _arrays(source), (get_num_threads(), True))
        except TconvError as error:
            raise RefusedError(str(error)) from error

    def way(self, input_shape: Sequence[int], last: bool) -> str:
        """See `tconv.nn.engine.Prepared`."""
        last = last or self._last
        return f"{self._layer.plan(tuple(input_shape), last).way}, channels-{'last' if last else 'first'}"


def _arrays(source: Source) -> tuple[Any, Any]:
    """The source's tensors as NumPy's arrays, in the order of their axes."""
    weight, bias = source()
    return _array(weight.contiguous()), None if bias is None else _array(bias.contiguous())


def _array(tensor: Tensor) -> Any:
    """A tensor's memory as NumPy's array; after `tensor.numpy()` PyTorch could not resize it any more, as FSDP does.

    NumPy has no bfloat16 of its own, so that of ml_dtypes stands for PyTorch's.
    """
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        return np.from_dlpack(tensor.view(torch.uint16)).view(ml_dtypes.bfloat16)
    return np.from_dlpack(tensor)


def _has_gradients() -> bool:
    """Whether the active backend computes them. One that is not here is refused when a layer is prepared for it."""
    try:
        return active() != "reference"
    except TconvError:
        return False


def _depthwise(call: Call) -> bool:
    """Whether each group has one input and one output channel."""
    return call.weight.shape[1] == 1 and call.weight.shape[0] == call.settings[3]


class Cpu:
    """See `tconv.nn.engine.Engine`."""

    name = "tconv's compiled core"
    convolves = packs_at_once = True

    def refusal(self, tensor: Tensor, dtype: torch.dtype | None = None) -> str | None:
        """See `tconv.nn.engine.Engine`."""
        dtype = tensor.dtype if dtype is None else dtype
        if dtype not in DTYPES:
            *others, last = DTYPES
            return f"has dtype {dtype}; the engine takes {', '.join(map(str, others))} and {last}"
        return negated(tensor)

    def prepare(
        self,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        groups: int,
        activation: str | tuple[str, float] | None = None,
        winograd: bool = False,
    ) -> CpuLayer:
        """See `tconv.nn.engine.Engine`."""
        array, biases = _array(weight), None if bias is None else _array(bias)
        try:
            layer = prepare_lent(array, biases, geometry, groups, activation, winograd)
        except TconvError as error:
            raise RefusedError(str(error)) from error
        return CpuLayer(layer, weight.dtype, weight.dim() > 3 and by_channels(weight, 1))

    def normalise(
        self,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        groups: int,
        eps: float,
        activation: str | tuple[str, float] | None = None,
    ) -> Tensor:
        """See `tconv.nn.engine.Engine`."""
        name, slope = activation if isinstance(activation, tuple) else (activation or "", 0.01)
        if input.dtype not in NORMS or input.dim() < 2 or groups < 1 or input.shape[1] % groups or not input.numel():
            raise RefusedError(f"no group norm of {groups} groups for shape {tuple(input.shape)}, {input.dtype}")
        dense = input if input.is_contiguous() or by_channels(input, 1) else input.contiguous()
        kind = torch.float32 if input.dtype in HALVES else input.dtype  # of the sums, to which half is widened exactly
        for each in (weight, bias):
            if each is not None and each.dtype not in (input.dtype, kind):
                raise RefusedError(f"the input is {input.dtype}, the norm's weight or bias {each.dtype}")
        tensors = [t if t is None else private.to_dlpack(t.detach().to(kind).contiguous()) for t in (weight, bias)]
        run: Any = NORMS[input.dtype]
        capsule: Any = run(
            private.to_dlpack(dense.detach()),
            *tensors,
            groups,
            eps,
            name,
            slope,
            active(),
            False,
            get_num_threads(),
            True,
        )
        return private.from_dlpack(capsule)

    def normalises(self, tensor: Tensor) -> bool:
        """See `tconv.nn.engine.Engine`."""
        return tensor.dtype in NORMS

    def pays_with_gradients(self, call: Call, alone: bool = False) -> bool:
        """See `tconv.nn.engine.Engine`; so measured, on the layers of many models."""
        input, weight, _, settings = call
        if _depthwise(call):
            least = SMALL_DEPTHWISE_ALONE if alone else 1
            return input.numel() * prod(weight.shape[2:]) >= least and weight.dtype not in HALVES
        if input.numel() * weight.numel() < SMALL // 4:  # no fewer than the multiplications
            return False
        inputs, each = max(1, weight.shape[0]), weight.shape[1]
        outputs, multiplications = each * settings[3], input.numel() // inputs * weight.numel()
        one_input = settings[3] == inputs
        if multiplications < (SMALL // 4 if one_input else SMALL) or weight.dtype in HALVES:
            return False
        if not weight.requires_grad:
            return True
        share = input.numel() // inputs * prod(settings[0]) * outputs / max(1, weight.numel())
        first = input.is_contiguous() and not by_channels(weight, 1)
        if not alone and self.gradients_pay(call):
            return share >= (RESULTS_PER_WEIGHT if first else RESULTS_PER_WEIGHT_LAST)
        if first:
            return share >= RESULTS_PER_WEIGHT_ALONE
        few = outputs <= FEW_OUTPUTS and share >= MANY_RESULTS_PER_WEIGHT and multiplications >= LARGE
        return share >= RESULTS_PER_WEIGHT_LAST_ALONE and (few or one_input or outputs % 8 != 0)

    def gradients_pay(self, call: Call) -> bool:
        """See `tconv.nn.engine.Engine`; so measured, on the same layers."""
        input, weight, _, (stride, _, _, groups, _) = call
        if _depthwise(call):
            return input.numel() > 0 and weight.dtype in GRADIENTS and _has_gradients()
        pixels = input.numel() // max(1, weight.shape[0])
        if pixels * weight.numel() < SMALL_BACKWARD or pixels < FEW_PIXELS or weight.dtype not in GRADIENTS:
            return False
        if groups > 1 and min(weight.shape[0] // groups, weight.shape[1]) < FEW_CHANNELS:
            return False
        return (prod(stride) > 1 or pixels <= MANY_PIXELS) and _has_gradients()

    def gradients(
        self, grad: Tensor, call: Call, wanted: Sequence[bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """See `tconv.nn.engine.Engine`: all that are wanted, or none."""
        input, weight, _, (stride, padding, _, groups, dilation) = call
        if not self.gradients_pay(call):
            return None, None, None
        axes = list(zip(weight.shape[2:], stride, dilation, padding, strict=True))
        dense = weight.detach() if by_channels(weight, 1) else weight.detach().contiguous()
        tensors = [private.to_dlpack(t) for t in (input.detach(), dense, grad)]
        run = GRADIENTS[weight.dtype]
        capsules = run(*tensors, axes, groups, wanted[0], wanted[1], active(), get_num_threads(), True)
        if capsules == (None, None) and any(wanted[:2]):  # infinite numbers, or sizes, that the core leaves to PyTorch
            return None, None, None
        of_input, of_weight = (None if one is None else private.from_dlpack(one) for one in capsules)
        return of_input, of_weight, grad.sum((0, *range(2, grad.dim()))) if wanted[2] else None

    def empty(self, shape: Sequence[int], like: Tensor, last: bool) -> Tensor:
        """See `tconv.nn.engine.Engine`. Large memory is used again when the last result in it is gone."""
        lying = (shape[0], *shape[2:], shape[1]) if last else tuple(shape)
        memory = private.from_dlpack(_core.lent(prod(shape) * like.element_size())).view(like.dtype).view(lying)
        return memory.movedim(-1, 1) if last else memory

    def seconds(self, run: Callable[[], object], device: torch.device) -> float:
        """See `tconv.nn.engine.Engine`: the core returns when it is done."""
        return wall_clock(run)

    def active(self) -> str:
        """See `tconv.nn.engine.Engine`."""
        return active()

    def others(self) -> dict[str, str]:
        """See `tconv.nn.engine.Engine`."""
        now = active()
        why = f"TCONV_BACKEND={now} is set" if os.environ.get("TCONV_BACKEND") else f"{now} comes before it"
        return {name: f"{why}; TCONV_BACKEND={name} forces it" for name in backends() if name != now}


join_pytorch()
ENGINE = Cpu()
