"""Plans run on tensors.

A launch through Triton's own `kernel[grid]` looks at every argument anew, which takes longer than PyTorch's layer does.
So all that depends on shapes, strides and alignment is found out once, and kept with the compiled kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tconv import errors
from tconv.nn.engines.triton.arguments import Launch, launches
from tconv.nn.engines.triton.packing import DTYPES, Packed
from tconv.nn.engines.triton.plan import Plan
from tconv.nn.engines.triton.strides import Lying, lying

ROLES = ("x", "weight", "bias", "y", "repacked", "partial")
NARROW = 2**31 - 1  # bytes of memory up to which Triton addresses AMD's buffers in 32 bits


class LaunchError(errors.TconvError):
    """A tensor is not what the plan was made for."""


class Kept(NamedTuple):
    """A kernel that was compiled, with its grid, and what it is called with after its tensors."""

    enqueue: Callable[..., Any]
    tensors: tuple[int, ...]  # places in ROLES
    rest: tuple[Any, ...]


class Launcher:
    """A plan on a device, with all that a call can be spared: compiled kernels, grids, numbers, constants.

    Kernels are kept for each combination of strides and alignments that was met.
    """

    def __init__(self, plan: Plan, device: torch.device):
        self.plan = plan
        self.device = device
        self._kept: dict[Any, tuple[Kept, ...]] = {}
        self._shapes = shapes_of(plan)
        self._whole = device.type == "cuda" and torch.version.hip is not None
        self._repacked = plan.repacked_bytes
        if device.type == "cuda":
            from triton.runtime import driver

            self._index = device.index
            self._stream: Callable[[int], int] | None = driver.active.get_current_stream
        else:
            self._index, self._stream = -1, None

    def __call__(self, x: Tensor, packed: Packed, y: Tensor, workspace: Tensor | None = None) -> None:
        """Compute the plan's task: see `launch`."""
        if self._stream is None:
            return self._interpret(x, packed, y, workspace)
        if torch.cuda.current_device() != self._index:
            with torch.cuda.device(self._index):
                return self._enqueue(x, packed, y, workspace)
        return self._enqueue(x, packed, y, workspace)

    def _enqueue(self, x: Tensor, packed: Packed, y: Tensor, workspace: Tensor | None) -> None:
        at_x, at_y = x.data_ptr(), y.data_ptr()
        places_of = x.get_device(), y.get_device(), packed.weight.get_device(), at_x & 15, at_y & 15
        key: tuple[Any, ...] = (x.shape, y.shape, x.stride(), y.stride(), x.dtype, y.dtype, places_of)
        if self._whole:
            key = (*key, *(t.untyped_storage().size() > NARROW for t in (x, y)))
        kept = self._kept.get(key)
        if kept is None or not self._fits(packed):
            kept = self._kept[key] = self._keep(x, packed, y)
        space = 0
        if self.plan.workspace:
            workspace = self._space(x, workspace)
            space = workspace.data_ptr()
        weight = packed.weight.data_ptr()
        bias = weight if packed.bias is None else packed.bias.data_ptr()
        places = at_x, weight, bias, at_y, space, space + self._repacked
        assert self._stream is not None
        stream = self._stream(self._index)
        for enqueue, tensors, rest in kept:
            enqueue(*[places[role] for role in tensors], *rest, stream=stream)

    def _fits(self, packed: Packed) -> bool:
        mine = packed.layout is self.plan.layout or packed.layout == self.plan.layout
        return mine and (packed.bias is not None) == self.plan.task.bias

    def _space(self, x: Tensor, workspace: Tensor | None) -> Tensor:
        if workspace is None:
            return torch.empty(self.plan.workspace, dtype=torch.uint8, device=x.device)
        if workspace.numel() * workspace.element_size() < self.plan.workspace or workspace.data_ptr() % 16:
            raise LaunchError(
                f"the workspace has {workspace.numel() * workspace.element_size()} bytes at {workspace.data_ptr():#x}; "
                f"the plan needs {self.plan.workspace}, aligned to 16"
            )
        return workspace

    def _keep(self, x: Tensor, packed: Packed, y: Tensor) -> tuple[Kept, ...]:
        """Compile what these tensors need, if it is not yet compiled."""
        self._check(x, packed, y)
        space = torch.empty(self.plan.workspace, dtype=torch.uint8, device=x.device)
        tensors = self._tensors(x, packed, y, space)
        return tuple(self._compiled(each, tensors) for each in launches(self.plan, *lying_as(self.plan, x, y)))

    def _compiled(self, launch: Launch, tensors: tuple[Any, ...]) -> Kept:
        roles = tuple(ROLES.index(role) for role in launch.tensors)
        kernel = kernel_of(launch.kernel)
        values = _positional(kernel, launch)
        arguments = (*(tensors[role] for role in roles), *values)
        compiled = kernel.warmup(*arguments, grid=launch.grid, **options_of(launch))
        return Kept(compiled[launch.grid], roles, values)

    def _interpret(self, x: Tensor, packed: Packed, y: Tensor, workspace: Tensor | None) -> None:
        """The same by Triton's interpreter, on the CPU."""
        self._check(x, packed, y)
        tensors = self._tensors(x, packed, y, self._space(x, workspace).view(torch.uint8).flatten())
        for each in launches(self.plan, *lying_as(self.plan, x, y)):
            kernel = kernel_of(each.kernel)
            if not _interpreted(kernel):
                raise LaunchError(
                    f"tensors on {x.device} are computed by Triton's interpreter alone; set TRITON_INTERPRET=1 before "
                    f"Triton is imported"
                )
            given = [tensors[ROLES.index(role)] for role in each.tensors]
            kernel[each.grid](*given, *_positional(kernel, each), **options_of(each))

    def _tensors(self, x: Tensor, packed: Packed, y: Tensor, space: Tensor) -> tuple[Tensor, ...]:
        """All tensors in the order of ROLES; what is not there is stood for by what no kernel then looks at."""
        bias = packed.weight if packed.bias is None else packed.bias
        repacked = space[: self._repacked].view(x.dtype) if self._repacked else x
        sums = space[self._repacked : self.plan.workspace].view(torch.float32)
        return x, packed.weight, bias, y, repacked, sums if len(sums) else packed.weight

    def _check(self, x: Tensor, packed: Packed, y: Tensor) -> None:
        dtype = DTYPES[self.plan.task.dtype]
        for name, tensor, shape in zip(("input", "output"), (x, y), self._shapes, strict=True):
            if tuple(tensor.shape) != shape or tensor.dtype != dtype:
                raise LaunchError(
                    f"the plan is for an {name} {shape} of {dtype}, not {tuple(tensor.shape)} of {tensor.dtype}"
                )
        devices = {str(t.device) for t in (x, y, packed.weight, packed.bias) if t is not None}
        if len(devices) > 1:
            raise LaunchError(f"the tensors are on {' and '.join(sorted(devices))}; move them to one device")
        if not self._fits(packed):
            raise LaunchError("the weights are packed for another layout than the plan's; pack them for this one")

    def warm(self) -> None:
        """Compile for dense, aligned tensors of the task's layouts."""
        if self._stream is None or self.plan.programs == 0:
            return
        task, dtype = self.plan.task, DTYPES[self.plan.task.dtype]
        bias = torch.float32 if task.bias else dtype
        sums = torch.float32 if self.plan.choice.split > 1 else dtype
        dtypes = dtype, dtype, bias, dtype, dtype, sums
        with torch.cuda.device(self._index):
            for each in launches(self.plan, *lying_of(self.plan)):
                self._compiled(each, dtypes)


def lying_as(plan: Plan, x: Tensor, y: Tensor) -> tuple[Lying, Lying]:
    """How these tensors lie."""
    prefer = "channel" if plan.choice.store == "columns" else "place"
    return lying(x.shape, x.stride()), lying(y.shape, y.stride(), prefer)


def lying_of(plan: Plan) -> tuple[Lying, Lying]:
    """How dense tensors of the task's layouts lie."""
    lasts = plan.task.input_last, plan.task.output_last
    x, y = (_dense(shape, last) for shape, last in zip(shapes_of(plan), lasts, strict=True))
    return lying_as(plan, x, y)


def _dense(shape: tuple[int, ...], last: bool) -> Tensor:
    """A dense tensor without memory."""
    if not last:
        return torch.empty(shape, device="meta")
    return torch.empty((shape[0], *shape[2:], shape[1]), device="meta").movedim(-1, 1)


def shapes_of(plan: Plan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of input and output."""
    task = plan.task
    return (task.batch, task.in_channels, *task.in_size), (task.batch, task.out_channels, *task.out_size)


@cache
def kernel_of(name: str) -> Any:
    """The Triton function of a module in `kernels/`."""
    return getattr(import_module(f"tconv.nn.engines.triton.kernels.{name}"), name)


def _interpreted(kernel: Any) -> bool:
    from triton.runtime.interpreter import InterpretedFunction

    return isinstance(kernel, InterpretedFunction)


def _positional(kernel: Any, launch: Launch) -> tuple[Any, ...]:
    """What follows a kernel's tensors: its numbers, and its constants in the order of their names."""
    names = kernel.arg_names[len(launch.tensors) + len(launch.numbers) :]
    return (*launch.numbers, *(launch.constants[name] for name in names))


def options_of(launch: Launch) -> dict[str, Any]:
    """What the compiler is told."""
    return {"num_warps": launch.warps, "num_stages": launch.stages, "enable_fp_fusion": True}


def launcher(plan: Plan, device: torch.device) -> Launcher:
    """The launcher of a plan on a device, remembered. Who calls often keeps it: to look for it takes a while."""
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return _launcher(plan, device)


@lru_cache(maxsize=1024)
def _launcher(plan: Plan, device: torch.device) -> Launcher:
    return Launcher(plan, device)


def launch(plan: Plan, x: Tensor, packed: Packed, y: Tensor, workspace: Tensor | None = None) -> None:
    """Enqueue the plan's task on the current stream of the tensors' device.

    Args:
        x: (batch, in_channels, *in_size), with any strides.
        packed: of the plan's layout.
        y: (batch, out_channels, *out_size), any strides; every number of it is written, and nothing between.
        workspace: at least `plan.workspace` bytes on the device, aligned to 16; default: allocated if needed.

    Raises:
        LaunchError: a tensor's shape, dtype or device is not that of the plan.
    """
    launcher(plan, x.device)(x, packed, y, workspace)


def warm(plan: Plan, device: torch.device) -> None:
    """Compile the plan's kernels for dense tensors of the task's layouts, so that the first call does not."""
    launcher(plan, device).warm()
