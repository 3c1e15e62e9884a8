"""Sums over all processes of a training, with gradients: what makes many small batches one large one.

A loss that divides by what all processes have, and batch norm over what all processes see, give each process the
gradient of the whole batch; averaging them, as DistributedDataParallel does, keeps it.
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


def total(x: Tensor) -> Tensor:
    """The sum of x over all processes; x itself where there is one."""
    if processes() == 1:
        return x
    return _apply(x)


class SharedNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batches of all processes, on any device; PyTorch's own is for GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *size) -> the same shape."""
        if not self.training or processes() == 1:
            return super().forward(x)
        axes = [0, *range(2, x.dim())]
        count = total(x.new_tensor([x.numel() / x.shape[1]]))
        mean = total(x.sum(axes)) / count
        centred = x - _spread(mean, x)
        variance = total(centred.square().sum(axes)) / count
        self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        y = centred * _spread((variance + self.eps).rsqrt() * self.weight, x) + _spread(self.bias, x)
        return y

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
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
            shared.load_state_dict(layer.state_dict())
            setattr(model, name, shared)
        else:
            share_norms(layer)
    return model
