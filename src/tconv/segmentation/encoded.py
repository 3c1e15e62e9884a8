"""A U-Net whose way down is an encoder of others, pretrained where its weights are there; the way up is tconv's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv import errors
from tconv.segmentation import encoders
from tconv.segmentation.blocks import DualConv, double, upsampler

FEATURES = (16, 32, 64, 128)


class EncodedUNet(nn.Module):
    """An encoder's maps, brought to full size with the image as the last skip.

    Args:
        in_channels: of the image, default 3.
        out_channels: one score per class, default 1.
        features: channels of the way up, the full resolution first; the last one serves all coarser maps.
        up: how maps grow: transposed (default), nearest, bilinear, bicubic or pixelshuffle.
        encoder: of timm, such as resnet18, or of segmentation-models-pytorch, as in smp:mit_b0.

    Raises:
        TconvError: an unknown encoder, or its package is missing.
        KernelError, ChannelError: as `UNet`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        features: Sequence[int] = FEATURES,
        up: str = "transposed",
        encoder: str = "resnet18",
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, *features, len(features)) < 1:
            raise errors.ChannelError(
                f"in_channels {in_channels}, out_channels {out_channels} and features {tuple(features)} must be at "
                f"least 1, and there must be at least one level"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.features, self.up, self.name = tuple(features), up, encoder
        built = encoders.build(encoder, in_channels)
        self.encoder, self.first = built.module, built.first
        skips = {1: in_channels, **dict(zip(built.strides, built.channels, strict=True))}
        self.stride = max(built.strides)
        self.ups, self.used = nn.ModuleList(), list[bool]()
        below, stride = skips[self.stride], self.stride // 2
        while stride:
            channels = features[min(stride.bit_length() - 1, len(features) - 1)]
            self.ups.append(upsampler(up, below, channels, 2))
            self.ups.append(DualConv(channels + skips.get(stride, 0), channels))
            self.used.append(stride in skips)
            below, stride = channels, stride // 2
        self.final_conv = nn.Conv2d(below, out_channels, 1)

    @property
    def reach(self) -> int:
        """How far, in pixels, a score looks noticeably; an encoder may see more, and sees it faintly."""
        return 5 * self.stride

    @property
    def floats(self) -> float:
        """About how many numbers an inference holds at a time, per pixel of the input."""
        return 8 * self.features[0] + 2 * sum(self.features) / 2 + 2 * self.out_channels + 64

    def normed(self, size: int) -> int:
        """Along an axis of `size` pixels, how many the coarsest map has over which batch norm takes its statistics."""
        return -(-size // self.stride)

    def load_cached(self) -> tuple[str, ...]:
        """Fill the encoder with its pretrained weights, if a cache of this machine has them; a line that says so."""
        state, said = encoders.cached(self.name, self.in_channels)
        if state is not None:
            self.encoder.load_state_dict(state)
        return (said,)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) -> (batch, out_channels, h, w), scores without activation; h, w at least 1."""
        if x.dim() != 4:
            raise errors.RankError(f"input has shape {tuple(x.shape)}; it must be (batch, channels, height, width)")
        if x.shape[1] != self.in_channels:
            raise errors.ChannelError(f"input has {x.shape[1]} channels, this U-Net takes {self.in_channels}")
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        maps = [x, *self.encoder(x)[self.first :]]
        y = maps.pop()
        for n, used in enumerate(self.used):
            y = double(self.ups[2 * n], y, (0, 0))
            y = self.ups[2 * n + 1](torch.cat((maps.pop(), y), dim=1) if used else y)
        scores: Tensor = self.final_conv(y)
        return scores[:, :, :height, :width]
