"""A group norm or an instance norm, and the activation after it, in one pass of an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tconv.nn import private
from tconv.nn.engine import Engine, RefusedError
from tconv.nn.folding import trial
from tconv.nn.folding.derived import spelled
from tconv.nn.folding.extract import Origin, function_of
from tconv.nn.folding.joining import activation_of
from tconv.nn.folding.laws import NoFoldError
from tconv.nn.folding.parts import Activation, GroupNorm, Parametric, Step


class FoldedNorm(nn.Module):
    """A norm over groups of channels and perhaps an activation, called with the norm's input and their tensors.

    Nothing is derived from the tensors: what they hold at a call is what is used.
    """

    def __init__(
        self, name: str, steps: Sequence[Step], origin: Origin, engine: Engine, layout: torch.memory_format | None
    ):
        """`layout`: that of the result, where somebody depends on it; None: the input's."""
        super().__init__()
        norm = steps[0].part
        assert isinstance(norm, GroupNorm)
        self.name = name
        self.engine = engine
        self.wanted = self.by_rule = True
        self._norm = norm
        self._activation = steps[1].part if len(steps) > 1 else None
        self._layout = layout
        self._tensors = function_of(origin.made, origin.inputs, tuple(step.tensors for step in steps))
        chain = [step.node for step in steps]
        self.by_steps: Callable[..., Tensor] = function_of(
            [*origin.made, *chain], [steps[0].input, *origin.inputs], chain[-1]
        )

    def forward(self, x: Tensor, *sources: Tensor) -> Tensor:
        """The steps on `x`, with the tensors made of `sources`."""
        if (race := trial.current()) is not None:
            self.wanted = race.wanted(self, (x, *sources))
        return self.folded(x, *sources) if self.wanted else self.by_steps(x, *sources)

    def folded(self, x: Tensor, *sources: Tensor) -> Tensor:
        """The steps in one pass, where an engine takes them."""
        if private.profiling():
            with torch.profiler.record_function(f"tconv: {self.name}"):
                return self._folded(x, sources)
        return self._folded(x, sources)

    def _folded(self, x: Tensor, sources: tuple[Tensor, ...]) -> Tensor:
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
