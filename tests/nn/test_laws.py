"""The folds against the layers that they stand for: random sizes, strides, paddings, groups, border included."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv
from tconv.nn.folding.joining import Valued, join
from tconv.nn.folding.laws import NoFoldError, scale_is_exact
from tconv.nn.folding.parts import Activation, BatchNorm, Convolution, Nearest, Shuffle, TransposedConvolution
from tconv.nn.private import BatchNormBase, TransposedBase

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
UP = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def step(layer: Any) -> Valued:
    """A layer of PyTorch's as a part with its tensors; parts are what they are."""
    if isinstance(layer, BatchNormBase):
        return BatchNorm(layer.eps), (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    if isinstance(layer, TransposedBase):
        numbers: Any = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
        return TransposedConvolution(len(layer.stride), *numbers), (layer.weight, layer.bias)
    if isinstance(layer, nn.modules.conv._ConvNd):
        numbers = layer.stride, layer.padding, layer.dilation, layer.groups
        return Convolution(len(layer.stride), *numbers), (layer.weight, layer.bias)
    return layer, ()


def folded(steps: list[Any], x: Tensor) -> Tensor:
    """The joined layer by a definition of the transposed convolution, in float64."""
    linear: Any = join([step(part) for part in steps]).linear
    bias = None if linear.bias is None else linear.bias.numpy()
    y = tconv.forms.taps.run(linear.geometry, x.numpy(), linear.weight.numpy(), bias, linear.groups)
    result = torch.from_numpy(y)
    if linear.phase_bias is not None:
        scales = linear.phase_bias.shape[1:]
        result = result + linear.phase_bias.repeat(1, *(n // r for n, r in zip(y.shape[2:], scales, strict=True)))
    return result


def norm(channels: int, ndim: int, rng: random.Random) -> Any:
    layer: Any = NORM[ndim](channels, affine=rng.random() < 0.8).double().eval()
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.1, 3)
    for p in layer.parameters():
        nn.init.normal_(p)
    return layer


def conv(rng: random.Random, ndim: int, channels_in: int, channels_out: int, **numbers: Any) -> Any:
    kernel = tuple(rng.randint(1, 4) for _ in range(ndim))
    padding = rng.choice([tuple(rng.randint(0, 3) for _ in range(ndim)), "same", "valid"])
    return CONV[ndim](channels_in, channels_out, kernel, padding=padding, bias=rng.random() < 0.7, **numbers).double()


def sized(rng: random.Random, ndim: int, channels: int) -> Tensor:
    return torch.randn(rng.randint(1, 2), channels, *(rng.randint(4, 7) for _ in range(ndim)), dtype=torch.float64)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_conv_and_activation(ndim: int, seed: int) -> None:
    """A convolution of stride 1 is a transposed one."""
    rng = random.Random(seed)
    dilation = tuple(rng.randint(1, 2) for _ in range(ndim))
    layer = conv(rng, ndim, 4, 6, dilation=dilation, groups=rng.choice([1, 2]))
    x, bn = F.pad(sized(rng, ndim, 4), (3, 3) * ndim), norm(6, ndim, rng)
    torch.testing.assert_close(folded([layer, Activation("relu")], x), layer(x))
    torch.testing.assert_close(folded([layer, bn, Activation("relu")], x), bn(layer(x)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_nearest_and_conv(ndim: int, seed: int) -> None:
    rng = random.Random(seed)
    dilation = tuple(rng.randint(1, 2) for _ in range(ndim))
    layer = conv(rng, ndim, 4, 6, dilation=dilation, groups=rng.choice([1, 2]))
    scales = tuple(rng.randint(1, 4) for _ in range(ndim))
    x = F.pad(sized(rng, ndim, 4), (3, 3) * ndim)  # large enough for any kernel
    bn = norm(6, ndim, rng)
    up = F.interpolate(x, scale_factor=scales, mode=rng.choice(["nearest", "nearest-exact"]))
    torch.testing.assert_close(folded([Nearest(scales, "nearest"), layer], x), layer(up))
    torch.testing.assert_close(folded([Nearest(scales, "nearest"), layer, bn], x), bn(layer(up)))


def test_the_usual_case_is_kernel_4_stride_2_padding_1() -> None:
    linear: Any = join([step(Nearest((2, 2), "nearest")), step(nn.Conv2d(3, 5, 3, padding=1))]).linear
    assert linear.geometry == tconv.Geometry((4, 4), 2, 1, (1, 1))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("seed", range(12))
def test_conv_and_pixel_shuffle(seed: int) -> None:
    rng = random.Random(seed)
    r = rng.randint(1, 3)
    layer, bn = conv(rng, 2, 4, 2 * r * r, groups=rng.choice([1, 2])), norm(2, 2, rng)
    x = sized(rng, 2, 4)
    torch.testing.assert_close(folded([layer, Shuffle(r)], x), F.pixel_shuffle(layer(x), r))
    torch.testing.assert_close(folded([layer, Shuffle(r), bn], x), bn(F.pixel_shuffle(layer(x), r)))


def test_a_bias_that_is_the_same_in_all_phases_stays_a_bias() -> None:
    layer, x = nn.Conv2d(4, 8, 3).double(), torch.randn(1, 4, 5, 5, dtype=torch.float64)
    nn.init.constant_(layer.bias, 0.5)
    linear: Any = join([step(layer), step(Shuffle(2))]).linear
    assert linear.phase_bias is None and linear.bias.tolist() == [0.5, 0.5]
    torch.testing.assert_close(folded([layer, Shuffle(2)], x), F.pixel_shuffle(layer(x), 2))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_transposed_and_norm(ndim: int, seed: int) -> None:
    rng = random.Random(seed)
    numbers: Any = {"stride": rng.randint(1, 3), "padding": rng.randint(0, 1), "dilation": rng.randint(1, 2)}
    layer = UP[ndim](4, 6, rng.randint(2, 4), groups=rng.choice([1, 2]), bias=rng.random() < 0.7, **numbers).double()
    bn, x = norm(6, ndim, rng), sized(rng, ndim, 4)
    torch.testing.assert_close(folded([layer, bn], x), bn(layer(x)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("ndim", [1, 2])
def test_transposed_and_conv_is_exact_or_refused(ndim: int) -> None:
    """Every case is equal up to the last cell of the border, or refused; both happen often."""
    exact = refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        numbers: Any = {"padding": rng.choice([0, 0, 1]), "bias": rng.random() < 0.3}
        up = UP[ndim](6, 6, rng.randint(2, 3), rng.randint(2, 3), **numbers).double()
        layer, x = conv(rng, ndim, 6, 6), sized(rng, ndim, 6)
        try:
            y = folded([up, layer], x)
        except NoFoldError:
            refused += 1
        else:
            exact += 1
            torch.testing.assert_close(y, layer(up(x)))
    assert exact >= 20 and refused >= 20


def refusal(*parts: Any) -> str:
    with pytest.raises(NoFoldError) as error:
        join([step(part) for part in parts])
    return str(error.value)


def test_refusals_of_a_convolution_behind_a_transposed_one() -> None:
    up, three = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 3, padding=1)
    bare, cropped = nn.ConvTranspose2d(4, 4, 2, 2, bias=False), nn.ConvTranspose2d(4, 4, 4, 2, 1, bias=False)
    assert refusal(up, three) == (
        "the convolution pads with zeros where the bias of the layer before it would stand: the border differs"
    )
    assert refusal(cropped, three) == (
        "the convolution pads with zeros where the layer before it was cropped: the border differs"
    )
    narrow = nn.ConvTranspose2d(64, 2, 2, 2, bias=False)
    assert refusal(narrow, nn.Conv2d(2, 64, 3)) == "one layer would multiply as much as the two"
    only = "only stride 1, dilation 1 and one group are folded into a transposed convolution"
    assert refusal(up, nn.Conv2d(4, 4, 3, 2)) == only
    assert refusal(bare, nn.Conv2d(5, 4, 1)) == "the channels do not fit"
    assert refusal(nn.Conv2d(4, 8, 3), Shuffle(2), nn.Conv2d(2, 2, 1)) == (
        "a bias that differs between phases does not pass through a convolution"
    )


def test_other_refusals() -> None:
    up, three, two = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 3, padding=1), Nearest((2, 2), "nearest")
    assert refusal(two, nn.Conv2d(4, 4, 3, 2)) == (
        "a convolution of stride (2, 2) behind nearest upsampling is no transposed convolution"
    )
    assert refusal(Nearest((41, 41), "nearest"), three) == (
        "PyTorch's nearest upsampling by 41 rounds some places to their neighbour"
    )
    assert refusal(Nearest((2, 2, 2), "nearest"), three) == "3 scales do not fit 2 axes"
    assert refusal(nn.Conv2d(4, 8, 3, 2), Shuffle(2)) == (
        "a pixel shuffle behind stride (2, 2), dilation (1, 1) is not folded"
    )
    assert refusal(nn.Conv2d(4, 6, 3), Shuffle(2)) == "6 channels in 1 groups do not make pixels of 4"
    assert refusal(up, nn.BatchNorm2d(5)) == "the batch norm has another number of channels"
    assert refusal(up, Activation("relu"), nn.BatchNorm2d(4)) == "after an activation nothing is linear"
    assert refusal(two) == "nothing is to be folded here"
    assert refusal(Activation("relu"), three) == "Activation begins no fold"
    assert refusal(three, two) == "Nearest is not folded here"
    assert refusal(nn.Conv2d(4, 6, 3, 2), Activation("relu")) == (
        "a convolution of stride (2, 2) is no transposed convolution"
    )


@pytest.mark.parametrize("scale", [*range(1, 10), 25, 41, 47, 49])
def test_nearest_rounds_where_the_law_says(scale: int) -> None:
    """Where the law calls a scale exact, PyTorch's upsampling is the definition; 41 and 47 show that others exist."""
    for size in (1, 2, 3, 50, 1001):
        places = torch.arange(size * scale).div(scale, rounding_mode="floor").float()
        for mode in ("nearest", "nearest-exact"):
            y = F.interpolate(torch.arange(size).float()[None, None], scale_factor=scale, mode=mode)[0, 0]
            assert torch.equal(y, places) or not scale_is_exact(scale, mode)
            assert not (scale in (41, 47) and mode == "nearest" and size == 2) or not torch.equal(y, places)
