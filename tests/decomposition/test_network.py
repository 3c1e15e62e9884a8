"""Layers above one another: pooling and its undoing, adjoints through all layers, learning, and pixels back."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from decomposition.problems import kernels

from tconv import errors
from tconv.decomposition import DeconvolutionalNetwork
from tconv.decomposition.pooling import Pooling
from tconv.decomposition.stack import from_pixels, levels, to_pixels, to_top


@pytest.mark.parametrize("shape", [(2, 4, 6, 8), (1, 5, 7, 9), (2, 3, 11), (1, 3, 4, 5, 7)])
@pytest.mark.parametrize(("maps", "size"), [(1, 1), (2, 2), (1, 3), (3, 2)])
def test_pooling_keeps_the_largest_of_each_block(shape: Any, maps: int, size: int) -> None:
    z = np.random.default_rng(0).standard_normal(shape)
    pooling = Pooling(maps, size)
    pooled, switches = pooling.pooled(z)
    back = pooling.unpooled(pooled, switches, shape[1], shape[2:])
    assert np.array_equal(back[back != 0], z[back != 0]) and back.shape == z.shape
    for index in np.ndindex(pooled.shape):
        block = (
            index[0],
            slice(index[1] * maps, (index[1] + 1) * maps),
            *(slice(i * size, (i + 1) * size) for i in index[2:]),
        )
        assert abs(pooled[index]) == np.abs(z[block]).max() and np.count_nonzero(back[block]) == 1
    p = np.random.default_rng(1).standard_normal(pooled.shape)
    again = pooling.unpooled(p, switches, shape[1], shape[2:])
    assert np.vdot(again, z) == pytest.approx(np.vdot(p, pooling.gathered(z, switches)))
    assert (maps, size) != (1, 1) or np.array_equal(back, z)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_adjoint_through_all_layers(ndim: int) -> None:
    size = (14, 11, 9)[:ndim]
    pooling = Pooling(2, 2)
    layers = [kernels(5, 2, *(3,) * ndim), kernels(4, 3, *(3,) * ndim, seed=1), kernels(3, 2, *(2,) * ndim, seed=2)]
    stack = levels(size, layers, pooling)
    rng = np.random.default_rng(3)
    for level in stack[:-1]:
        maxima = rng.standard_normal((2, len(level.kernels), *level.frame.places))
        _, level.switches = pooling.pooled(maxima)
    z = rng.standard_normal((2, 3, *stack[-1].frame.places))
    image = rng.standard_normal((2, 2, *size))
    assert np.vdot(to_pixels(stack, z), image) == pytest.approx(np.vdot(z, from_pixels(stack, image)))
    assert to_top(stack[:-1], image).shape[1] == 2


def pictures(count: int = 3, size: int = 40) -> Any:
    from skimage import data

    from tconv.decomposition import split

    whole = data.camera().astype(np.float32) / 255
    cuts = [whole[100 + 60 * n : 100 + 60 * n + size, 200 : 200 + size] for n in range(count)]
    return split(np.stack(cuts)[:, None])[0]


def test_layers_are_learned_and_rebuild_the_pixels() -> None:
    x = pictures()
    network = DeconvolutionalNetwork((8, 12), 5, (0.02, 0.02), steps=8, max_iter=6, random_state=0).fit(x)
    assert [one.shape for one in network.components_] == [(8, 1, 5, 5), (12, 4, 5, 5)]
    assert all(found[-1] < found[0] for found in network.objectives_) and not network.interrupted_
    codes = network.layers(x)
    assert [one.shape[:2] for one in codes] == [(3, 4), (3, 6)]
    assert np.array_equal(network.transform(x), codes[1])
    for layer, one in enumerate(codes):
        rebuilt = network.inverse_transform(one, layer)
        assert rebuilt.shape == x.shape and np.square(x - rebuilt).sum() < 0.8 * np.square(x).sum()
    one_map = np.zeros_like(codes[1])
    one_map[:, 2] = codes[1][:, 2]
    assert network.inverse_transform(one_map).any()


def test_without_pooling_and_the_same_for_the_same_seed() -> None:
    x = pictures(2, 24)
    networks = [
        DeconvolutionalNetwork((4, 5), 3, 0.02, pool=1, pool_maps=1, steps=4, max_iter=2, random_state=7).fit(x)
        for _ in range(2)
    ]
    for one, two in zip(networks[0].components_, networks[1].components_, strict=True):
        assert np.array_equal(one, two)
    assert networks[0].transform(x).shape == (2, 5, 28, 28)
    assert all((np.linalg.norm(one.reshape(len(one), -1), axis=1) < 1 + 1e-6).all() for one in networks[0].components_)


EIGHT: list[Any] = [8]  # not a tuple, which is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: DeconvolutionalNetwork(*EIGHT).fit(x),
            errors.LengthError,
            "n_kernels 8 must have one entry per layer, such as (16, 32)",
        ),
        (
            lambda x: DeconvolutionalNetwork((2, 2), alpha=(1.0,)).fit(x),
            errors.LengthError,
            "alpha has 1 entries for 2 layers; give one, or one per layer",
        ),
        (lambda x: DeconvolutionalNetwork((2,), pool=0).fit(x), errors.TconvError, "pool 0 must be at least 1"),
        (lambda x: DeconvolutionalNetwork((2,), 0).fit(x), errors.KernelError, "kernel_size 0 must be at least 1"),
        (
            lambda x: DeconvolutionalNetwork((2,)).transform(x),
            errors.TconvError,
            "this DeconvolutionalNetwork is not fitted yet; call fit first",
        ),
        (
            lambda x: DeconvolutionalNetwork((2,), 3, max_iter=1, steps=1).fit(x).transform(np.repeat(x, 2, 1)),
            errors.ChannelError,
            "X has 2 channels, the kernels have 1; give images and kernels as many",
        ),
        (
            lambda x: (
                DeconvolutionalNetwork((2,), 3, max_iter=1, steps=1).fit(x).inverse_transform(np.zeros((1, 1, 2, 2)))
            ),
            errors.RankError,
            "Z has shape (1, 1, 2, 2), the switches of layer -1 have (1, 1, 5, 5); transform the same images first",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call(np.random.default_rng(0).standard_normal((1, 1, 8, 8)))
