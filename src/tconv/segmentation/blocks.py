"""What the networks are built of, in 1-D, 2-D and 3-D: blocks of convolutions, and five ways to double a map's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv import errors, kernels
from tconv import nn as tnn
from tconv.nn import functional as tf

CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
TRANSPOSED: dict[int, Any] = {1: tnn.ConvTranspose1d, 2: tnn.ConvTranspose2d, 3: tnn.ConvTranspose3d}
CALL: dict[int, Callable[..., Tensor]] = {1: tf.conv_transpose1d, 2: tf.conv_transpose2d, 3: tf.conv_transpose3d}
FIXED = {"nearest": kernels.nearest, "bilinear": kernels.bilinear, "bicubic": kernels.bicubic}
UPS = ("transposed", *FIXED, "pixelshuffle")


class DualConv(nn.Module):
    """Two 3x3 convolutions without bias, each followed by batch norm and ReLU; sizes stay.

    Args:
        in_channels, out_channels: of the block; the second convolution has out_channels on both sides.
        ndim: spatial axes, 1 to 3.
    """

    def __init__(self, in_channels: int, out_channels: int, ndim: int = 2) -> None:
        super().__init__()
        conv, norm = CONV[ndim], NORM[ndim]
        self.dualconv = nn.Sequential(
            conv(in_channels, out_channels, 3, padding=1, bias=False),
            norm(out_channels),
            nn.ReLU(inplace=True),
            conv(out_channels, out_channels, 3, padding=1, bias=False),
            norm(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, *size) -> (batch, out_channels, *size)."""
        y: Tensor = self.dualconv(x)
        return y


class FixedUp(nn.Module):
    """A 1x1 convolution, then interpolation to twice the size by a fixed transposed convolution.

    Both are linear and the taps of each phase sum to 1, so they commute: channels are mixed first, where it costs less.
    Edge cells are repeated, as torch.nn.functional.interpolate(align_corners=False) does.

    Args:
        name: nearest, bilinear or bicubic.
        in_channels, out_channels: of the 1x1 convolution.
        ndim: spatial axes, 1 to 3.
    """

    kernel: Tensor

    def __init__(self, name: str, in_channels: int, out_channels: int, ndim: int) -> None:
        super().__init__()
        self.project = CONV[ndim](in_channels, out_channels, 1)
        weight = FIXED[name](2, ndim, out_channels)
        self.register_buffer("kernel", torch.from_numpy(weight), persistent=False)
        taps = weight.shape[2:]
        # One cell more than the kernel needs, so that output_padding finds the edge repeated too.
        self.reach = max(1, *kernels.radius(taps, 2)) if ndim > 1 else max(1, kernels.radius(taps, 2)[0])
        self.crop = tuple(lo for lo, _ in kernels.upsampling(taps, 2, self.reach).crop)

    def forward(self, x: Tensor, output_padding: tuple[int, ...]) -> Tensor:
        """(batch, in_channels, *size) -> (batch, out_channels, *(2*size + output_padding))."""
        ndim = len(self.crop)
        y = F.pad(self.project(x), (self.reach,) * (2 * ndim), mode="replicate")
        return CALL[ndim](y, self.kernel, None, 2, self.crop, output_padding, groups=y.shape[1])

    def extra_repr(self) -> str:
        return f"kernel={tuple(self.kernel.shape[2:])}"


class PixelShuffleUp(nn.Module):
    """A 3x3 convolution to 2**ndim phases per channel, which are then woven into one map of twice the size.

    All phases of a channel start alike (ICNR), so that the first outputs show no checkerboard.

    Args:
        in_channels, out_channels: of the whole.
        ndim: spatial axes, 1 to 3.

    Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution", arXiv:1707.02937.
    """

    def __init__(self, in_channels: int, out_channels: int, ndim: int) -> None:
        super().__init__()
        phases = 2**ndim
        self.conv: Any = CONV[ndim](in_channels, out_channels * phases, 3, padding=1)
        with torch.no_grad():
            for parameter in self.conv.parameters():
                parameter.copy_(parameter[::phases].repeat_interleave(phases, dim=0))

    def forward(self, x: Tensor, output_padding: tuple[int, ...]) -> Tensor:
        """(batch, in_channels, *size) -> (batch, out_channels, *(2*size + output_padding))."""
        y: Tensor = self.conv(x)
        ndim, size = y.dim() - 2, y.shape[2:]
        y = y.reshape(y.shape[0], -1, *(2,) * ndim, *size)
        woven = [axis for n in range(ndim) for axis in (2 + ndim + n, 2 + n)]
        y = y.permute(0, 1, *woven).reshape(y.shape[0], y.shape[1], *(2 * n for n in size))
        if not any(output_padding):
            return y
        return F.pad(y, [cells for op in reversed(output_padding) for cells in (0, op)], mode="replicate")


def upsampler(up: str, in_channels: int, out_channels: int, ndim: int) -> nn.Module:
    """A layer that doubles the size.

    Args:
        up: "transposed", a learned transposed convolution with kernel 2 and stride 2; "nearest", "bilinear" or
            "bicubic", fixed kernels behind a learned 1x1 convolution; or "pixelshuffle".
        in_channels, out_channels: of the layer.
        ndim: spatial axes, 1 to 3.

    Raises:
        KernelError: `up` is unknown.
    """
    if up == "transposed":
        layer: nn.Module = TRANSPOSED[ndim](in_channels, out_channels, 2, stride=2)
        return layer
    if up in FIXED:
        return FixedUp(up, in_channels, out_channels, ndim)
    if up == "pixelshuffle":
        return PixelShuffleUp(in_channels, out_channels, ndim)
    raise errors.KernelError(f"up {up!r} is unknown; choose one of {', '.join(UPS)}")


def double(layer: nn.Module, x: Tensor, output_padding: tuple[int, ...]) -> Tensor:
    """`layer`, made by `upsampler`, on x: (batch, channels, *size) -> (batch, ..., *(2*size + output_padding))."""
    if isinstance(layer, FixedUp | PixelShuffleUp):
        y: Tensor = layer(x, output_padding)
    else:
        y = layer(x, [2 * n + op for n, op in zip(x.shape[2:], output_padding, strict=True)])
    return y
