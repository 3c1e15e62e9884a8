"""A chain of steps run as one layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from tconv.nn import private
from tconv.nn.engine import Engine, Prepared, RefusedError
from tconv.nn.folding.derived import shared
from tconv.nn.folding.extract import Origin, function_of
from tconv.nn.folding.layout import lies_last
from tconv.nn.folding.parts import Step
from tconv.nn.folding.trial import Fold


class Folded(Fold):
    """Steps of a graph run as one layer, called with the steps' input and the tensors that their weights are made of.

    Where there is no layer, because a weight has just changed or it no longer folds, and where the engine refuses, the
    steps run as they are written.
    """

    def __init__(
        self,
        name: str,
        steps: Sequence[Step],
        origin: Origin,
        values: Sequence[Tensor],
        engine: Engine,
        winograd: bool,
    ):
        """`origin`: of the steps' tensors; `values`: the graph's inputs that they are made of."""
        super().__init__(name, engine)
        self.sources = len(origin.inputs)
        self.out_channels = int(private.example_of(steps[-1].node).shape[1])
        chain = [step.node for step in steps]
        self.last = lies_last(chain[-1])
        tensors = function_of(origin.made, origin.inputs, tuple(step.tensors for step in steps))
        dtype = private.example_of(chain[-1]).dtype
        self.derivation = shared([step.part for step in steps], tensors, values, engine, winograd, dtype)
        self.by_steps = function_of([*origin.made, *chain], [steps[0].input, *origin.inputs], chain[-1])

    def _folded(self, x: Tensor, *sources: Tensor) -> Tensor:
        derived = self.derivation.derived(x, sources)
        if derived is None:
            return self.by_steps(x, *sources)
        taken = self.taken(x)
        if derived.conv is not None:
            return derived.conv(taken)
        assert derived.prepared is not None
        try:
            y = derived.prepared.run(taken, partial(self.derivation.weights, sources), self.last)
        except RefusedError:
            return self.by_steps(x, *sources)  # which says what is wrong with it
        return y if derived.phases is None else _add_phases(y, derived.phases)

    def taken(self, x: Tensor) -> Tensor:
        """The input in the dtype of the layer, to which autocast rounds it."""
        return x if x.dtype is self.derivation.dtype else x.to(self.derivation.dtype)

    def prepared(self, x: Tensor, sources: tuple[Tensor, ...]) -> Prepared | None:
        """The layer whose result is this one's, so that it can be written into a view; None if there is none."""
        derived = self.derivation.derived(x, sources)
        return None if derived is None or derived.phases is not None else derived.prepared

    @property
    def may_write_into(self) -> bool:
        """Whether the layer that was derived can be written into a view."""
        derived = self.derivation.now
        return derived is not None and derived.prepared is not None and derived.phases is None

    def by_winograd(self, shape: Sequence[int]) -> bool:
        """Whether an input of this shape would be computed by Winograd's algorithm."""
        derived = self.derivation.now
        if derived is None or derived.prepared is None:
            return False
        return "winograd" in derived.prepared.way(shape, self.last)


def _add_phases(y: Tensor, phases: Tensor) -> Tensor:
    """The bias of each phase, added to `y` itself, which is new and whose sizes are multiples of the strides."""
    out, *scales = phases.shape
    first, cells = y.dim() - len(scales), y
    for axis in reversed(range(len(scales))):
        cells = torch.unflatten(cells, first + axis, (-1, scales[axis]))
    cells += phases.view(out, *(n for r in scales for n in (1, r)))
    return y
