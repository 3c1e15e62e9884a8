"""Weights and biases as the kernels read them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tconv.nn.engines.triton.plan import Layout

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}

# Of float32's 23 bits of mantissa, those that tensor cores do not read of a tf32 number; the exponent's bits.
UNREAD, EXPONENT = 0x1FFF, 0x7F800000


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer's numbers on a device, for every plan whose `layout` is this one.

    Attributes:
        layout: how they lie.
        weight: of `layout.shape`, dense.
        bias: (out_channels,), float32; None if there is none.
    """

    layout: Layout
    weight: Tensor
    bias: Tensor | None


def pack(layout: Layout, weight: Tensor, bias: Tensor | None) -> Packed:
    """A layer's numbers laid out anew, on the device where they are, in new memory.

    Where a weight is NaN or Inf, the ways with a matrix product multiply it with the zeros that stand for places beyond
    the input: outputs at the border, which no such weight reaches by the definition, become NaN. `finite` says whether
    that can happen.

    Args:
        layout: `plan.layout`.
        weight: (in_channels, out_channels/groups, *kernel), of the layout's dtype.
        bias: (out_channels,), or None.

    Raises:
        ValueError: the weight is not that of the layout.
    """
    groups, ins, outs = layout.groups, layout.ins, layout.outs
    expected = (groups * ins, outs, *layout.kernel)
    if tuple(weight.shape) != expected or weight.dtype != DTYPES[layout.dtype]:
        raise ValueError(
            f"the layout is for a weight {expected} of {layout.dtype}, not {tuple(weight.shape)} of {weight.dtype}; "
            f"plan for that weight"
        )
    with torch.no_grad():
        taps = weight.detach().reshape(groups, ins, outs, -1)
        if layout.depthwise:
            packed = taps.permute(3, 1, 0, 2).reshape(layout.shape).clone(memory_format=torch.contiguous_format)
        else:
            packed = taps.new_zeros(layout.shape)
            packed[..., :ins] = taps.permute(0, 3, 2, 1)
        if layout.rounded:
            packed = rounded(packed)
        wide = None if bias is None else bias.detach().to(torch.float32).clone(memory_format=torch.contiguous_format)
    return Packed(layout, packed, wide)


def rounded(weight: Tensor) -> Tensor:
    """float32 numbers rounded to the nearest that tensor cores tell apart; they would cut the rest off.

    Ties go to the even one. NaN and Inf stay, and what would become Inf is cut off.
    """
    bits = weight.contiguous().view(torch.int32)
    up = bits + (UNREAD >> 1) + ((bits >> 13) & 1)
    up = torch.where((up & EXPONENT) == EXPONENT, bits, up) & ~UNREAD
    special = (bits & EXPONENT) == EXPONENT
    return torch.where(special, bits, up).view(torch.float32)


def finite(packed: Packed) -> bool:
    """Whether no weight is NaN or Inf; waits for the device."""
    return bool(torch.isfinite(packed.weight).all())
