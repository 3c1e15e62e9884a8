"""Sums over all processes of a training, with gradients: what makes many small batches one large one.

A loss that divides by what all processes have, and batch norm over what all processes see, give each process the
gradient of the whole batch; averaging them, as DistributedDataParallel does, keeps it.

Sums are float32 at least, whatever is added up: float16 ends at 65,504, fewer than the pixels of a batch, and bfloat16
counts to 256.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _sum(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _sum(grad)


_apply: Callable[[Tensor], Tensor] = _Total.apply  # PyTorch gives it no type


def _sum(x: Tensor) -> Tensor:
    x = x.clone().contiguous()
    dist.all_reduce(x)
    return x


def processes() -> int:
    """How many take part."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def wide(x: Tensor) -> Tensor:
    """The numbers in a dtype that sums can be made in: half precision as float32, others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def total(x: Tensor) -> Tensor:
    """The sum of x over all processes, `wide`; x itself where there is one process."""
    x = wide(x)
    if processes() == 1:
        return x
    return _apply(x)


def first(x: Tensor) -> Tensor:
    """What the first process has, in all of them; x itself where there is one process."""
    if processes() > 1:
        dist.broadcast(x, 0)
    return x


class SharedNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes, on any device; PyTorch's own is for GPUs alone.

    As there, statistics are computed in float32 or wider, and the result has the dtype of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *size) -> the same shape and dtype."""
        if not self.training or processes() == 1:
            return super().forward(x)
        axes = [0, *range(2, x.dim())]
        numbers = wide(x)
        count = total(torch.tensor([x.numel() // x.shape[1]], device=x.device))
        mean = total(numbers.sum(axes)) / count
        centred = numbers - _spread(mean, x)
        variance = total(centred.square().sum(axes)) / count
        self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        y = centred * _spread((variance + self.eps).rsqrt() * self.weight, x) + _spread(self.bias, x)
        return y.to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        for kept, now in ((self.running_mean, mean), (self.running_var, variance)):
            kept.copy_(wide(kept).lerp(now.to(wide(kept).dtype), self.momentum))
        self.num_batches_tracked += 1

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # any number of axes


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """One value per channel, in the shape that goes with `like`."""
    return values.reshape(1, -1, *(1,) * (like.dim() - 2))


def share_norms(model: nn.Module) -> nn.Module:
    """The model with every batch norm shared, in place; names in the state dict stay."""
    for name, layer in model.named_children():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            shared = SharedNorm(layer.num_features, layer.eps, layer.momentum)
            shared.to(layer.weight).load_state_dict(layer.state_dict())
            setattr(model, name, shared)
        else:
            share_norms(layer)
    return model
