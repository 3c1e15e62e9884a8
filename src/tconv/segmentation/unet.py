"""The U-Net: a path down, a path up, and skips between them; for inputs of any size.

Source: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation", arXiv:1505.04597.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tconv import errors
from tconv.segmentation.blocks import CONV, POOL, DualConv, double, upsampler
from tconv.unet_plan import plan_unet

FEATURES = (64, 128, 256, 512)


class UNet(nn.Module):
    """A U-Net with padded blocks, so that the output is as large as the input.

    The submodules `downs`, `ups` (upsampling and block in turn), `bottleneck` and `final_conv`, and the attribute
    `dualconv` of the blocks, are named as in the widespread tutorial definition: its state dicts load. The skip comes
    first in the concatenation. Where a map was odd before pooling, the upsampled one gets its last cell by
    output_padding, not by a resize.

    Args:
        in_channels: of the image, default 3.
        out_channels: one score per class, default 1.
        features: channels per level, the full resolution first, default (64, 128, 256, 512); the bottom has twice the
            last.
        up: how maps grow: transposed (default), nearest, bilinear, bicubic or pixelshuffle.
        ndim: spatial axes, 1 to 3, default 2.

    Raises:
        KernelError: an unknown `up`.
        ChannelError, RankError: no features, a count below 1, or an ndim without layers.

    >>> UNet(3, 6, (8, 16))(torch.zeros(2, 3, 37, 50)).shape
    torch.Size([2, 6, 37, 50])
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        features: Sequence[int] = FEATURES,
        up: str = "transposed",
        ndim: int = 2,
    ) -> None:
        super().__init__()
        if ndim not in CONV:
            raise errors.RankError(f"ndim {ndim} must be 1, 2 or 3")
        if min(in_channels, out_channels, *features, len(features)) < 1:
            raise errors.ChannelError(
                f"in_channels {in_channels}, out_channels {out_channels} and features {tuple(features)} must be at "
                f"least 1, and there must be at least one level"
            )
        self.features, self.up, self.ndim = tuple(features), up, ndim
        self.in_channels, self.out_channels = in_channels, out_channels
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for before, after in zip((in_channels, *features), features, strict=False):
            self.downs.append(DualConv(before, after, ndim))
        below = 2 * features[-1]
        for channels in reversed(features):
            self.ups.append(upsampler(up, below, channels, ndim))
            self.ups.append(DualConv(2 * channels, channels, ndim))
            below = channels
        self.bottleneck = DualConv(features[-1], 2 * features[-1], ndim)
        self.final_conv = CONV[ndim](features[0], out_channels, 1)
        self.pool = POOL[ndim](2)

    @property
    def stride(self) -> int:
        """Of the coarsest map; also the smallest size of an input."""
        return 1 << len(self.features)

    @property
    def reach(self) -> int:
        """How far, in cells, a score looks: all 3x3 convolutions on the way down and up, and the pooling."""
        levels = len(self.features)
        down = sum(2 << level for level in range(levels))
        extra = 0 if self.up == "transposed" else sum(2 << level for level in range(1, levels + 1))
        return 2 * down + (3 << levels) + extra

    @property
    def floats(self) -> float:
        """About how many numbers an inference holds at a time, per cell of the input: the maps at full resolution, and
        the skips."""
        skips = sum(count / float(4**level) for level, count in enumerate(self.features))
        return 8 * self.features[0] + 2 * skips + 2 * self.out_channels

    def normed(self, size: int) -> int:
        """Along an axis of `size` cells, how many the coarsest map has over which batch norm takes its statistics."""
        return size // self.stride

    def forward(self, x: Tensor) -> Tensor:
        """Scores of every class at every cell; no activation.

        Args:
            x: (batch, in_channels, *size); every size at least 2**levels.

        Returns:
            (batch, out_channels, *size).

        Raises:
            RankError, ChannelError, InputSizeError: x does not fit; the message says what would.
        """
        if x.dim() != self.ndim + 2:
            raise errors.RankError(
                f"input has shape {tuple(x.shape)}; it must be (batch, channels, *{self.ndim} sizes)"
            )
        if x.shape[1] != self.in_channels:
            raise errors.ChannelError(f"input has {x.shape[1]} channels, this U-Net takes {self.in_channels}")
        if any(n < 2 ** len(self.features) for n in x.shape[2:]):
            plan_unet(tuple(x.shape[2:]), len(self.features))  # which says what is wrong with the size
        skips = []
        for block in self.downs:
            skips.append(block(x))
            x = self.pool(skips[-1])
        x = self.bottleneck(x)
        for n, skip in enumerate(reversed(skips)):
            # Kernel 2, stride 2 and padded blocks reach every skip, but for the cell that pooling drops of an odd size.
            x = double(self.ups[2 * n], x, tuple(size % 2 for size in skip.shape[2:]))
            x = self.ups[2 * n + 1](torch.cat((skip, x), dim=1))
        scores: Tensor = self.final_conv(x)
        return scores
