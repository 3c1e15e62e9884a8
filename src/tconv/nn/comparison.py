"""Old against new: the same inputs, in turns, with the largest error and the best times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tconv.nn import private

Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
SECONDS = 0.2  # of measuring, per comparison
LONG = 0.05  # seconds of a run that is timed once only
HALF = (torch.float16, torch.bfloat16)
ROUNDINGS = 16  # of half precision, that a model's result may be off by: 12 % in bfloat16, 1.6 % in float16 and TF32
TF32 = 2.0**-10  # what a number of ten bits may be off by, relative to itself, between two roundings


@dataclass(frozen=True)
class Comparison:
    """Seconds of old and new, and the largest error relative to the largest value."""

    before: float
    after: float
    error: float

    @property
    def faster(self) -> bool:
        return self.after < self.before

    def __str__(self) -> str:
        ratio = self.before / self.after
        return f"{self.before * 1e3:.3g} -> {self.after * 1e3:.3g} ms ({ratio:.2f}x), error {self.error:.1e}"


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode and without gradients, so that a run leaves no trace in the model."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def at_first_calls(
    model: nn.Module, run: Callable[[], object], modules: Mapping[str, nn.Module], use: Callable[[str, Call], object]
) -> None:
    """Run the model by `run`, and `use` what each of the modules is called with, before its first call.

    The run goes on after each use, so that no more tensors are held than the model holds at that moment.
    """
    hooks: dict[str, RemovableHandle] = {}
    for name, module in modules.items():

        def note(_: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
            hooks[name].remove()
            use(name, (args, kwargs))

        hooks[name] = module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with evaluating(model):
            run()
    finally:
        for hook in hooks.values():
            hook.remove()


def wall_clock(run: Callable[[], object]) -> float:
    """How many seconds a run takes until it returns."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(
    old: Callable[..., Any],
    new: Callable[..., Any],
    call: Call,
    trained: nn.Module | None = None,
    seconds: float = SECONDS,
    clock: Callable[[Callable[[], object]], float] = wall_clock,
) -> Comparison:
    """Run both in turns on one call, at least twice after a first run each; once, where a run takes long.

    Args:
        old, new: two ways to compute the same.
        call: their arguments.
        trained: the layer whose gradients are computed too, with those of the first argument; default: none are.
        seconds: how long to measure, if that is more than the least.
        clock: how many seconds what it is given takes; default: until it returns.
    """
    args, kwargs = call
    with torch.set_grad_enabled(trained is not None):
        runs: list[Callable[[], Any]] = [partial(f, *args, **kwargs) for f in (old, new)]
        if trained is not None:
            runs = [_with_gradients(f, trained, args, kwargs) for f in (old, new)]
        expected: list[Any] = []
        least = 2 if clock(lambda: expected.append(runs[0]())) < LONG else 1
        error = largest_error(expected.pop(), runs[1]())
        times: list[list[float]] = [[], []]
        end = time.perf_counter() + seconds
        while len(times[0]) < least or time.perf_counter() < end:
            for run, noted in zip(runs, times, strict=True):
                noted.append(clock(run))
    return Comparison(min(times[0]), min(times[1]), error)


def _with_gradients(
    function: Callable[..., Any], layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], Any]:
    first = args[0].detach().requires_grad_()
    wanted = [first, *(p for p in layer.parameters(recurse=False) if p.requires_grad)]

    def run() -> Any:
        y = function(first, *args[1:], **kwargs)
        torch.autograd.grad(y, wanted, torch.ones_like(y), allow_unused=True)
        return y.detach()

    return run


def largest_error(expected: Any, actual: Any) -> float:
    """The largest difference between two results' numbers, relative to the largest number of their tensor.

    Infinite where the results differ in number, shape, dtype or device of their tensors, in a whole number, or in a
    number that is not finite.
    """
    old, new = tensors_in(expected), tensors_in(actual)
    if len(old) != len(new):
        return math.inf
    largest = [_largest(tensor) for tensor in old]
    least = 1e-6 * max(largest, default=0)  # what is all rounding errors of larger numbers is not held to itself
    return max((_error(a, b, max(scale, least)) for a, b, scale in zip(old, new, largest, strict=True)), default=0.0)


def coarseness(results: Any) -> float:
    """The rounding step, relative to a number, of the coarsest numbers that results may have been computed in.

    That of half precision, where results are in it or autocast chooses it, or of TF32, to which NVIDIA's GPUs round
    float32 where PyTorch's switches let them; 0 where all is in single or double precision.
    """
    tensors = tensors_in(results)
    dtypes = [*private.autocast_dtypes(), *(tensor.dtype for tensor in tensors)]
    steps = [torch.finfo(dtype).eps for dtype in dtypes if dtype in HALF]
    if private.tf32() and any(tensor.is_cuda and tensor.dtype is torch.float32 for tensor in tensors):
        steps.append(TF32)
    return max(steps, default=0.0)


def as_exact(exact: Any, old: Any, new: Any, times: float = 2) -> bool:
    """Whether results in half precision that differ only differ as such results do.

    That is, whether `new` is at most `times` as far as `old` from what finer numbers give, which `exact` is. Not so
    where `old` itself is farther from it than some rounding explains, as with other random numbers: that tells nothing.
    """
    step = coarseness(old)
    finest, *both = ([_in_single(tensor) for tensor in tensors_in(each)] for each in (exact, old, new))
    single = [a.to(b.dtype) if _has_fractions(b) else a for a, b in zip(finest, both[0], strict=False)]
    own, others = (largest_error(single, each) for each in both)
    return step > 0 and own <= ROUNDINGS * step and others <= times * own


def finer(tensors: Sequence[Tensor]) -> torch.dtype:
    """In which precision to compute what results in coarse numbers are held to: double, where single may be TF32."""
    return torch.float64 if private.tf32() and any(tensor.is_cuda for tensor in tensors) else torch.float32


def widened(value: Any, dtype: torch.dtype = torch.float32) -> Any:
    """Tensors in tuples, lists and mappings, with those of coarser numbers in `dtype`, single or double precision."""
    if isinstance(value, Tensor):
        coarser = HALF if dtype is torch.float32 else (*HALF, torch.float32)
        return value.to(dtype) if value.dtype in coarser else value
    if isinstance(value, Mapping):
        return {key: widened(item, dtype) for key, item in value.items()}
    return type(value)(widened(item, dtype) for item in value) if type(value) in (tuple, list) else value


def _in_single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALF else tensor


def _largest(tensor: Tensor) -> float:
    numbers = tensor[tensor.isfinite()] if _has_fractions(tensor) else tensor.reshape(-1)[:0]
    return float(numbers.abs().max()) if numbers.numel() else 0.0


def _has_fractions(tensor: Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.device.type != "meta"


def _error(a: Tensor, b: Tensor, scale: float) -> float:
    if a.shape != b.shape or a.dtype != b.dtype or a.device != b.device:
        return math.inf
    if a.device.type == "meta" or not a.numel():
        return 0.0
    if not _has_fractions(a):
        return 0.0 if torch.equal(a, b) else math.inf
    finite = a.isfinite()
    if not torch.equal(finite, b.isfinite()) or not torch.equal(*(t[~finite].nan_to_num() for t in (a, b))):
        return math.inf
    difference = (a[finite] - b[finite]).abs()
    return float(difference.max()) / (scale or 1) if difference.numel() else 0.0


def tensors_in(result: Any, depth: int = 8) -> list[Tensor]:
    """The tensors in a result: in tuples, lists, mappings, and the attributes of what is none of these."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, Mapping):
        values = list(result.values())
    elif isinstance(result, list | tuple | set):
        values = list(result)
    else:
        values = list(getattr(result, "__dict__", {}).values())
    return [tensor for value in values for tensor in tensors_in(value, depth - 1)] if depth else []
