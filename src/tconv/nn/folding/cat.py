"""`cat([skip, up(x)])`: the layer writes into its part of the result, which is then written once and never copied."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch._C import _from_dlpack

from tconv.errors import TconvError
from tconv.layer import Layer
from tconv.native._core import lent
from tconv.nn.folding.chain import Folded


class CatInto(nn.Module):
    """torch.cat along the channels, where the part at `place` is the result of `folded` on the first argument.

    The result of torch.cat holds each part in channels of its own. A layer that writes to strided memory writes the
    same values there that would have been copied there: exact to the bit.
    """

    def __init__(self, folded: Folded, place: int):
        super().__init__()
        self.folded = folded
        self.place = place

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        layer = self.folded.layer_into()
        if layer is not None and x.dim() == layer.geometry.ndim + 2:
            try:
                return self._written(layer, x, others)
            except (TconvError, TypeError, RuntimeError):
                pass  # what torch.cat makes of these
        return self._cat(self.folded(x), others)

    def by_steps(self, x: Tensor, *others: Tensor) -> Tensor:
        """What the model computes without the fold."""
        return self._cat(self.folded.by_steps(x), others)

    def _cat(self, y: Tensor, others: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([*others[: self.place], y, *others[self.place :]], 1)

    def _written(self, layer: Layer, x: Tensor, others: tuple[Tensor, ...]) -> Tensor:
        if any((other.dim(), other.dtype, other.device) != (x.dim(), x.dtype, x.device) for other in others):
            raise TypeError("torch.cat converts some, and refuses the others")
        size = layer.geometry.output_size(tuple(x.shape[2:]))
        widths = [other.shape[1] for other in others]
        widths.insert(self.place, self.folded.out_channels)
        model = others[0]
        last = not model.is_contiguous() and model.movedim(1, -1).is_contiguous()
        shape = (x.shape[0], *size, sum(widths)) if last else (x.shape[0], sum(widths), *size)
        memory = _from_dlpack(lent(prod(shape) * x.element_size())).view(x.dtype).view(shape)
        out = memory.movedim(-1, 1) if last else memory
        parts = list(torch.split(out, widths, 1))
        layer.computed(x.numpy(), parts.pop(self.place).numpy(), None, (torch.get_num_threads(), True))
        for part, other in zip(parts, others, strict=True):
            if part.shape != other.shape:  # copy_ would broadcast, torch.cat does not
                raise TypeError("the parts do not fit")
            part.copy_(other)
        return out
