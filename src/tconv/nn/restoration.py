"""What undoes `accelerate` and `fold`, and the memory layout of a model's weights, which is the third thing to undo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tconv.nn.capture import release
from tconv.nn.engines.layouts import by_channels
from tconv.nn.fold import check_module
from tconv.nn.report import forget
from tconv.nn.swap import unswap

Model = TypeVar("Model", bound=nn.Module)

LAYOUTS = "_tconv_strides"  # on a model whose weights were made channels-last
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


class Layouts(dict[str, tuple[int, torch.Size, tuple[int, ...]]]):
    """By the name of each weight of four or five axes: its id, its shape, and the strides it had."""

    copied = False  # the ids are those of another model

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),), {"copied": True}


def restore(model: Model) -> Model:
    """Undo `accelerate` and `fold` exactly: what runs, classes, and the memory layout of the weights.

    What was exchanged since, parameters or whole layers, stays as it is now.

    Returns:
        The model itself; its parameters are the same objects as ever.

    Raises:
        TypeError: `model` is no module.
    """
    check_module(model)
    forget(model)
    release(model)
    for layer in model.modules():
        unswap(layer)
    layouts: Layouts | None = vars(model).pop(LAYOUTS, None)
    if layouts is not None:
        for name, tensor in model.named_parameters():
            _restore_layout(name, tensor, layouts)
    return model


def _restore_layout(name: str, tensor: Tensor, layouts: Layouts) -> None:
    """Give a weight the strides it had. Its values are read from the weight itself, whatever it has become."""
    if by_format(tensor) is None or not by_channels(tensor, 1):
        return
    if name not in layouts:  # computed from others since, as when a weight norm is removed
        with _of_its_kind(tensor):
            tensor.data = tensor.data.contiguous()
        return
    known, shape, strides = layouts[name]
    if tensor.shape == shape and (known == id(tensor) or layouts.copied):
        with _of_its_kind(tensor):
            own = torch.empty_strided(shape, strides, dtype=tensor.dtype, device=tensor.device)
            tensor.data = own.copy_(tensor.data)


@contextmanager
def _of_its_kind(weight: Tensor) -> Iterator[None]:
    """Within it, new memory for a weight is like its own: of an inference tensor only if it is one.

    In `torch.inference_mode()` all new tensors are, and a weight that became one could not be trained any more.
    """
    with torch.inference_mode(weight.is_inference()), torch.no_grad():
        yield


def by_format(tensor: Tensor) -> torch.memory_format | None:
    """The channels-last format for a weight of four or five axes; None for other tensors."""
    return _FORMATS.get(tensor.dim()) if tensor.layout == torch.strided else None


def _in_both(weight: Tensor, wanted: torch.memory_format) -> tuple[Tensor, Tensor]:
    with _of_its_kind(weight):
        return weight.data, weight.data.contiguous(memory_format=wanted)


class Layout:
    """The weights of a model in two memory layouts, as they were and channels-last, of which one is in use.

    Attributes:
        differs: whether the two do; weights of one axis have one layout.
        name: what a run with the other layout is called. In it signals of one axis are channels-last, too, where nobody
            can tell.
    """

    def __init__(self, model: nn.Module):
        weights = [(p, wanted) for p in model.parameters() if (wanted := by_format(p)) is not None]
        self._both = [(p, *_in_both(p, wanted)) for p, wanted in weights]
        self.differs = any(own.data_ptr() != last.data_ptr() for _, own, last in self._both)
        self.name = "channels-last weights" if self.differs else "channels-last signals"

    def use(self, last: bool) -> None:
        """Let the model have its weights in this layout; their values are the same."""
        for weight, *both in self._both:
            weight.data = both[last]


def make_channels_last(model: nn.Module, layout: Layout | None = None) -> None:
    """Lay the weights out channels-last, as `layout` has them, so that `restore` lays them out as they are now."""
    weights = ((name, p) for name, p in model.named_parameters() if by_format(p) is not None)
    vars(model)[LAYOUTS] = Layouts({name: (id(p), p.shape, p.stride()) for name, p in weights})
    (layout or Layout(model)).use(last=True)
