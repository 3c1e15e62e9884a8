"""Memory layouts of tensors."""

from __future__ import annotations

from torch import Tensor


def by_channels(tensor: Tensor, channel: int) -> bool:
    """Whether the channels of a place are neighbours in memory, and the places lie in order: channels-last."""
    return not tensor.is_contiguous() and tensor.movedim(channel, -1).is_contiguous()
