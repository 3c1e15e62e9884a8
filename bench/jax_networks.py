"""Two networks in Flax, with the layers that they are given: a U-Net, and HiFi-GAN V1 (Kong et al. 2020)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class UNet(nn.Module):
    """The tutorial's U-Net: two convolutions per level, 2x2 transposed convolutions on the way up."""

    up: Any
    features: tuple[int, ...] = (32, 64, 128, 256)

    @nn.compact
    def __call__(self, x: Any) -> Any:
        skips = []
        for count in self.features:
            x = self._twice(x, count)
            skips.append(x)
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = self._twice(x, 2 * self.features[-1])
        for count, skip in zip(reversed(self.features), reversed(skips), strict=True):
            x = self._twice(jnp.concatenate([skip, self.up(count, (2, 2), (2, 2))(x)], -1), count)
        return nn.Conv(2, (1, 1))(x)

    def _twice(self, x: Any, count: int) -> Any:
        for _ in range(2):
            x = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Conv(count, (3, 3), use_bias=False)(x)))
        return x


class Vocoder(nn.Module):
    """Mel spectrogram to wave: four transposed convolutions of one axis, each with residual blocks of three kernels."""

    up: Any
    width: int = 512
    steps: tuple[tuple[int, int], ...] = ((16, 8), (16, 8), (4, 2), (4, 2))

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(self.width, (7,))(x)
        for level, (kernel, stride) in enumerate(self.steps):
            count = self.width // 2 ** (level + 1)
            x = self.up(count, (kernel,), (stride,))(nn.leaky_relu(x, 0.1))
            x = sum(self._residual(x, count, taps) for taps in (3, 7, 11)) / 3
        return jnp.tanh(nn.Conv(1, (7,))(nn.leaky_relu(x)))

    def _residual(self, x: Any, count: int, taps: int) -> Any:
        for dilation in (1, 3, 5):
            y = nn.Conv(count, (taps,), kernel_dilation=(dilation,))(nn.leaky_relu(x, 0.1))
            x = x + nn.Conv(count, (taps,))(nn.leaky_relu(y, 0.1))
        return x


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "U-Net, 32 to 256 channels, 1 x 256 x 256 x 3": (UNet, (1, 256, 256, 3)),
    "HiFi-GAN V1, 1 x 40 x 80": (Vocoder, (1, 40, 80)),
}


def made(name: str, up: Any) -> tuple[Any, Any, Any]:
    """The network, its variables and an input; the same numbers whatever `up` is."""
    kind, shape = NETWORKS[name]
    model, x = kind(up), jax.random.normal(jax.random.key(1), shape)
    return model, jax.jit(model.init)(jax.random.key(0), x), x
