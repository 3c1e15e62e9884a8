"""Small models for the tests, and what a projection is by its definition, written out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tconv.nn import functional as tf

Act = Callable[[Tensor], Tensor]


class Net(nn.Module):
    """Three convolutions with an activation behind the first two."""

    def __init__(self, act: Act = F.relu, channels: tuple[int, ...] = (3, 6, 8, 4)) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels))
        if isinstance(act, nn.Module):
            self.act = act
        else:
            self.__dict__["act"] = act

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs[:-1]:
            x = self.act(conv(x))
        y: Tensor = self.convs[-1](x)
        return y


def seeded(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with weights that are the same wherever it is made."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape) * (0.4 if parameter.dim() > 1 else 0.1))
    return model


def image(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random numbers of a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def rule(method: str, g: Tensor, a: Tensor, slope: float = 0.0) -> Tensor:
    """What a (leaky) ReLU with input `a` sends back for `g`, by the definition of each method."""
    derivative = torch.where(a > 0, 1.0, slope)
    rectified = torch.where(g > 0, g, slope * g)
    return {"deconvnet": rectified, "guided": rectified * derivative, "gradient": g * derivative}[method]


def written_out(net: Net, x: Tensor, at: tuple[int, ...], method: str, slope: float = 0.0) -> Tensor:
    """The projection of the last convolution's activation `at`, (channel, row, column), through a `Net`."""
    inputs = []
    y = x
    for conv in net.convs[:-1]:
        inputs.append(conv(y))
        y = F.leaky_relu(inputs[-1], slope)
    g = torch.zeros_like(net.convs[-1](y))
    g[(slice(None), *at)] = 1
    for conv, a in zip(reversed(net.convs), [*reversed(inputs), None], strict=True):
        g = tf.conv_transpose2d(g, conv.weight, padding=1)
        g = g if a is None else rule(method, g, a, slope)
    return g.detach()


def strongest(output: Tensor, channel: int) -> tuple[int, ...]:
    """(channel, row, column) of the highest activation of a channel of one image."""
    row, column = divmod(int(output[0, channel].argmax()), output.shape[3])
    return channel, row, column


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether two projections differ by less than a part of the largest value."""
    assert found.shape == expected.shape and bool(expected.any())
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())


def state(model: nn.Module) -> dict[str, Any]:
    """All of a model that must not change."""
    return {
        "numbers": {name: value.clone() for name, value in model.state_dict().items()},
        "tensors": {name: id(value) for name, value in model.state_dict(keep_vars=True).items()},
        "writes": {name: value._version for name, value in model.named_parameters()},
        "flags": {name: module.training for name, module in model.named_modules()},
        "requires": {name: value.requires_grad for name, value in model.named_parameters()},
        "gradients": {
            name: None if value.grad is None else value.grad.clone() for name, value in model.named_parameters()
        },
        "hooks": {
            name: (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
            for name, module in model.named_modules()
        },
    }


def same(one: Any, other: Any) -> bool:
    """Equal to the bit, dictionaries and tensors included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return bool(one == other)
