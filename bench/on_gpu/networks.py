"""Networks with random weights, written from their descriptions so that a GPU machine needs no package but PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from papers import dcgan, fsrcnn
from torch import Tensor, nn


class UNet(nn.Module):
    """Ronneberger et al. 2015 as milesial/Pytorch-UNet has it: padded, batch norms, transposed convolutions."""

    def __init__(self, width: int = 64, levels: int = 4, classes: int = 2):
        super().__init__()
        widths = [width * 2**n for n in range(levels + 1)]
        self.down = nn.ModuleList(_pair(nn.Conv2d, nn.BatchNorm2d, a, b) for a, b in pairwise([3, *widths]))
        reversed_pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed_pairs)
        self.join = nn.ModuleList(_pair(nn.Conv2d, nn.BatchNorm2d, b, a) for a, b in reversed_pairs)
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for down in self.down:
            x = down(nn.functional.max_pool2d(skips[-1], 2) if skips else x)
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, skips[-2::-1], strict=True):
            x = join(torch.cat([skip, up(x)], 1))
        y: Tensor = self.out(x)
        return y


class UNet3D(nn.Module):
    """nnU-Net's plain network: instance norms, leaky ReLUs, strided convolutions down, transposed ones up."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 320), classes: int = 3):
        super().__init__()
        pairs = pairwise((1, *widths))
        self.down = nn.ModuleList(
            _pair(nn.Conv3d, nn.InstanceNorm3d, a, b, stride=1 if n == 0 else 2) for n, (a, b) in enumerate(pairs)
        )
        reversed_pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, 2) for a, b in reversed_pairs)
        self.join = nn.ModuleList(_pair(nn.Conv3d, nn.InstanceNorm3d, 2 * a, a) for a, _ in reversed_pairs)
        self.out = nn.Conv3d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, skips[-2::-1], strict=True):
            x = join(torch.cat([up(x), skip], 1))
        y: Tensor = self.out(x)
        return y


def _pair(conv: Any, norm: Any, a: int, b: int, stride: int = 1) -> nn.Sequential:
    """Two convolutions of three, each with a norm and an activation."""

    def activation() -> nn.Module:
        return nn.ReLU(inplace=True) if norm is nn.BatchNorm2d else nn.LeakyReLU(0.01, inplace=True)

    def normed() -> nn.Module:
        made: nn.Module = norm(b) if norm is nn.BatchNorm2d else norm(b, affine=True)
        return made

    first = conv(a, b, 3, stride, 1), normed(), activation()
    return nn.Sequential(*first, conv(b, b, 3, 1, 1), normed(), activation())


class Block(nn.Module):
    """A residual block of Stable Diffusion's decoder."""

    def __init__(self, a: int, b: int, groups: int):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.GroupNorm(groups, a), nn.SiLU(), nn.Conv2d(a, b, 3, 1, 1)),
            *(nn.GroupNorm(groups, b), nn.SiLU(), nn.Conv2d(b, b, 3, 1, 1)),
        )
        self.skip = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.skip(x) + self.body(x)
        return y


def vae_decoder(widths: tuple[int, ...] = (512, 512, 256, 128), blocks: int = 3, groups: int = 32) -> nn.Module:
    """The decoder of Stable Diffusion's AutoencoderKL, without its one attention: 4 channels, 8 times the size."""
    first = widths[0]
    layers: list[nn.Module] = [nn.Conv2d(4, first, 3, 1, 1), Block(first, first, groups), Block(first, first, groups)]
    for level, (a, b) in enumerate(pairwise((first, *widths))):
        layers += [Block(a if n == 0 else b, b, groups) for n in range(blocks)]
        if level < len(widths) - 1:
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(b, b, 3, 1, 1)]
    last = widths[-1]
    return nn.Sequential(*layers, nn.GroupNorm(groups, last), nn.SiLU(), nn.Conv2d(last, 3, 3, 1, 1))


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "DCGAN, 64 x 100 x 1 x 1": dcgan,
    "FSRCNN x3, 1 x 1 x 240 x 320": fsrcnn,
    "U-Net, 1 x 3 x 512 x 512": lambda: (UNet(), torch.randn(1, 3, 512, 512)),
    "SD VAE decoder, 1 x 4 x 64 x 64": lambda: (vae_decoder(), torch.randn(1, 4, 64, 64)),
    "nnU-Net 3-D, 1 x 1 x 128 x 128 x 128": lambda: (UNet3D(), torch.randn(1, 1, 128, 128, 128)),
}
TINY: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "tiny U-Net": lambda: (UNet(4, 1), torch.randn(1, 3, 8, 8)),
    "tiny VAE decoder": lambda: (vae_decoder((8, 4), 1, 2), torch.randn(1, 4, 3, 3)),
}
