"""Receptive fields: exactly which pixels of an image one activation depends on, borders included.

The operators between image and activation are read from autograd's graph, with the numbers they were called with, and a
box of cells is carried back through each of them; convolutions, poolings and transposed convolutions by the relation in
`tconv.geometry`. The box is the smallest one around all cells that count, whatever the weights and whichever cell wins
in a pooling. An operator that mixes all cells (attention, a global mean), or that is not known here, sees everything:
the field says which one it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tconv.geometry.forward import Span
from tconv.insight.behind import RULES
from tconv.insight.boxes import Box, box_of, hull, spans_of
from tconv.insight.graph import Graph, kind_of
from tconv.insight.step import Step, everything
from tconv.nn.private import result_shapes, saved

TRIES = 8  # neighbouring activations, whose fields differ in size behind a transposed convolution
GROWING = ("Upsample", "PixelShuffle", "ConvTranspose", "GeneratedBackwardFor_tconv")


@dataclass(frozen=True)
class Field:
    """What one activation depends on.

    Attributes:
        spans: the first and the last pixel on every axis; (0, -1) each if it depends on none.
        through: the operators for which everything counts; empty if the spans are exact.
    """

    spans: tuple[Span, ...]
    through: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return tuple(last - first + 1 for first, last in self.spans)

    @property
    def slices(self) -> tuple[slice, ...]:
        """To cut it out of an image."""
        return tuple(slice(first, last + 1) for first, last in self.spans)


def field_of(graph: Graph, shape: Sequence[int], at: Sequence[int], bounded: bool = True) -> Field:
    """The receptive field of the activation at index `at` of a layer's result.

    Args:
        graph: from the layer's result to the image.
        shape: of the layer's result.
        at: (sample, channel, *position).
        bounded: end at the borders of each map, as the model does; else how far it would look on an endless image.
    """
    arrived: dict[Any, dict[int, Box | None]] = {graph.root: {graph.number: box_of(shape, [(n, n) for n in at])}}
    through: dict[str, None] = {}
    found: Box | None = None
    for node in graph.nodes:
        results = {number: box for number, box in arrived.pop(node, {}).items() if box is not None}
        if getattr(node, "variable", None) is graph.leaf:
            found = results.get(0)
            continue
        for number, box in results.items():
            behind = _behind(node, number, box, bounded, through)
            for (after, index), reached in zip(node.next_functions, behind, strict=True):
                if after is not None:
                    into = arrived.setdefault(after, {})
                    into[index] = hull(into.get(index), reached)
    axes = graph.leaf.dim() - 2
    spans = tuple(spans_of(found)[2:]) if found is not None else ((0, -1),) * axes
    return Field(spans, tuple(through))


def _behind(node: Any, number: int, box: Box, bounded: bool, through: dict[str, None]) -> list[Box | None]:
    """Boxes of a node's inputs, one for each, behind a box of its result."""
    shapes = result_shapes(node)
    inputs = [_shape_of(after, index) for after, index in node.next_functions]
    kind = kind_of(node)
    if kind in RULES and number < len(shapes):
        found = RULES[kind](Step(node, number, box, shapes[number], inputs, bounded))
        if found is not None:
            return found
    through[kind] = None
    return everything(inputs)


def _shape_of(node: Any, number: int) -> tuple[int, ...] | None:
    """The shape of an input of a node, which is a result of the next one; None where nothing flows back."""
    if node is None:
        return None
    variable = getattr(node, "variable", None)
    if variable is not None:
        return tuple(variable.shape)
    shapes = result_shapes(node)
    return shapes[number] if number < len(shapes) else None


def widest_field(graph: Graph, shape: Sequence[int]) -> Field:
    """The field of an activation in the middle of a layer on an endless image; the largest of a few neighbours."""
    grows = any(kind_of(node).startswith(GROWING) or saved(node, "transposed") for node in graph.nodes)
    tries = TRIES if grows else 1
    fields = []
    for shift in range(tries):
        at = [0, 0, *(min(size // 2 + shift, size - 1) for size in shape[2:])]
        fields.append(field_of(graph, shape, at[: len(shape)], bounded=False))
    axes = range(len(fields[0].spans))
    best = tuple(max((each.spans[n] for each in fields), key=lambda span: span[1] - span[0]) for n in axes)
    return Field(best, fields[0].through)
