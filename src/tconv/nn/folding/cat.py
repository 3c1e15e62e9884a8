"""`cat([skip, up(x)])`: the layer writes into its part of the result, which is then written once and never copied."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from tconv.nn.engine import RefusedError
from tconv.nn.folding.chain import Folded
from tconv.nn.folding.trial import Fold


class CatInto(Fold):
    """torch.cat along the channels, where the part at `place` is the result of `folded`.

    The result of torch.cat holds each part in channels of its own. A layer that writes to strided memory writes the
    same values there that would have been copied there: exact to the bit.
    """

    def __init__(self, name: str, folded: Folded, place: int, last: bool):
        """`last`: whether PyTorch's result is channels-last in memory."""
        super().__init__(name, folded.engine)
        self.part = folded
        self._place = place
        self._last = last

    def by_steps(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """The fold, and torch.cat."""
        sources, others = self._split(tensors)
        y = self.part(x, *sources)
        return torch.cat([*others[: self._place], y, *others[self._place :]], 1)

    def _folded(self, x: Tensor, *tensors: Tensor) -> Tensor:
        """The fold, written into the result."""
        sources, others = self._split(tensors)
        prepared = self.part.prepared(x, sources) if self.part.wanted else None
        if prepared is None:
            return self.by_steps(x, *tensors)
        like = others[0]
        widths = [other.shape[1] for other in others]
        widths.insert(self._place, self.part.out_channels)
        shape = (x.shape[0], sum(widths), *like.shape[2:])
        out = self.part.engine.empty(shape, like, self._last)
        parts = list(torch.split(out, widths, 1))
        try:
            prepared.run_into(
                self.part.taken(x), parts.pop(self._place), partial(self.part.derivation.weights, sources)
            )
        except RefusedError:
            return self.by_steps(x, *tensors)  # torch.cat says what does not fit
        for part, other in zip(parts, others, strict=True):
            if part.shape != other.shape:  # copy_ would broadcast
                return self.by_steps(x, *tensors)
            part.copy_(other)
        return out

    def _split(self, tensors: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        count = self.part.sources
        return tensors[:count], tensors[count:]
