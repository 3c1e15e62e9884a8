"""Triton's kernels as an engine for tensors on GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod

import torch
from torch import Tensor

from tconv.geometry import Geometry
from tconv.nn.engine import Call, RefusedError, negated
from tconv.nn.engines.layouts import by_channels
from tconv.nn.engines.triton import enabled
from tconv.nn.engines.triton.bias import bias_gradient
from tconv.nn.engines.triton.cards import Card, card
from tconv.nn.engines.triton.clock import device_seconds
from tconv.nn.engines.triton.layer import DTYPES, Form, GpuLayer, dense

# As of the compiled core: weights that are trained are packed in each step, which pays for so many results for each.
RESULTS_PER_WEIGHT = 16


@cache
def _refused_on(index: int | None) -> str | None:
    if not torch.cuda.is_available():
        return "is on a GPU, and PyTorch sees none"
    architecture = card(_gpu(index)).architecture
    return enabled.disabled(architecture, enabled.installed(), enabled.wish(), enabled.pairs())


def _constant(index: int | None) -> str | None:
    """Why the engine is not used on a GPU, in words that follow "the input"; None if it is. Remembered."""
    return _refused_on(index)


# TorchDynamo cannot look at a device, nor into a file.
refused_on: Callable[[int | None], str | None] = torch.compiler.assume_constant_result(_constant)


def _gpu(index: int | None) -> torch.device:
    return torch.device("cuda") if index is None or index < 0 else torch.device("cuda", index)


@cache
def _trains_on(index: int | None) -> bool:
    architecture = card(_gpu(index)).architecture
    return enabled.with_gradients(architecture, enabled.installed(), enabled.pairs())


def _constant_of_training(index: int | None) -> bool:
    """Whether calls that need gradients run on the engine. Remembered."""
    return _trains_on(index)


trains_on: Callable[[int | None], bool] = torch.compiler.assume_constant_result(_constant_of_training)


class Triton:
    """See `tconv.nn.engine.Engine`."""

    name = "tconv's kernels for GPUs"
    convolves = False  # PyTorch's are at the limit of the tensor cores
    packs_at_once = False  # as that waits for the device, see `tconv.nn.engines.triton.layer`

    def __init__(
        self,
        refused: Callable[[int | None], str | None] = refused_on,
        trains: Callable[[int | None], bool] = trains_on,
        card_of: Callable[[torch.device], Card] = card,
    ):
        """Without a GPU, other answers may be given than those of the devices that there are.

        Args:
            refused: why the engine is not used on the device of an index, or None.
            trains: whether calls that need gradients run on it there.
            card_of: what is known of a device.
        """
        self._refused = refused
        self._trains = trains
        self._card_of = card_of

    def refusal(self, tensor: Tensor, dtype: torch.dtype | None = None) -> str | None:
        """See `tconv.nn.engine.Engine`."""
        reason = self._refused(tensor.device.index)
        if reason is not None:
            return reason
        dtype = tensor.dtype if dtype is None else dtype
        if dtype not in DTYPES:
            *others, last = DTYPES
            return f"has dtype {dtype}; on GPUs the engine takes {', '.join(map(str, others))} and {last}"
        return negated(tensor)

    def prepare(
        self,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        groups: int,
        activation: str | tuple[str, float] | None = None,
        winograd: bool = False,
    ) -> GpuLayer:
        """See `tconv.nn.engine.Engine`; there is no Winograd's algorithm here."""
        outputs = weight.shape[1] * groups
        if groups < 1 or not weight.numel() or weight.shape[0] % groups:
            raise RefusedError(f"a weight of shape {tuple(weight.shape)} does not fit {groups} groups")
        if tuple(weight.shape[2:]) != geometry.kernel:
            raise RefusedError(f"a weight of shape {tuple(weight.shape)} does not fit a kernel of {geometry.kernel}")
        if bias is not None and (tuple(bias.shape), bias.dtype, bias.device) != (
            (outputs,),
            weight.dtype,
            weight.device,
        ):
            what = f"{tuple(bias.shape)}, {bias.dtype}, {bias.device}"
            raise RefusedError(f"the bias is {what}, and {outputs} outputs are {weight.dtype} on {weight.device}")
        name, slope = activation if isinstance(activation, tuple) else (activation or "", 0.01)
        last = weight.dim() > 3 and by_channels(weight, 1)
        card = self._card_of(weight.device)
        numbers = weight.shape[0], outputs, weight.dtype, weight.device, bias is not None, last
        return GpuLayer(Form(geometry, groups, name, slope, *numbers, card))

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
        raise RefusedError("there is no kernel for norms on GPUs; PyTorch's own is near the floor")

    def normalises(self, tensor: Tensor) -> bool:
        """See `tconv.nn.engine.Engine`."""
        return False

    def pays_with_gradients(self, call: Call, alone: bool = False) -> bool:
        """See `tconv.nn.engine.Engine`: where that was measured, and there are many results for each weight."""
        input, weight, _, settings = call
        if not self._trains(weight.get_device()):
            return False
        results = input.numel() // max(1, weight.shape[0]) * prod(settings[0]) * weight.shape[1] * settings[3]
        return results >= RESULTS_PER_WEIGHT * weight.numel()

    def gradients_pay(self, call: Call) -> bool:
        """See `tconv.nn.engine.Engine`."""
        return False

    def gradients(self, grad: Tensor, call: Call, wanted: Sequence[bool]) -> tuple[None, None, Tensor | None]:
        """See `tconv.nn.engine.Engine`: that of the bias."""
        return None, None, bias_gradient(grad, self._card_of(grad.device)) if wanted[2] else None

    def empty(self, shape: Sequence[int], like: Tensor, last: bool) -> Tensor:
        """See `tconv.nn.engine.Engine`."""
        return torch.empty_strided(tuple(shape), dense(tuple(shape), last), dtype=like.dtype, device=like.device)

    def seconds(self, run: Callable[[], object], device: torch.device) -> float:
        """See `tconv.nn.engine.Engine`."""
        return device_seconds(run, device)

    def active(self) -> str:
        """See `tconv.nn.engine.Engine`."""
        return "triton"

    def others(self) -> dict[str, str]:
        """See `tconv.nn.engine.Engine`."""
        return {}


ENGINE = Triton()
