"""Decoders as people export them to ONNX: written from their papers, with random weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.entry import Entry, Made
from zoo.papers import fsrcnn


def _block(into: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n in (into, out):
        layers += [nn.Conv2d(n, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015 with padding and batch norms; half as wide."""

    def __init__(self, width: int = 32, depth: int = 4, classes: int = 2) -> None:
        super().__init__()
        sizes = [width * 2**n for n in range(depth + 1)]
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([3, *sizes], sizes, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * n, n, 2, 2) for n in sizes[-2::-1])
        self.joined = nn.ModuleList(_block(2 * n, n) for n in sizes[-2::-1])
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for up, block, skip in zip(self.up, self.joined, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, up(x)], 1))
        y: Tensor = self.last(x)
        return y


def _conv(into: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(True))


class Residual(nn.Module):
    """The block of ResNet-18 (He et al. 2016)."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(into, out, 3, stride)
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        self.short = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.plain = into == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + (x if self.plain else self.short(x)))


class DBNet(nn.Module):
    """Liao et al. 2020 on ResNet-18: the probability and the threshold map, as for training's last step."""

    def __init__(self, inner: int = 256) -> None:
        super().__init__()
        self.stem = _conv(3, 64, 7, 2)
        widths = (64, 128, 256, 512)
        blocks = [
            nn.Sequential(Residual(a, b, 1 if n == 0 else 2), Residual(b, b, 1))
            for n, (a, b) in enumerate(zip((64, *widths), widths, strict=False))
        ]
        self.stages = nn.ModuleList(blocks)
        self.level = nn.ModuleList(nn.Conv2d(n, inner, 1, bias=False) for n in widths)
        self.out = nn.ModuleList(nn.Conv2d(inner, inner // 4, 3, padding=1, bias=False) for _ in widths)
        self.probability, self.threshold = self._head(inner), self._head(inner)

    @staticmethod
    def _head(inner: int) -> nn.Sequential:
        n = inner // 4
        up = nn.ConvTranspose2d(n, n, 2, 2), nn.BatchNorm2d(n), nn.ReLU(True), nn.ConvTranspose2d(n, 1, 2, 2)
        return nn.Sequential(_conv(inner, n), *up, nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        levels = []
        for stage, level in zip(self.stages, self.level, strict=True):
            x = stage(x)
            levels.append(level(x))
        for n in (2, 1, 0):
            levels[n] = levels[n] + F.interpolate(levels[n + 1], scale_factor=2.0)
        maps = [out(level) for out, level in zip(self.out, levels, strict=True)]
        fused = torch.cat([F.interpolate(y, scale_factor=2.0**n) if n else y for n, y in enumerate(maps)][::-1], 1)
        return self.probability(fused), self.threshold(fused)


class Speech(nn.Module):
    """The decoder of VITS (Kim et al. 2021), which is the generator of HiFi-GAN (Kong et al. 2020)."""

    def __init__(self, width: int = 512, into: int = 192) -> None:
        super().__init__()
        self.first = nn.Conv1d(into, width, 7, padding=3)
        ups, blocks = [], []
        for rate, kernel in ((8, 16), (8, 16), (2, 4), (2, 4)):
            ups.append(nn.ConvTranspose1d(width, width // 2, kernel, rate, (kernel - rate) // 2))
            width //= 2
            blocks.append(nn.ModuleList(self._block(width, kernel) for kernel in (3, 7, 11)))
        self.ups, self.blocks = nn.ModuleList(ups), nn.ModuleList(blocks)
        self.last = nn.Conv1d(width, 1, 7, padding=3, bias=False)

    @staticmethod
    def _block(width: int, kernel: int) -> nn.ModuleList:
        return nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation)
            for dilation in (1, 1, 3, 1, 5, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            first, *others = (self._residual(x, block) for block in blocks)
            x = sum(others, first) / len(blocks)
        return torch.tanh(self.last(F.leaky_relu(x)))

    @staticmethod
    def _residual(x: Tensor, block: nn.ModuleList) -> Tensor:
        for first, second in zip(block[::2], block[1::2], strict=True):
            x = x + second(F.leaky_relu(first(F.leaky_relu(x, 0.1)), 0.1))
        return x


def fcn() -> Made:
    """All 21 classes of PASCAL VOC, and weights between classes, as Caffe's layers had them."""
    from tconv.segmentation import FCN8s

    model = FCN8s(3, 21)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.ConvTranspose2d):
            whole = nn.ConvTranspose2d(21, 21, layer.kernel_size, layer.stride, layer.padding, bias=False)
            model.set_submodule(name, whole)
    return model, torch.randn(1, 3, 256, 256)


class Generator(nn.Module):
    """Nearest neighbours before convolutions (Odena et al. 2016), as in the second half of many a generator."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
        for n in (width, width // 2):
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(n, n // 2, 3, padding=1),
                nn.BatchNorm2d(n // 2),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width // 4, 3, 7, padding=3), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


def generator() -> Made:
    return Generator(), torch.randn(1, 3, 64, 64)


def unet() -> Made:
    return UNet(), torch.randn(1, 3, 256, 256)


def dbnet() -> Made:
    return DBNet(), torch.randn(1, 3, 320, 320)


def speech() -> Made:
    return Speech(), torch.randn(1, 192, 32)


EXPORTED = {
    "unet": Entry("", "Ronneberger et al. 2015, 32 to 512 channels, batch norms; 1 x 3 x 256 x 256", unet),
    "fsrcnn": Entry("", "Dong et al. 2016, three times; 1 x 1 x 240 x 320", fsrcnn),
    "dbnet": Entry("", "Liao et al. 2020 on ResNet-18; 1 x 3 x 320 x 320", dbnet),
    "fcn8s": Entry("", "Long et al. 2015, 21 classes, learned k4 s2 and k16 s8; 1 x 3 x 256 x 256", fcn),
    "resize_conv": Entry("", "Odena et al. 2016, 128 to 32 channels, four times; 1 x 3 x 64 x 64", generator),
    "vits_decoder": Entry("", "Kim et al. 2021, 8,192 samples; 1 x 192 x 32", speech),
}
