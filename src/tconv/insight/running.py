"""A model run once, as it is written and in evaluation mode, with nothing about it changed afterwards.

What a layer gives is copied at once: many models write into it with the next line, `relu_` among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tconv import errors
from tconv.insight.inplace import BesideViews
from tconv.nn.private import eagerly


@dataclass
class Calls:
    """What the calls of one layer gave.

    Attributes:
        wanted: which call is kept; negative numbers count from the last.
        count: calls so far.
        kept: results by the number of the call; those that may still be wanted.
        when: how many calls of all layers that are watched came before the last one.
    """

    wanted: int = -1
    count: int = 0
    kept: dict[int, Tensor] = field(default_factory=dict)
    when: int = -1

    def add(self, output: Any, when: int) -> None:
        """A further call."""
        tensor = first_tensor(output)
        if tensor is not None and (self.wanted < 0 or self.wanted == self.count):
            self.kept[self.count] = tensor.clone()
            if self.wanted < 0:
                self.kept.pop(self.count + self.wanted, None)
        self.count += 1
        self.when = when

    def result(self) -> Tensor | None:
        """What the wanted call gave, or None if there was none."""
        return self.kept.get(self.wanted if self.wanted >= 0 else self.count + self.wanted)


def first_tensor(output: Any) -> Tensor | None:
    """The first tensor of real floating numbers in what a layer gave: itself, or in a tuple, a list or a dict."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, Sequence) and not isinstance(output, str | bytes):
        return next((found for each in output if (found := first_tensor(each)) is not None), None)
    return None


def run(model: nn.Module, x: Tensor, watched: Mapping[nn.Module, Calls], gradients: bool) -> tuple[Any, Tensor]:
    """Run the model on a copy of `x`.

    Args:
        x: as `as_input` gives it.
        watched: layers, and where their results go.
        gradients: whether one wants to go back from there.

    Returns:
        What the model gave; and the leaf of autograd's graph, the copy of `x`.

    Raises:
        ProjectionError: the model cannot compute this input.
    """
    leaf = x.detach().clone().requires_grad_(gradients)
    handles: list[Any] = []
    clock = count()
    try:
        for module, calls in watched.items():
            handles.append(module.register_forward_hook(partial(_note, calls, clock)))
        with BesideViews() if gradients else nullcontext():
            # A leaf may not be written to, which models with an in-place activation in front do.
            return model(leaf.clone()), leaf
    except (RuntimeError, ValueError, IndexError) as error:
        said = " ".join(str(error).split())
        raise errors.ProjectionError(
            f"the model cannot compute an image of shape {tuple(x.shape)}, {str(x.dtype).removeprefix('torch.')}: "
            f"{said[:300]}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()


def _note(calls: Calls, clock: Iterator[int], module: nn.Module, inputs: Any, output: Any) -> None:
    """A forward hook."""
    calls.add(output, next(clock))


@contextmanager
def untouched(model: nn.Module, gradients: bool = True) -> Iterator[None]:
    """Within it the model is in evaluation mode, and what is compiled runs as written; then all is as it was before.

    Restored are the training flag of every module, buffers, the random numbers of PyTorch on CPU and GPUs, and whether
    gradients are recorded, also where the block raises. Parameters, their gradients and hooks are not touched at all.
    """
    flags = [(module, module.training) for module in model.modules() if hasattr(module, "training")]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in _own_buffers(module)
    ]
    versions = [_version(buffer) for _, _, buffer, _ in buffers]
    with torch.random.fork_rng(_gpus(model)), torch.inference_mode(False), torch.set_grad_enabled(gradients), eagerly():
        try:
            for module, _ in flags:
                module.training = False
            yield
        finally:
            for module, flag in flags:
                module.training = flag
            for (module, name, buffer, values), version in zip(buffers, versions, strict=True):
                if dict(_own_buffers(module)).get(name) is not buffer:
                    setattr(module, name, buffer)
                if version is None or _version(buffer) != version:
                    with torch.no_grad():
                        buffer.copy_(values)


def _own_buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
    return list(module.named_buffers(recurse=False))


def _version(tensor: Tensor) -> int | None:
    """How often a tensor was written to; None where PyTorch does not count."""
    return None if tensor.is_inference() else tensor._version


def _gpus(model: nn.Module) -> list[int]:
    """The CUDA devices that the model lies on."""
    tensors = chain(model.parameters(), model.buffers())
    return sorted({t.device.index or 0 for t in tensors if t.device.type == "cuda"})


def check_model(model: object) -> None:
    """Refuse what is no module."""
    if not isinstance(model, nn.Module):
        what = f"the class {model.__name__}; call it" if isinstance(model, type) else type(model).__name__
        cure = "; torch.export.unflatten(program) is one" if what == "ExportedProgram" else ""
        raise errors.ArgumentTypeError(f"the model must be a torch.nn.Module, not {what}{cure}")


def as_input(model: nn.Module, x: Any, name: str = "x") -> Tensor:
    """`x` as the model takes it: on its device and in its dtype.

    Raises:
        ArgumentTypeError, DtypeError, RankError, InputSizeError: no tensor of finite floats with a batch axis.
    """
    check_model(model)
    try:
        tensor = x if isinstance(x, Tensor) else torch.tensor(np.ascontiguousarray(x))
    except (TypeError, ValueError, RuntimeError):
        raise errors.ArgumentTypeError(f"{name} must be a tensor or an array, not {type(x).__name__}") from None
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise errors.DtypeError(
            f"{name} has dtype {kind}; give floats, scaled as those that the model was trained on, such as x / 255"
        )
    if tensor.dim() < 3:
        raise errors.RankError(f"{name} has shape {tuple(tensor.shape)}; it must be (batch, channels, *size)")
    if tensor.numel() == 0:
        raise errors.InputSizeError(f"{name} has shape {tuple(tensor.shape)}, without a single number; give an image")
    bad = int((~tensor.isfinite()).sum())
    if bad:
        raise errors.TconvError(f"{name} has {bad} values that are NaN or infinite; replace them")
    own = next((t for t in chain(model.parameters(), model.buffers()) if t.is_floating_point()), tensor)
    return tensor.detach().to(own.device, own.dtype)


def as_result(found: Tensor, x: Any) -> Tensor:
    """A picture of what was found: float64 where that was computed in, else float32; on the device of `x`."""
    dtype = torch.float64 if found.dtype == torch.float64 else torch.float32
    device = x.device if isinstance(x, Tensor) else "cpu"
    return found.detach().to(device, dtype)
