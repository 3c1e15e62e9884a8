"""A convolution of a `cat` that holds an upsampled map: two layers, of which one upsamples, and their sum.

A convolution is linear in its input channels, so that conv(cat(up(x), skip)) = conv_a(up(x)) + conv_b(skip), where the
weights of the two are those of the respective channels. The first is nearest upsampling and a convolution, which is one
transposed convolution with 16 instead of 36 products for each pixel and pair of channels (scale 2, kernel 3), and
neither the upsampled map nor the `cat` is ever written. A batch norm scales both, and shifts one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.nn import private
from tconv.nn.engine import Engine, RefusedError
from tconv.nn.folding.derived import shared
from tconv.nn.folding.extract import Origin, function_of
from tconv.nn.folding.joining import activation_of
from tconv.nn.folding.laws import NoFoldError
from tconv.nn.folding.layout import lies_last
from tconv.nn.folding.parts import Activation, BatchNorm, Convolution, Nearest, Parametric, Step
from tconv.nn.folding.trial import Fold

_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "silu": lambda y: F.silu(y, inplace=True),
    "gelu": F.gelu,
}


class FoldedSplit(Fold):
    """The sum, called with the input of the upsampling, the other parts of the `cat`, and the weights' sources."""

    def __init__(
        self,
        name: str,
        up: Step,
        cat: torch.fx.Node,
        place: int,
        steps: Sequence[Step],
        origin: Origin,
        values: Sequence[Tensor],
        engine: Engine,
        winograd: bool,
    ):
        """`up` upsamples the part at `place` of `cat`, which the first of `steps` convolves."""
        super().__init__(name, engine)
        conv, *more = steps
        assert isinstance(conv.part, Convolution) and isinstance(up.part, Nearest)
        self.last = lies_last(steps[-1].node)
        parts: list[Any] = list(cat.args[0])  # type: ignore[arg-type]  # told by who found the cat
        self._others = len(parts) - 1
        self._activation = more[-1].part if more and not isinstance(more[-1].part, BatchNorm) else None
        linear = [step for step in steps if step.part is not self._activation]
        tensors = function_of(origin.made, origin.inputs, tuple(step.tensors for step in linear))
        self._slope = function_of(origin.made, origin.inputs, tuple(s.tensors for s in steps[len(linear) :]))
        ends = [0]
        for part in parts:
            ends.append(ends[-1] + int(private.example_of(part).shape[1]))
        ranges = list(pairwise(ends))
        norms = [step.part for step in linear[1:]]
        above = conv.part._replace(only=(ranges.pop(place),), biased=False)
        beside = conv.part._replace(only=tuple(ranges))
        unshifted = [norm._replace(shifts=False) for norm in norms if isinstance(norm, BatchNorm)]
        lower = function_of(origin.made, origin.inputs, ((), *(step.tensors for step in linear)))
        self._dtype = private.example_of(steps[-1].node).dtype
        self.above = shared([up.part, above, *unshifted], lower, values, engine, winograd, self._dtype)
        self.beside = shared([beside, *norms], tensors, values, engine, winograd, self._dtype)
        chain = [up.node, cat, *(step.node for step in steps)]
        others = [part for n, part in enumerate(parts) if n != place]
        self.by_steps = function_of([*origin.made, *chain], [up.input, *others, *origin.inputs], chain[-1])

    def _folded(self, x: Tensor, *tensors: Tensor) -> Tensor:
        others, sources = tensors[: self._others], tensors[self._others :]
        beside = others[0] if len(others) == 1 else torch.cat(others, 1)
        pair = [(self.beside, beside), (self.above, x)]
        layers = [derivation.derived(input, sources) for derivation, input in pair]
        results = []
        try:
            activation = self._activation_of(sources)
            for (derivation, input), layer in zip(pair, layers, strict=True):
                if layer is not None and layer.prepared is not None:
                    source = partial(derivation.weights, sources)
                    results.append(layer.prepared.run(input.to(self._dtype), source, self.last))
                elif layer is not None and layer.conv is not None:
                    results.append(layer.conv(input.to(self._dtype)))
                else:
                    return self.by_steps(x, *tensors)
        except (RefusedError, NoFoldError):
            return self.by_steps(x, *tensors)
        y, upper = results
        if y.shape != upper.shape:
            return self.by_steps(x, *tensors)  # which says what does not fit
        y += upper
        return y if activation is None else _activated(y, activation)

    def _activation_of(self, sources: tuple[Tensor, ...]) -> Activation | None:
        if not isinstance(self._activation, Activation | Parametric):
            return None
        return activation_of(self._activation, self._slope(*sources)[0])

    def derive(self, sources: tuple[Tensor, ...]) -> None:
        """Derive both layers. Raises NoFoldError if there is none."""
        self.beside.made(sources)
        if self.above.made(sources).prepared is None:
            raise NoFoldError("PyTorch's own convolution would run")


def _activated(y: Tensor, activation: Activation) -> Tensor:
    if activation.name == "leaky_relu":
        return F.leaky_relu(y, activation.slope, inplace=True)
    return _IN_PLACE[activation.name](y)
