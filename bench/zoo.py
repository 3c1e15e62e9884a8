"""What bench/models.py races: published models, and the patterns that `tconv.nn.fold` folds; all with random weights.

Each model is written from its paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def double_conv(cin: int, cout: int, ndim: int = 2) -> nn.Sequential:
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if ndim == 2 else (nn.Conv3d, nn.BatchNorm3d)
    layers = [conv(cin, cout, 3, 1, 1, bias=False), norm(cout), nn.ReLU(inplace=True)]
    layers += [conv(cout, cout, 3, 1, 1, bias=False), norm(cout), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding and batch norm, as tutorials write it; 2-D or 3-D (Cicek et al. 2016)."""

    def __init__(self, cin: int, cout: int, features: tuple[int, ...], ndim: int = 2) -> None:
        super().__init__()
        up, pool, last = (
            (nn.ConvTranspose2d, nn.MaxPool2d, nn.Conv2d)
            if ndim == 2
            else (nn.ConvTranspose3d, nn.MaxPool3d, nn.Conv3d)
        )
        widths = (cin, *features)
        self.downs = nn.ModuleList(double_conv(a, b, ndim) for a, b in zip(widths, features, strict=False))
        self.pool = pool(2, 2)
        self.bottom = double_conv(features[-1], 2 * features[-1], ndim)
        self.ups = nn.ModuleList(up(2 * f, f, 2, 2) for f in reversed(features))
        self.convs = nn.ModuleList(double_conv(2 * f, f, ndim) for f in reversed(features))
        self.last = last(features[0], cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, conv, skip in zip(self.ups, self.convs, reversed(skips), strict=True):
            x = conv(torch.cat((skip, up(x)), dim=1))
        return self.last(x)


def dcgan(noise: int = 100, width: int = 64) -> nn.Sequential:
    """The generator of Radford et al. 2016, for 64x64 images."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(noise, 8 * width, 4, 1, 0, bias=False)]
    for n in (8, 4, 2, 1):
        layers += [nn.BatchNorm2d(n * width), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(n * width, n * width // 2 if n > 1 else 3, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


class Residual(nn.Module):
    """HiFi-GAN's residual block 1: three pairs of a dilated and a plain convolution."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        side = kernel // 2  # of zeros; ONNX Runtime knows no "same" with dilation
        self.dilated = nn.ModuleList(nn.Conv1d(width, width, kernel, 1, d * side, d) for d in (1, 3, 5))
        self.plain = nn.ModuleList(nn.Conv1d(width, width, kernel, 1, side) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1))
        return x


class HifiGan(nn.Module):
    """The generator V1 of Kong et al. 2020, without weight norm, as for inference."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(80, 512, 7, 1, 3)
        sizes = ((16, 8), (16, 8), (4, 2), (4, 2))
        widths = [512 // 2**n for n in range(5)]
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(a, b, k, s, (k - s) // 2)
            for a, b, (k, s) in zip(widths, widths[1:], sizes, strict=False)
        )
        self.blocks = nn.ModuleList(nn.ModuleList(Residual(w, k) for k in (3, 7, 11)) for w in widths[1:])
        self.last = nn.Conv1d(widths[-1], 1, 7, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / 3
        return torch.tanh(self.last(F.leaky_relu(x)))


def fsrcnn(scale: int = 3, d: int = 56, s: int = 12, m: int = 4) -> nn.Sequential:
    """Dong et al. 2016."""
    layers: list[nn.Module] = [nn.Conv2d(1, d, 5, 1, 2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s)]
    for _ in range(m):
        layers += [nn.Conv2d(s, s, 3, 1, 1), nn.PReLU(s)]
    layers += [nn.Conv2d(s, d, 1), nn.PReLU(d), nn.ConvTranspose2d(d, 1, 9, scale, 4, scale - 1)]
    return nn.Sequential(*layers)


class ResNet(nn.Module):
    """A residual block of a latent diffusion decoder."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.GroupNorm(32, cin), nn.SiLU(), nn.Conv2d(cin, cout, 3, 1, 1)),
            *(nn.GroupNorm(32, cout), nn.SiLU(), nn.Conv2d(cout, cout, 3, 1, 1)),
        )
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Attention(nn.Module):
    """One head over all pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = (
            nn.GroupNorm(32, width),
            nn.Conv2d(width, 3 * width, 1),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.out(y.unflatten(2, x.shape[2:]))


def vae_decoder(width: int = 128) -> nn.Sequential:
    """The decoder of Rombach et al. 2022 (Stable Diffusion): nearest upsampling and a convolution, three times."""
    top = 4 * width
    layers: list[nn.Module] = [nn.Conv2d(4, top, 3, 1, 1), ResNet(top, top), Attention(top), ResNet(top, top)]
    widths = (top, top, top, 2 * width, width)
    for n, (a, b) in enumerate(pairwise(widths)):
        layers += [ResNet(a, b), ResNet(b, b), ResNet(b, b)]
        if n < 3:
            layers += [nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(b, b, 3, 1, 1))]
    return nn.Sequential(*layers, nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, 3, 3, 1, 1))


class StyleBlock(nn.Module):
    """StyleGAN2's upsampling block (Karras et al. 2020): a modulated kernel per image, a blur, noise-free."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, 3, 3))
        self.affine, self.bias = nn.Linear(512, cin), nn.Parameter(torch.zeros(cout, 1, 1))
        taps = torch.tensor([1.0, 3, 3, 1])
        self.register_buffer("blur", (taps[:, None] * taps / 16).expand(cout, 1, 4, 4).contiguous())

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        n, c, h, w = x.shape
        weight = self.weight * self.affine(style).view(n, 1, c, 1, 1)
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        weight = weight.transpose(1, 2).reshape(n * c, -1, 3, 3)
        y = F.conv_transpose2d(x.reshape(1, n * c, h, w), weight, stride=2, groups=n)
        y = y.view(n, -1, *y.shape[2:])
        return F.leaky_relu(F.conv2d(y, self.blur, padding=1, groups=y.shape[1]) + self.bias, 0.2)


class Up(nn.Module):
    """A level of a U-Net's way up: the skip beside the upsampled map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.cat((skip, self.up(x)), dim=1)


def alternating(width: int) -> nn.Sequential:
    """PyTorch's layers and tconv's in turns, to see whether their threads are in one another's way."""
    turns = [
        (nn.Conv2d(width, width, 3, 1, 1), nn.ConvTranspose2d(width, width, 2, 2), nn.MaxPool2d(2)) for _ in range(4)
    ]
    return nn.Sequential(*(layer for turn in turns for layer in turn)).to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Entry:
    """A model, the shapes of its inputs, and the names (or beginnings of names) of the parts to time alone."""

    model: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    parts: tuple[str, ...] = ()


MODELS = {
    "unet": Entry(lambda: UNet(3, 6, (64, 128, 256, 512)), ((1, 3, 512, 512),), ("ups.",)),
    "dcgan": Entry(dcgan, ((64, 100, 1, 1),), ("0", "3", "6", "9", "12")),
    "hifigan": Entry(HifiGan, ((1, 80, 200),), ("ups.",)),
    "fsrcnn": Entry(fsrcnn, ((1, 1, 240, 320),), ("14",)),
    "unet3d": Entry(lambda: UNet(1, 3, (32, 64, 128), 3), ((1, 1, 64, 64, 64),), ("ups.",)),
    "vae": Entry(vae_decoder, ((1, 4, 32, 32),), ("7", "11", "15")),
    "stylegan2": Entry(lambda: StyleBlock(512, 256), ((4, 512, 32, 32), (4, 512))),
}


def _pattern(*layers: Callable[[], nn.Module], shape: tuple[int, ...]) -> Entry:
    return Entry(lambda: nn.Sequential(*(layer() for layer in layers)), (shape,))


def _up() -> nn.Module:
    return nn.ConvTranspose2d(128, 64, 4, 2, 1)


FOLDS = {
    "nearest + conv": _pattern(
        lambda: nn.Upsample(scale_factor=2), lambda: nn.Conv2d(128, 128, 3, 1, 1), shape=(1, 128, 64, 64)
    ),
    "conv + pixel shuffle": _pattern(
        lambda: nn.Conv2d(64, 256, 3, 1, 1), lambda: nn.PixelShuffle(2), shape=(1, 64, 96, 96)
    ),
    "transposed + batch norm": _pattern(_up, lambda: nn.BatchNorm2d(64), shape=(4, 128, 32, 32)),
    "conv + batch norm": _pattern(
        lambda: nn.Conv2d(64, 64, 3, 1, 1), lambda: nn.BatchNorm2d(64), shape=(4, 64, 64, 64)
    ),
    **{
        f"transposed + {act.__name__}": _pattern(_up, act, shape=(4, 128, 32, 32))
        for act in (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.SiLU, nn.GELU)
    },
    "transposed + conv": _pattern(
        lambda: nn.ConvTranspose2d(64, 64, 2, 2, bias=False), lambda: nn.Conv2d(64, 3, 3, 1, 1), shape=(1, 64, 96, 96)
    ),
    "cat(skip, transposed)": Entry(lambda: Up(64), ((1, 128, 64, 64), (1, 64, 128, 128))),
}

IN_TURNS = {
    f"{width} channels, {size} x {size}": Entry(
        partial(alternating, width), ((1, width, size, size),), tuple(str(n) for n in range(12))
    )
    for width, size in ((64, 48), (256, 32))
}
