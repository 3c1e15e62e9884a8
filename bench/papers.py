"""Networks that no maintained package has, written from their papers; nothing but PyTorch is needed to make them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def dcgan(noise: int = 100, width: int = 64) -> tuple[nn.Module, Tensor]:
    """The generator of Radford et al. 2016, for 64x64 images."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(noise, 8 * width, 4, 1, 0, bias=False)]
    for n in (8, 4, 2, 1):
        layers += [nn.BatchNorm2d(n * width), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(n * width, n * width // 2 if n > 1 else 3, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh()), torch.randn(64, noise, 1, 1)


def fsrcnn(scale: int = 3, d: int = 56, s: int = 12, m: int = 4) -> tuple[nn.Module, Tensor]:
    """Dong et al. 2016."""
    layers: list[nn.Module] = [nn.Conv2d(1, d, 5, 1, 2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s)]
    for _ in range(m):
        layers += [nn.Conv2d(s, s, 3, 1, 1), nn.PReLU(s)]
    layers += [nn.Conv2d(s, d, 1), nn.PReLU(d), nn.ConvTranspose2d(d, 1, 9, scale, 4, scale - 1)]
    return nn.Sequential(*layers), torch.randn(1, 1, 240, 320)
