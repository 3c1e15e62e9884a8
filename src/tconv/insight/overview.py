"""`layers`: what there is to be seen in a model, layer by layer, and how much of the image each activation sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from tconv import errors
from tconv.geometry import Sizes
from tconv.insight.fields import Field, widest_field
from tconv.insight.graph import Graph
from tconv.insight.running import Calls, as_input, run, untouched

FEW = 3  # blocks, of which a model has more if one looks into them


@dataclass(frozen=True)
class LayerView:
    """A layer as one image meets it.

    Attributes:
        name: as `named_modules` gives it.
        kind: its class.
        calls: how often it is called for an image.
        channels: of its map.
        size: of its map, per axis; empty if it says nothing about where.
        field: what an activation in the middle sees, as if the image had no borders.
        image: size of the image.
    """

    name: str
    kind: str
    calls: int
    channels: int
    size: Sizes
    field: Field
    image: Sizes

    @property
    def sees_all(self) -> bool:
        """Whether one activation sees the whole image."""
        return bool(self.field.through) or all(a >= b for a, b in zip(self.field.sizes, self.image, strict=True))

    @property
    def sees(self) -> str:
        """The receptive field in words."""
        sizes = " x ".join(map(str, self.field.sizes))
        if self.field.through:
            return f"everything, through {', '.join(self.field.through)}"
        return f"{sizes}, the whole image" if self.sees_all else sizes


def layers(model: nn.Module, x: Any) -> list[LayerView]:
    """All layers that give a map when the model sees `x`, in the order of their (last) call.

    Args:
        model, x: as for `project`; nothing about the model changes.

    Raises:
        LayerError: there is none: the model has no spatial layer.
        ProjectionError: the model cannot compute `x`.
    """
    image = as_input(model, x)
    named = {module: name for name, module in model.named_modules() if name}
    watched = {module: Calls() for module in named}
    views: list[LayerView] = []
    with untouched(model):
        _, leaf = run(model, image, watched, gradients=True)
        for module, calls in sorted(watched.items(), key=lambda item: item[1].when):
            output = calls.result()
            graph = None if output is None or output.dim() != image.dim() else Graph(output, leaf)
            if output is None or graph is None or not graph.nodes:
                continue
            field, size = widest_field(graph, output.shape), tuple(output.shape[2:])
            kind = type(module).__name__
            views.append(
                LayerView(named[module], kind, calls.count, output.shape[1], size, field, tuple(image.shape[2:]))
            )
    if not views:
        raise errors.LayerError(
            f"no layer of this {type(model).__name__} gives a map (batch, channels, *size) that depends on the image; "
            f"there is nothing to see in it"
        )
    return views


def blocks(model: nn.Module, views: list[LayerView]) -> list[LayerView]:
    """The layers that stand for all: the outermost ones with weights; where they are few, the ones within them."""
    names = [view.name for view in views if any(True for _ in model.get_submodule(view.name).parameters())]
    above = {name: _outer(name, names) for name in names}
    level = [name for name in names if above[name] is None]
    while len(level) < FEW:
        within = [name for name in names if above[name] in level]
        opened = {above[name] for name in within}
        if not within:
            break
        level = [name for name in names if name in within or (name in level and name not in opened)]
    return [view for view in views if view.name in level] or views


def _outer(name: str, names: list[str]) -> str | None:
    """The innermost of the layers that a layer is a part of."""
    return max((other for other in names if name.startswith(f"{other}.")), key=len, default=None)
