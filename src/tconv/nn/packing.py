"""Prepared layers, kept beside the tensors they were prepared from and made anew when those change.

One table serves modules, functions and compiled graphs alike: an entry belongs to a weight, a bias and the numbers of a
call. It goes when the memory of one of the tensors goes, as it does after `.half()` too. It is in no state_dict, and so
needs no word in pickling, deepcopy or replication: a copied tensor has no entry until it is used.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from tconv.errors import TconvError
from tconv.geometry import Geometry
from tconv.native import _core
from tconv.nn import private
from tconv.nn.engine import DeferredError, Engine, Ints, Prepared, RefusedError, Settings

# So many input pixels, and all values of the weights are compared at each call, which then costs less than 2 % of it: a
# value is compared in 0.25 ns and used once for each pixel, in 10 ps with two threads (AMD EPYC, Zen 4). Below, some 60
# values are, which an optimiser step or an initialisation through `.data` changes.
PIXELS_FOR_FULL_CHECK = 2048


class Stamps:
    """What some tensors were when they were last looked at; `fit` says whether they still are.

    PyTorch counts the writes to a tensor, but not those through `tensor.data` or a NumPy array that shares its memory:
    so values are compared as well, all or some. Not so on a GPU, whose memory cannot be read without waiting for it.
    """

    def __init__(self, tensors: Sequence[Tensor | None], forget: Callable[[object], object] | None = None):
        """`forget` is called when the memory of one of the tensors goes."""
        native = all(tensor is None or tensor.is_cpu for tensor in tensors)
        stamps = _core.Stamps(list(tensors), private.to_dlpack) if native else Places(tensors)
        # References to the memory, not to the tensors: torch.utils.swap_tensors refuses tensors with weak references.
        held = [t.untyped_storage() for t in tensors if t is not None] if forget is not None else []
        self._memory = [weakref.ref(storage, forget) for storage in held]
        self.fit: Callable[[tuple[Tensor | None, ...], bool], bool] = stamps.fit


class Places:
    """Where some tensors were, and how many writes to them PyTorch had counted."""

    def __init__(self, tensors: Sequence[Tensor | None]):
        self._places = [
            None
            if tensor is None
            else (tensor._version, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            for tensor in tensors
        ]

    def fit(self, tensors: tuple[Tensor | None, ...], all: bool = False) -> bool:
        """Whether they still are there, unwritten; `all` means nothing here."""
        if len(tensors) != len(self._places):
            return False
        for tensor, place in zip(tensors, self._places, strict=True):
            if tensor is None or place is None:
                if tensor is not None or place is not None:
                    return False
                continue
            version, address, dtype, shape, stride = place  # an address is of one device
            if (
                tensor.is_inference()  # whose writes are not counted
                or tensor._version != version
                or tensor.data_ptr() != address
                or tensor.dtype is not dtype
                or tensor.shape != shape
                or tensor.stride() != stride
                or tensor.is_neg()
            ):
                return False
        return True


# The numbers of a call; with the dtype that its tensors are rounded to first, where autocast is on.
Numbers: TypeAlias = Settings | tuple[Settings, torch.dtype]

# The numbers of a call, the id of its bias, its tensors as they were, the layer, and how many values an input has for
# which all of the tensors' are compared.
Kept: TypeAlias = tuple[Numbers, int, Stamps, Prepared, int]

# By the id of the weight, which hardly ever has more than one entry: a look at each is faster than to hash a call.
_kept: dict[int, tuple[Kept, ...]] = {}
atexit.register(_kept.clear)  # before the compiled core goes


def kept(weight: Tensor, bias: Tensor | None, settings: Numbers, values: int) -> Prepared | None:
    """The layer kept for these very tensors and numbers, if there is one and nothing has changed since.

    Args:
        weight, bias, settings: those of the call.
        values: of the input; from `PIXELS_FOR_FULL_CHECK` pixels on, every value of the tensors is compared.
    """
    for numbers, _, stamps, prepared, many in _kept.get(id(weight), ()):
        if numbers == settings and stamps.fit((weight, bias), values >= many):
            return prepared
    return None


def prepare(
    engine: Engine, weight: Tensor, bias: Tensor | None, settings: Settings, dtype: torch.dtype | None = None
) -> Prepared:
    """A new layer of these tensors and numbers, which is kept from now on; of tensors rounded to `dtype`, if given.

    Raises:
        DeferredError: see `Engine.packs_at_once`.
        RefusedError: the arguments are no transposed convolution that the engine takes.
    """
    if not engine.packs_at_once:
        if weight.is_inference() or (bias is not None and bias.is_inference()):
            raise RefusedError("writes to inference tensors are not counted, so that nothing packed can be kept")
        if not isinstance(weight, torch.nn.Parameter) and _is_new(weight):
            raise DeferredError("weights that are no parameters are packed when they are met again, unchanged")
    stride, padding, output_padding, groups, dilation = settings
    geometry = geometry_of(tuple(weight.shape[2:]), stride, padding, output_padding, dilation)
    prepared = engine.prepare(*rounded(weight, bias, dtype), geometry, groups)
    if not (weight.is_inference() or (bias is not None and bias.is_inference())):  # whose writes are not counted
        _keep(weight, bias, settings if dtype is None else (settings, dtype), prepared)
    return prepared


def _count_fused(optimizer: Optimizer, args: object, kwargs: object) -> None:
    """Count the writes of a fused optimizer's step, as PyTorch counts those of all others."""
    groups = (group["params"] for group in optimizer.param_groups if group.get("fused"))
    if stepped := [p for params in groups for p in params if p.grad is not None and not p.is_inference()]:
        increment_version(stepped)


register_optimizer_step_post_hook(_count_fused)


# By the id of weights that are no parameters: what they were when they were met, until their memory goes.
_met: dict[int, Stamps] = {}
atexit.register(_met.clear)


def _is_new(weight: Tensor) -> bool:
    """Whether a weight has not been met as it is now."""
    key = id(weight)
    stamps = _met.get(key)
    if stamps is not None and stamps.fit((weight,), False):
        return False
    _met[key] = Stamps((weight,), lambda _: _met.pop(key, None))
    return True


def rounded(weight: Tensor, bias: Tensor | None, dtype: torch.dtype | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias in a dtype; as they are, if there is none."""
    return weight if dtype is None else weight.to(dtype), bias if dtype is None or bias is None else bias.to(dtype)


@lru_cache(maxsize=256)
def geometry_of(kernel: Ints, stride: Ints, padding: Ints, output_padding: Ints, dilation: Ints) -> Geometry:
    """`Geometry.from_torch` for an engine, which refuses what it refuses: PyTorch then says what it makes of that."""
    try:
        return Geometry.from_torch(kernel, stride, padding, output_padding, dilation)
    except TconvError as error:
        raise RefusedError(str(error)) from error


def _keep(weight: Tensor, bias: Tensor | None, settings: Numbers, prepared: Prepared) -> None:
    key, call = id(weight), (settings, id(bias))

    def forget(_: object = None) -> None:
        others = tuple(entry for entry in _kept.pop(key, ()) if entry[:2] != call)
        if others:
            _kept[key] = others

    forget()  # what the tensors were before
    many = PIXELS_FOR_FULL_CHECK * max(1, weight.shape[0])
    _kept[key] = (*_kept.get(key, ()), (*call, Stamps((weight, bias), forget), prepared, many))
