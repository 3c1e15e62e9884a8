"""A group norm or an instance norm, and the activation after it, in one pass of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tconv.nn.engine import Engine, RefusedError
from tconv.nn.folding.derived import spelled
from tconv.nn.folding.extract import Origin, function_of
from tconv.nn.folding.joining import activation_of
from tconv.nn.folding.laws import NoFoldError
from tconv.nn.folding.parts import Activation, GroupNorm, Parametric, Step
from tconv.nn.folding.trial import Fold


class FoldedNorm(Fold):
    """A norm over groups of channels and perhaps an activation, called with the norm's input and their tensors.

    Nothing is derived from the tensors: what they hold at a call is what is used.
    """

    def __init__(
        self, name: str, steps: Sequence[Step], origin: Origin, engine: Engine, layout: torch.memory_format | None
    ):
        """`layout`: that of the result, where somebody depends on it; None: the input's."""
        super().__init__(name, engine)
        norm = steps[0].part
        assert isinstance(norm, GroupNorm)
        self._norm = norm
        self._activation = steps[1].part if len(steps) > 1 else None
        self._layout = layout
        self._tensors = function_of(origin.made, origin.inputs, tuple(step.tensors for step in steps))
        chain = [step.node for step in steps]
        self.by_steps = function_of([*origin.made, *chain], [steps[0].input, *origin.inputs], chain[-1])

    def _folded(self, x: Tensor, *sources: Tensor) -> Tensor:
        (weight, bias), *more = self._tensors(*sources)
        try:
            groups = self._norm.groups or x.shape[1]
            y = self.engine.normalise(x, weight, bias, groups, self._norm.eps, self._named(more))
        except (RefusedError, NoFoldError):
            return self.by_steps(x, *sources)
        return y if self._layout is None else y.contiguous(memory_format=self._layout)

    def _named(self, tensors: list[Any]) -> str | tuple[str, float] | None:
        if not isinstance(self._activation, Activation | Parametric):
            return None
        return spelled(activation_of(self._activation, tensors[0]))
