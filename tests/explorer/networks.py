"""Networks on one axis in PyTorch, all weights one: which inputs an output depends on is which have a gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blocks(x: Tensor, padding: int = 1) -> Tensor:
    """Two convolutions of kernel 3."""
    three = torch.ones(1, 1, 3, dtype=x.dtype)
    return F.conv1d(F.conv1d(x, three, padding=padding), three, padding=padding)


def unet(x: Tensor, depth: int, kernel: int, padding: int, stride: int = 2, unpadded: bool = False) -> Tensor:
    """Average pooling, through which gradients reach all that maximum pooling could choose."""
    block = 0 if unpadded else 1
    skip = blocks(x, block)
    if depth == 0:
        return skip
    below = unet(F.avg_pool1d(skip, stride), depth - 1, kernel, padding, stride, unpadded)
    missing = skip.shape[2] - (stride * (below.shape[2] - 1) + kernel - 2 * padding)
    extra = missing if 0 <= missing < stride else 0
    ones = torch.ones(1, 1, kernel, dtype=x.dtype)
    up = F.conv_transpose1d(below, ones, stride=stride, padding=padding, output_padding=extra)
    over = skip.shape[2] - up.shape[2]
    half = abs(over) // 2
    lo, hi = (half, over - half) if over >= 0 else (-half, over + half)
    return blocks(F.pad(skip, (-lo, -hi)) + up, block)


def fcn(x: Tensor, strides: tuple[int, ...]) -> Tensor:
    maps = [F.pad(x, (0, -x.shape[2] % 32), mode="replicate")]
    for _ in range(5):
        maps.append(F.avg_pool1d(blocks(maps[-1]), 2))
    y = maps.pop()
    for n, s in enumerate(strides):
        ones = torch.ones(1, 1, 2 * s, dtype=x.dtype)
        y = F.conv_transpose1d(y, ones, stride=s, padding=s // 2)
        if n < len(strides) - 1:
            y = y + maps.pop()
    return y[:, :, : x.shape[2]]


def pixels(size: int) -> Tensor:
    """An image of one axis."""
    return torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)


def counting(x: Tensor, y: Tensor, cell: int) -> list[int]:
    """The inputs that an output depends on."""
    (gradient,) = torch.autograd.grad(y[0, 0, cell], x, retain_graph=True)
    found: list[int] = gradient[0, 0].nonzero().ravel().tolist()
    return found
