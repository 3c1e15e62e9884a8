"""Packed weights, kept beside the tensors they were packed from and made anew when those change.

One table serves modules, functions and compiled graphs alike: a pack belongs to a weight tensor, a bias tensor and the
numbers of a call, and goes when one of the tensors goes. It is in no state_dict, and so needs no word in pickling,
deepcopy or replication: a copied tensor has no pack until it is used.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor, from_numpy, get_num_threads
from torch._C import _from_dlpack, _to_dlpack

from tconv.geometry import Geometry
from tconv.layer import Layer, prepare
from tconv.native import _core
from tconv.nn.reasons import RefusedError, refusal
from tconv.nn.team import join_pytorch

Ints: TypeAlias = tuple[int, ...]


# The numbers of a call: stride, padding, output_padding, groups, dilation; one entry per axis.
Settings: TypeAlias = tuple[Ints, Ints, Ints, int, Ints]


class Stamps(_core.Stamps):
    """What some tensors were when they were last looked at; `fit` says whether they still are."""

    @classmethod
    def of(cls, tensors: Sequence[Tensor | None], forget: Callable[[object], object] | None = None) -> Stamps:
        """The tensors as they are, or that there is none; `forget` is called when one of them goes."""
        return cls([None if t is None else (t, weakref.ref(t, forget), _sample(t)) for t in tensors], _to_dlpack)


def _sample(tensor: Tensor) -> np.ndarray[Any, Any]:
    # PyTorch counts the writes to a tensor, but not those through `tensor.data` or a NumPy array that shares its
    # memory. Some 60 spread values are compared as well: an optimiser step or an initialisation through `.data`
    # changes them.
    flat = tensor.detach().numpy().ravel(order="K")
    return flat[:: max(1, flat.size // 61)]


# The numbers of a call, the id of its bias, its tensors as they were, and what `packed` returns.
Pack: TypeAlias = tuple[Settings, int, Stamps, tuple[Layer, bool]]

# By the id of the weight, which hardly ever has more than one pack: a look at each takes less time than to hash a call.
_packs: dict[int, tuple[Pack, ...]] = {}
atexit.register(_packs.clear)  # before the compiled core goes
join_pytorch()


def packed(weight: Tensor, bias: Tensor | None, settings: Settings) -> tuple[Layer, bool]:
    """The prepared layer of these tensors and numbers: the kept one, or a new one if a tensor has changed.

    Returns:
        The layer, and whether its results are channels-last whatever the input is: `by_channels(weight)`.

    Raises:
        RefusedError: the engine does not take these tensors.
        TconvError: the arguments are no transposed convolution; see `tconv.prepare`.
    """
    for numbers, _, stamps, pack in _packs.get(id(weight), ()):
        if numbers == settings and stamps.fit((weight, bias)):
            return pack
    reason = refusal(weight=weight, bias=bias)
    if reason:
        raise RefusedError(reason)
    stride, padding, output_padding, groups, dilation = settings
    geometry = Geometry.from_torch(tuple(weight.shape[2:]), stride, padding, output_padding, dilation)
    layer = prepare(weight.detach().numpy(), None if bias is None else bias.detach().numpy(), geometry, groups)
    pack = layer, by_channels(weight)
    if not (weight.is_inference() or (bias is not None and bias.is_inference())):  # whose writes are not counted
        _keep(weight, bias, settings, pack)
    return pack


def _keep(weight: Tensor, bias: Tensor | None, settings: Settings, pack: tuple[Layer, bool]) -> None:
    key, other = id(weight), id(bias)

    def forget(_: object = None) -> None:
        others = tuple(pack for pack in _packs.pop(key, ()) if pack[:2] != (settings, other))
        if others:
            _packs[key] = others

    forget()  # what the tensors were before
    _packs[key] = (*_packs.get(key, ()), (settings, other, Stamps.of((weight, bias), forget), pack))


def by_channels(weight: Tensor) -> bool:
    """Whether PyTorch, which looks at input and weight, makes a result channels-last because the weight is."""
    return not weight.is_contiguous() and weight.dim() > 3 and weight.movedim(1, -1).is_contiguous()


def compute(layer: Layer, x: Tensor, last: bool = False) -> Tensor:
    """`layer` on a plain tensor; PyTorch's number of threads rules both.

    Args:
        layer: prepared weights.
        x: (batch, in_channels, *in_size), or without the batch.
        last: make the result channels-last; default: if the input is.

    Raises:
        TypeError, RuntimeError: NumPy cannot see the tensor's memory: see `tconv.nn.reasons.refusal`.
        TconvError: the input does not fit the layer.
    """
    size, workers = x.shape, (get_num_threads(), True)
    if len(size) == layer.exchanged and not x.is_neg():
        if last and x.is_contiguous():  # to copy such an input takes less time than what comes of it
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        try:
            return _from_dlpack(layer.exchange(_to_dlpack(x), size, last, None, workers))
        except BufferError as error:  # a device or dtype that DLPack does not know, or a tensor without memory
            raise RefusedError(str(error)) from error
    if len(size) == layer.exchanged - 1:
        return compute(layer, x[None], last)[0]
    return from_numpy(layer.computed(x.detach().numpy(), None, None, workers))  # which says what is wrong with it
