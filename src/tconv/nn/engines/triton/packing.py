"""Weights and biases as the kernels read them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tconv.nn.engines.triton.plan import Layout


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer's numbers on a device, for every plan whose `layout` is this one.

    Attributes:
        layout: how they lie.
        weight: as `Layout` says.
        bias: (out_channels,), float32; None if there is none.
    """

    layout: Layout
    weight: Tensor
    bias: Tensor | None


def pack(layout: Layout, weight: Tensor, bias: Tensor | None) -> Packed:
    """A layer's numbers laid out anew, on the device where they are, in new memory.

    Args:
        layout: `plan.layout`.
        weight: (in_channels, out_channels/groups, *kernel).
        bias: (out_channels,), or None.
    """
    raise NotImplementedError
