"""`project`: one activation of a layer, sent back to the image."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from tconv import errors
from tconv.insight.fields import Field, field_of
from tconv.insight.finding import Layer, find
from tconv.insight.graph import Graph
from tconv.insight.rules import checked_method, rectify
from tconv.insight.running import Calls, as_input, as_result, run, untouched

Position: TypeAlias = str | int | Sequence[int]


def project(
    model: nn.Module,
    x: Any,
    layer: Layer,
    channel: int | None = None,
    position: Position = "max",
    method: str = "deconvnet",
    *,
    call: int = -1,
) -> Tensor:
    """What in an image set off one activation of a layer: that activation alone, sent back through the model.

    The model runs once in evaluation mode. Every other activation of the layer is taken as zero, this one as 1, and
    goes back layer by layer: a convolution as the transposed convolution with the same weights, max pooling by the
    switches of the forward (values add up where windows overlap), batch norm by its scale, sums and concatenations to
    all their parts. What happens at an activation function f with input a, where g comes back, is the method's:

    * "deconvnet": ReLU sends back max(g, 0), wherever a was. Source: Zeiler and Fergus, "Visualizing and understanding
      convolutional networks", arXiv:1311.2901, section 2.1; Zeiler, Taylor and Fergus, "Adaptive deconvolutional
      networks for mid and high level feature learning", ICCV 2011.
    * "guided": ReLU sends back max(g, 0) where a > 0, and 0 elsewhere. Source: Springenberg et al., "Striving for
      simplicity: the all convolutional net", arXiv:1412.6806, section 3.4.
    * "gradient": g where a > 0, the derivative of the activation by the image. Source: Simonyan, Vedaldi and Zisserman,
      "Deep inside convolutional networks", arXiv:1312.6034, section 3.
    * "gradient_times_input": that, times the image, pixel by pixel. Source: Shrikumar et al., "Not just a black box",
      arXiv:1605.01713.

    Leaky ReLUs of slope s below zero (also PReLU, and RReLU with its mean slope) send back g where g > 0 and s*g
    elsewhere; "guided" multiplies that by f'(a). ELU, CELU, SELU, GELU, SiLU, Mish, Softplus and Hardswish count as the
    ReLU that they stand for: "deconvnet" sends back max(g, 0), "guided" max(g, 0)*f'(a). ReLU6 and other clamps at
    zero count as ReLU, as does `torch.maximum(a, 0)`; above their highest value they are open. Sigmoid, tanh, softmax
    and all else go back by their derivative.
    As all rules are homogeneous, the paper's seed, the activation's own value, gives the same picture times that value.

    Args:
        model: any module; parts that are compiled run as written. Afterwards it is as it was: training flags, buffers,
            gradients, hooks, random numbers. Its own hooks run, as in any call.
        x: (batch, channels, *size), floats, normalised as the model wants them; it is not written to.
        layer: a module of the model, its name, or a pattern that fits one name.
        channel: of the layer; default: the one with the highest activation (at `position`), image by image.
        position: "max", where the channel is highest, image by image; or an index on each spatial axis of the layer.
        method: one of the four; default "deconvnet".
        call: which call of a layer that is used many times, from 0; default the last.

    Returns:
        A tensor of the shape of `x`, on its device: float64 if the model computes in that, else float32.

    Raises:
        LayerError: there is no such layer, or it is not called.
        ChannelError, LengthError, InputSizeError: no such channel or position.
        ProjectionError: the model cannot compute `x`, or the layer does not depend on it in a way that can be followed.
        TconvError: an unknown method, or an image with NaN.

    >>> conv = nn.Conv2d(1, 1, 3, bias=False)
    >>> seen = project(conv, torch.ones(1, 1, 5, 5), conv, position=(0, 2))
    >>> bool((seen[0, 0, 0:3, 2:5] == conv.weight[0, 0]).all())  # the kernel, stamped
    True
    """
    checked_method(method)
    name, module = find(model, layer)
    image = as_input(model, x)
    with untouched(model):
        seen = observe(model, image, name, module, call)
        at = [_place(seen.output[n], name, channel, position) for n in range(len(seen.output))]
        return as_result(seen.back(at, method), x)


@dataclass(frozen=True)
class Seen:
    """A layer's result for an image, from which one can go back as often as one likes.

    Attributes:
        name: of the layer.
        output: its result, (batch, channels, *size).
        graph: from there to the image.
    """

    name: str
    output: Tensor
    graph: Graph

    def back(self, at: Sequence[tuple[int, ...]], method: str) -> Tensor:
        """The activations at (channel, *position), one for each image of the batch, sent back; shaped as the batch."""
        seed = torch.zeros_like(self.output)
        for n, index in enumerate(at):
            seed[(n, *index)] = 1
        undo = rectify(self.graph, method)
        try:
            (found,) = torch.autograd.grad(self.output, self.graph.leaf, seed, retain_graph=True)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise errors.ProjectionError(
                f"layer {self.name!r} cannot be followed back to the image: {said[:300]}"
            ) from error
        finally:
            undo()
        return found * self.graph.leaf.detach() if method == "gradient_times_input" else found

    def field(self, at: Sequence[int]) -> Field:
        """The receptive field of the activation at (sample, channel, *position)."""
        return field_of(self.graph, self.output.shape, at)


def observe(model: nn.Module, image: Tensor, name: str, module: nn.Module, call: int = -1) -> Seen:
    """Run the model, and keep the way back from a layer; within `untouched`.

    Raises:
        LayerError, ProjectionError: as `project` says.
    """
    calls = Calls(call)
    _, leaf = run(model, image, {module: calls}, gradients=True)
    output = wanted(calls, name, call)
    if not output.requires_grad:
        raise errors.ProjectionError(
            f"layer {name!r} is computed without a way back to the image; leave no_grad, detach and rounding out of "
            f"the model, and parameters made in inference mode"
        )
    graph = Graph(output, leaf)
    if not graph.nodes:
        raise errors.ProjectionError(f"layer {name!r} does not depend on the image; choose another one")
    return Seen(name, output, graph)


def wanted(calls: Calls, name: str, call: int) -> Tensor:
    """What the wanted call of a layer gave, (batch, channels, *size)."""
    output = calls.result()
    if not calls.count:
        raise errors.LayerError(
            f"layer {name!r} is not called when the model runs: it may be unused, its forward called by hand, or run "
            f"within TorchScript or an exported graph, whose parts are not modules any more (torch.export.unflatten "
            f"makes them so)"
        )
    if output is None and not -calls.count <= call < calls.count:
        raise errors.LayerError(f"layer {name!r} is called {calls.count} times; call {call} must be one of them")
    if output is None or output.dim() < 2:
        what = "no tensor of floats" if output is None else f"a tensor of shape {tuple(output.shape)}"
        raise errors.LayerError(f"layer {name!r} gives {what}; choose one that gives (batch, channels, *size)")
    return output


def checked_channel(channel: Any, count: int, name: str) -> int:
    """A channel of a layer as a number from 0."""
    try:
        number = operator.index(channel)
    except TypeError:
        raise errors.ArgumentTypeError(
            f"channel must be an integer, not {channel!r} ({type(channel).__name__})"
        ) from None
    if not -count <= number < count:
        raise errors.ChannelError(f"channel {number} is not there: layer {name!r} has {count}, 0 to {count - 1}")
    return number % count


def _place(output: Tensor, name: str, channel: int | None, position: Position) -> tuple[int, ...]:
    """(channel, *position) of the activation that is meant in one image's (channels, *size)."""
    count, size = output.shape[0], tuple(output.shape[1:])
    chosen = None if channel is None else checked_channel(channel, count, name)
    values = output.detach() if chosen is None else output.detach()[chosen : chosen + 1]
    if not isinstance(position, str):
        index = checked_position(position, size, name)
        where: Any = (slice(None), *index)
        values = values[where]
        return (int(values.argmax()) if chosen is None else chosen, *index)
    if position != "max":
        raise errors.TconvError(
            f"position {position!r} is unknown; give 'max', or an index on each of {len(size)} axes"
        )
    if not values.isfinite().any():
        raise errors.ProjectionError(
            f"layer {name!r} gives no finite number for this image; look at the model's weights"
        )
    found = torch.where(values.isfinite(), values, -torch.inf).argmax()
    best = tuple(int(n) for n in torch.unravel_index(found, values.shape))
    return (best[0] if chosen is None else chosen, *best[1:])


def checked_position(position: int | Sequence[int], size: tuple[int, ...], name: str) -> tuple[int, ...]:
    """An index on each spatial axis, as numbers from 0."""
    entries = tuple(position) if isinstance(position, Sequence) else (position,)
    if len(entries) != len(size):
        raise errors.LengthError(f"position {entries} has {len(entries)} entries; layer {name!r} has the size {size}")
    for n, at in zip(size, entries, strict=True):
        if not -n <= operator.index(at) < n:
            raise errors.InputSizeError(f"position {entries} lies outside layer {name!r}, which has the size {size}")
    return tuple(operator.index(at) % n for n, at in zip(size, entries, strict=True))
