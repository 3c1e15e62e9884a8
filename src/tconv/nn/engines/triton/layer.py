"""A layer on a GPU: its plans by the shape of a call, its packed weights by the layout that plans read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from tconv.geometry import Geometry
from tconv.nn import private
from tconv.nn.engine import Ints, RefusedError, Source
from tconv.nn.engines.layouts import by_channels
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.launch import Launcher, launcher
from tconv.nn.engines.triton.packing import Packed, finite, pack
from tconv.nn.engines.triton.plan import Layout, Plan, Refusal, plan
from tconv.nn.engines.triton.streams import Alone, Shared
from tconv.nn.engines.triton.task import Task

# Shapes of calls that a layer remembers: speech has another length in every call, and one shape takes a few kilobytes.
SHAPES = 256

DTYPES = {torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float32: "float32"}

BROKEN = "a weight is NaN or Inf, which products with zeros at the border would spread"

# What decides about a call: shape and strides of the input, strides of the output or whether it is channels-last (None:
# as the input or the weight is), and whether float32 is multiplied as TF32.
Key: TypeAlias = tuple[Ints, Ints, Ints | bool | None, bool]


@dataclass(frozen=True)
class Form:
    """A layer without its numbers.

    Attributes:
        geometry, groups, activation, slope: as `tconv.prepare` takes them.
        in_channels, out_channels: of all groups.
        dtype, device: of all tensors; `index` is the device's, -1 for the CPU.
        bias: whether there is one.
        last: whether the weight is channels-last, so that results are.
        card: what is known of the device.
        rounds: whether the device multiplies these numbers as TF32, where PyTorch's switches let it.
    """

    geometry: Geometry
    groups: int
    activation: str
    slope: float
    in_channels: int
    out_channels: int
    dtype: torch.dtype
    device: torch.device
    bias: bool
    last: bool
    card: Card
    index: int = field(init=False)
    rounds: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", self.device.index if self.device.type == "cuda" else -1)
        object.__setattr__(self, "rounds", self.dtype is torch.float32 and self.card.capability >= 80)

    def task(self, shape: Sequence[int], input_last: bool, output_last: bool, tf32: bool) -> Task:
        """The task of a call with an input of this shape, (batch, in_channels, *in_size)."""
        batch, _, *size = shape
        return Task(
            self.geometry,
            tuple(size),
            batch,
            self.in_channels,
            self.out_channels,
            self.groups,
            DTYPES[self.dtype],
            tf32,
            input_last,
            output_last,
            self.bias,
            self.activation,
            self.slope,
        )


class Ready(NamedTuple):
    """A call that was met before: all that is left to do is to allocate and to launch."""

    launch: Launcher
    packed: Packed
    readers: Shared | Alone
    shape: Ints
    strides: Ints


@dataclass
class GpuLayer:
    """See `tconv.nn.engine.Prepared`.

    Weights are packed when a plan first asks for a layout. Within the capture of a CUDA graph nothing is planned,
    compiled or packed: what has not run before is refused there.
    """

    form: Form
    _ready: dict[Key, Ready] = field(default_factory=dict)
    _packs: dict[Layout, tuple[Packed, Shared | Alone]] = field(default_factory=dict)
    _broken: bool = False

    def run(self, input: Tensor, source: Source, last: bool | None = None) -> Tensor:
        """See `tconv.nn.engine.Prepared`."""
        form = self.form
        if input.dim() != form.geometry.ndim + 2:
            return self._without_batch(input, source, last)
        tf32 = form.rounds and private.tf32()
        ready = self._ready.get((input.shape, input.stride(), last, tf32))
        if ready is None or input.dtype is not form.dtype or input.get_device() != form.index or input.is_neg():
            ready = self._met(input, source, last, tf32)
        y = torch.empty_strided(ready.shape, ready.strides, dtype=form.dtype, device=form.device)
        self._launch(ready, input, y)
        return y

    def _without_batch(self, input: Tensor, source: Source, last: bool | None) -> Tensor:
        ndim = self.form.geometry.ndim
        if input.dim() != ndim + 1:
            raise RefusedError(f"an input of {input.dim()} axes does not fit a layer of {ndim}")
        return self.run(input[None], source, last)[0]

    def run_into(self, input: Tensor, out: Tensor, source: Source) -> None:
        """See `tconv.nn.engine.Prepared`."""
        form = self.form
        tf32 = form.rounds and private.tf32()
        ready = self._ready.get((input.shape, input.stride(), out.stride(), tf32))
        if ready is None or input.dtype is not form.dtype or input.get_device() != form.index or input.is_neg():
            ready = self._met(input, source, out.stride(), tf32)
        if out.shape != ready.shape or out.dtype is not form.dtype or out.get_device() != form.index:
            raise RefusedError(f"a result of shape {ready.shape} does not fit memory of shape {tuple(out.shape)}")
        self._launch(ready, input, out)

    def way(self, input_shape: Sequence[int], last: bool) -> str:
        """See `tconv.nn.engine.Prepared`."""
        shape = input_shape if len(input_shape) == self.form.geometry.ndim + 2 else (1, *input_shape)
        output_last = last or self.form.last
        found = self._planned(shape, last, output_last, self.form.rounds and private.tf32())
        return f"{found.describe()}, channels-{'last' if output_last else 'first'}"

    def _launch(self, ready: Ready, input: Tensor, y: Tensor) -> None:
        ready.readers.meet()
        ready.launch(input, ready.packed, y)

    def _met(self, input: Tensor, source: Source, lies: Ints | bool | None, tf32: bool) -> Ready:
        """A call that is met for the first time."""
        form = self.form
        if input.dtype is not form.dtype or input.device != form.device or input.is_neg():
            raise RefusedError(
                f"the input is {input.dtype} on {input.device}, the weight {form.dtype} on {form.device}; or a lazy "
                "negation"
            )
        if input.dim() != form.geometry.ndim + 2 or input.shape[1] != form.in_channels or not input.numel():
            raise RefusedError(f"an input of shape {tuple(input.shape)} does not fit {form.in_channels} channels")
        if self._broken:
            raise RefusedError(BROKEN)
        if private.capturing():
            raise RefusedError(
                "a CUDA graph is being captured, and the layer has not run on such an input before; run it once first"
            )
        input_last = by_channels(input, 1)
        output_last = (form.last or input_last) if lies is None else lies if isinstance(lies, bool) else lies[1] == 1
        found = self._planned(input.shape, input_last, output_last, tf32)
        packed, readers = self._packed(found, source)
        shape = (input.shape[0], form.out_channels, *found.task.out_size)
        strides = dense(shape, output_last) if lies is None or isinstance(lies, bool) else lies
        ready = Ready(launcher(found, form.device), packed, readers, shape, strides)
        if len(self._ready) >= SHAPES:
            self._ready.clear()
        self._ready[input.shape, input.stride(), lies, tf32] = ready
        return ready

    def _planned(self, shape: Sequence[int], input_last: bool, output_last: bool, tf32: bool) -> Plan:
        found = plan(self.form.task(shape, input_last, output_last, tf32), self.form.card)
        if isinstance(found, Refusal):
            raise RefusedError(f"the engine does not take {found.reason}")
        return found

    def _packed(self, found: Plan, source: Source) -> tuple[Packed, Shared | Alone]:
        kept = self._packs.get(found.layout)
        if kept is None:
            packed = pack(found.layout, *source())
            self._broken = not finite(packed)  # PyTorch's may be NaN in other places than the definition, but is its
            if self._broken:
                raise RefusedError(BROKEN)
            tensors = [packed.weight] if packed.bias is None else [packed.weight, packed.bias]
            kept = packed, Shared(tensors) if packed.weight.is_cuda else Alone()
            self._packs[found.layout] = kept
        return kept


def dense(shape: Ints, last: bool) -> Ints:
    """The strides of dense memory for an array of (batch, channels, *size), channels-last or not.

    >>> dense((2, 3, 5, 7), False), dense((2, 3, 5, 7), True)
    ((105, 35, 7, 1), (105, 1, 21, 3))
    """
    order = [0, *range(2, len(shape)), 1] if last else list(range(len(shape)))
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)
