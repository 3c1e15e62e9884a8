"""Fully convolutional networks: a classifier's maps, scored per class and brought to full size in one to three steps.

Source: Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", arXiv:1411.4038.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv import errors, kernels
from tconv import nn as tnn
from tconv.segmentation.blocks import DualConv

COARSEST = 32  # the stride of the last map
FEATURES = (16, 32, 64, 128, 128)


class SmallVGG(nn.Module):
    """Five blocks, each followed by a 2x2 max pool.

    Args:
        in_channels: of the image, default 3.
        features: channels of the five blocks.

    Attributes:
        channels: of the maps with strides 8, 16 and 32, which `forward` returns.
    """

    def __init__(self, in_channels: int = 3, features: Sequence[int] = FEATURES) -> None:
        super().__init__()
        if len(features) != 5:
            raise errors.LengthError(
                f"features {tuple(features)} must be five counts, one per block, as in 16,32,64,128,256"
            )
        self.channels = tuple(features[2:])
        sides = zip((in_channels, *features), features, strict=False)
        self.blocks = nn.ModuleList(DualConv(before, after) for before, after in sides)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(batch, in_channels, h, w) -> the maps of h/8, h/16 and h/32; h and w are multiples of 32."""
        maps = []
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
            maps.append(x)
        return tuple(maps[2:])


class FCN(nn.Module):
    """What FCN32s, FCN16s and FCN8s share.

    Args:
        in_channels: of the image, default 3; used only where no backbone is given.
        out_channels: one score per class, default 21.
        features: of the small VGG-like backbone, used only where no backbone is given.
        backbone: default a `SmallVGG`. Any module that maps (batch, channels, h, w), both sizes multiples of 32, to
            three maps with strides 8, 16 and 32, and says in `channels` how many channels each has.

    Transposed convolutions start as bilinear interpolation, class by class, and are learned from there. Inputs are
    extended to multiples of 32 by repeating the edge, and scores are cropped to the input's size.
    """

    steps: tuple[int, ...] = ()
    stride = COARSEST
    """Of the coarsest map; inputs of any size are taken."""
    reach = 5 * COARSEST
    """How far, in pixels, a score looks: 62 down, 56 up, and what pooling and upsampling round to."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 21,
        features: Sequence[int] = FEATURES,
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.features = in_channels, out_channels, tuple(features)
        self.backbone = SmallVGG(in_channels, features) if backbone is None else backbone
        channels: Any = getattr(self.backbone, "channels", None)
        if channels is None or len(channels) != 3:
            raise errors.ChannelError(
                "the backbone must say in `channels` how many channels its maps of stride 8, 16 and 32 have"
            )
        used = list(reversed(channels))[: len(self.steps)]  # the coarsest first
        self.scores = nn.ModuleList(nn.Conv2d(count, out_channels, 1) for count in used)
        self.ups = nn.ModuleList(_bilinear_layer(out_channels, step) for step in self.steps)

    @property
    def floats(self) -> float:
        """About how many numbers an inference holds at a time, per pixel of the input."""
        return 6 * self.features[0] + 4 * self.out_channels

    def normed(self, size: int) -> int:
        """Along an axis of `size` pixels, how many the coarsest map has over which batch norm takes its statistics."""
        return 2 * -(-size // COARSEST)  # the last block comes before the last pooling

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) -> (batch, out_channels, h, w), scores without activation; h, w at least 1."""
        if x.dim() != 4:
            raise errors.RankError(f"input has shape {tuple(x.shape)}; it must be (batch, channels, height, width)")
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % COARSEST, 0, -height % COARSEST), mode="replicate")
        maps = list(reversed(self.backbone(padded)))
        y: Tensor | None = None
        for score, up, features in zip(self.scores, self.ups, maps, strict=False):
            scored = score(features)
            y = up(scored if y is None else y + scored)
        assert y is not None
        return y[:, :, :height, :width]


class FCN32s(FCN):
    """One step from stride 32: kernel 64, stride 32."""

    steps = (32,)


class FCN16s(FCN):
    """Two steps, the scores of stride 16 added between them: kernel 4, stride 2; kernel 32, stride 16."""

    steps = (2, 16)


class FCN8s(FCN):
    """Three steps, the scores of strides 16 and 8 added: kernel 4, stride 2, twice; kernel 16, stride 8."""

    steps = (2, 2, 8)


def _bilinear_layer(channels: int, scale: int) -> nn.Module:
    """A transposed convolution that starts as bilinear interpolation of every channel for itself."""
    kernel = torch.from_numpy(kernels.bilinear(scale))
    layer = tnn.ConvTranspose2d(channels, channels, 2 * scale, stride=scale, padding=scale // 2, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(channels):
            layer.weight[channel, channel] = kernel[0, 0]
    return layer
