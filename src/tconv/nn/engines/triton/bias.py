"""The gradient of a bias: a gradient's sum over all but its channels, in an order that never changes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from tconv.nn.engines.layouts import by_channels
from tconv.nn.engines.triton.cards import Card
from tconv.nn.engines.triton.strides import FAR, unit

# Numbers of a tile, which a block adds up one tile after the other; blocks for each processor.
TILE, BLOCKS = 4096, 4
OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}


def bias_gradient(grad: Tensor, card: Card) -> Tensor | None:
    """The sum of (batch, channels, *size) over all but the channels; None if the array has gaps, or is empty.

    Sums are float32, and rounded once. Nothing is allocated but the result and its parts.
    """
    batch, channels, places = grad.shape[0], grad.shape[1], grad[0, 0].numel() if grad.shape[0] * grad.shape[1] else 0
    last = by_channels(grad, 1)
    if not (last or grad.is_contiguous()) or not batch * channels * places:
        return None
    from tconv.nn.engines.triton.kernels.summing import summing

    columns = _power(min(channels, 64 if last else 4))
    rows, across = TILE // columns, -(-channels // columns)
    wanted = max(1, BLOCKS * card.processors // (batch * across))
    tiles = -(-places // (wanted * rows))  # of a block
    parts = -(-places // (tiles * rows))
    partial = torch.empty(batch * parts, channels, dtype=torch.float32, device=grad.device)
    kernel: Any = summing
    c, p = unit(channels), unit(places)
    numbers = channels // c, places // p, parts, tiles
    wide = channels * places >= FAR
    with torch.cuda.device(grad.device) if grad.is_cuda else nullcontext():  # Triton launches on the current one
        kernel[(batch * parts, across)](grad, partial, *numbers, rows, columns, c, p, last, wide, **OPTIONS)
    return partial.sum(0).to(grad.dtype)


def _power(count: int) -> int:
    """The least power of two that is not less."""
    return 1 << (count - 1).bit_length()
