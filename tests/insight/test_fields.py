"""Receptive fields: exactly the pixels that an activation depends on, found out the hard way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from insight.nets import image
from torch import Tensor, nn

from tconv.geometry import Forward, Geometry, receptive_field
from tconv.insight.fields import field_of, widest_field
from tconv.insight.graph import Graph
from tconv.segmentation import UNet


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.parts, self.function = nn.ModuleList(parts), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


def positive(model: nn.Module) -> nn.Module:
    """Weights above zero: nothing cancels, so that the gradient is zero exactly where nothing depends."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand(parameter.shape) + 0.5)
    return model.double()


def conv(a: int, b: int, *numbers: Any, **named: Any) -> nn.Module:
    return nn.Conv2d(a, b, *numbers, **named)


def swap(x: Tensor, linear: nn.Module) -> Tensor:
    return linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def woven(x: Tensor, first: nn.Module) -> Tensor:
    y = first(x).reshape(1, 2, 2, 2, *x.shape[2:])
    return y.permute(0, 1, 4, 2, 5, 3).reshape(1, 2, 2 * x.shape[2], 2 * x.shape[3])


def skips(x: Tensor, down: nn.Module, up: nn.Module, last: nn.Module) -> Tensor:
    return last(torch.cat((x, up(down(x))[:, :, : x.shape[2], : x.shape[3]]), dim=1))


def halves(x: Tensor, one: nn.Module) -> Tensor:
    left, right = x.chunk(2, dim=1)
    return torch.cat((one(left), right), dim=1) * 2 + x.flip(1)


def borders(x: Tensor) -> Tensor:
    x = F.pad(F.pad(x, (2, 1, 0, 3)), (1, 2, 2, 1), mode="reflect")
    return F.avg_pool2d(F.pad(x, (3, 3, 1, 1), mode="replicate"), 3, 2)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: conv(2, 2, 3, padding=1),
    "stride and dilation": lambda: nn.Sequential(conv(2, 2, 3, 2, 1), conv(2, 2, (3, 2), 1, (2, 1), (2, 1))),
    "wide steps": lambda: nn.Sequential(conv(2, 2, 3, padding=1), conv(2, 2, 2, 3, 1)),
    "pools": lambda: nn.Sequential(nn.AvgPool2d(3, 2, 1), conv(2, 2, 3), nn.AvgPool2d(2, ceil_mode=True)),
    "adaptive": lambda: nn.Sequential(conv(2, 2, 3), nn.AdaptiveAvgPool2d((4, 3))),
    "transposed": lambda: nn.Sequential(conv(2, 2, 3, 2), nn.ConvTranspose2d(2, 2, 4, 2, 1), conv(2, 2, 3, padding=1)),
    "transposed with gaps": lambda: nn.ConvTranspose2d(2, 2, 2, 3, output_padding=1),
    "nearest": lambda: nn.Sequential(conv(2, 2, 3, 2, 1), nn.Upsample(scale_factor=2), conv(2, 2, 3, padding=1)),
    "nearest to a size": lambda: nn.Sequential(conv(2, 2, 3, 2, 1), nn.Upsample(size=(13, 10))),
    "nearest, exact": lambda: nn.Upsample(scale_factor=1.5, mode="nearest-exact"),
    "bilinear": lambda: nn.Sequential(conv(2, 2, 3, 2, 1), nn.UpsamplingBilinear2d(scale_factor=3)),
    "bilinear, corners apart": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "smaller": lambda: nn.Upsample(size=(5, 4), mode="bilinear"),
    "pixel shuffle": lambda: nn.Sequential(conv(2, 8, 3, padding=1), nn.PixelShuffle(2)),
    "pixel unshuffle": lambda: nn.Sequential(Of(lambda x: F.pad(x, (0, 1, 0, 1))), nn.PixelUnshuffle(2)),
    "woven": lambda: Of(woven, conv(2, 8, 3, padding=1)),
    "channels last": lambda: nn.Sequential(conv(2, 4, 3, padding=1), Of(swap, nn.Linear(4, 3)), conv(3, 2, 3, 2)),
    "a slice": lambda: nn.Sequential(Of(lambda x: x[:, :, 2:-1, 1::2]), conv(2, 2, 3)),
    "flipped and rolled": lambda: nn.Sequential(Of(lambda x: x.flip(2).roll(2, 3)), conv(2, 2, 3, padding=1)),
    "skips": lambda: Of(skips, conv(2, 2, 3, 2, 1), nn.ConvTranspose2d(2, 2, 3, 2), conv(4, 2, 3, padding=1)),
    "halves": lambda: Of(halves, conv(1, 1, 3, padding=1)),
    "borders": lambda: Of(borders),
    "stacked": lambda: Of(lambda x: torch.stack((x, F.avg_pool2d(x, 3, 1, 1))).sum(0)),
    "rows as channels": lambda: Of(lambda x: x.transpose(1, 2).unsqueeze(0).squeeze(0).transpose(1, 2).contiguous()),
    "a mean": lambda: Of(lambda x: x + x.mean(2, keepdim=True)),
    "everything": lambda: nn.Sequential(conv(2, 2, 3), nn.AdaptiveAvgPool2d(1)),
}


def seen(model: nn.Module, x: Tensor) -> tuple[Tensor, Graph]:
    leaf = x.clone().requires_grad_()
    y = model(leaf.clone())
    return y, Graph(y, leaf)


def depends(y: Tensor, leaf: Tensor, at: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The box of all pixels with a gradient."""
    (g,) = torch.autograd.grad(y[at], leaf, retain_graph=True)
    found = (g[0].abs().sum(0) > 1e-9).nonzero()  # interpolation has weights that are nearly zero
    if not len(found):
        return ((0, -1),) * found.shape[1]
    return tuple((int(low), int(high)) for low, high in zip(found.min(0).values, found.max(0).values, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_exactly_the_pixels_that_count_at_every_place(name: str) -> None:
    torch.manual_seed(0)
    y, graph = seen(positive(MODELS[name]()), image(1, 2, 11, 9, dtype=torch.float64).abs() + 1)
    for place in product(*map(range, y.shape[2:])):
        field = field_of(graph, y.shape, (0, 1, *place))
        assert (field.spans, field.through) == (depends(y, graph.leaf, (0, 1, *place)), ()), place


POOLED = {
    "max": (lambda: nn.MaxPool2d(3, 2, 1), lambda: nn.AvgPool2d(3, 2, 1)),
    "max with indices": (lambda: Of(lambda x: F.max_pool2d(x, 2, return_indices=True)[0]), lambda: nn.AvgPool2d(2)),
    "adaptive max": (lambda: nn.AdaptiveMaxPool2d((3, 4)), lambda: nn.AdaptiveAvgPool2d((3, 4))),
    "dilated max": (lambda: nn.MaxPool2d(2, 1, dilation=2), lambda: conv(2, 2, 2, dilation=2)),
}


@pytest.mark.parametrize("name", POOLED)
def test_a_maximum_depends_on_its_whole_window_whoever_wins(name: str) -> None:
    pool, mean = (make() for make in POOLED[name])
    x = image(1, 2, 11, 13, dtype=torch.float64).abs()
    relu = nn.Sequential(conv(2, 2, 3, padding=1), nn.ReLU(), pool, nn.BatchNorm2d(2).eval(), conv(2, 2, 3, 2, 1))
    other = nn.Sequential(conv(2, 2, 3, padding=1), mean, conv(2, 2, 3, 2, 1))
    y, graph = seen(relu.double(), x)
    z, same = seen(positive(other), x)
    for place in product(*map(range, y.shape[2:])):
        assert field_of(graph, y.shape, (0, 0, *place)).spans == depends(z, same.leaf, (0, 0, *place))


@pytest.mark.parametrize("ndim", [1, 3])
def test_one_and_three_axes(ndim: int) -> None:
    layers = {
        1: (nn.Conv1d, nn.AvgPool1d, nn.ConvTranspose1d, "linear"),
        3: (nn.Conv3d, nn.AvgPool3d, nn.ConvTranspose3d, "trilinear"),
    }
    one, pool, up, mode = layers[ndim]
    model = nn.Sequential(
        one(1, 1, 3, padding=1), pool(2), one(1, 1, 3), up(1, 1, 3, 2, 1), nn.Upsample(scale_factor=2, mode=mode)
    )
    y, graph = seen(positive(model), torch.ones(1, 1, *(9,) * ndim, dtype=torch.float64))
    for n in range(y.shape[2]):
        field = field_of(graph, y.shape, (0, 0, *(n,) * ndim))
        assert field.spans == depends(y, graph.leaf, (0, 0, *(n,) * ndim))


def test_a_bicubic_look_is_never_too_narrow() -> None:
    y, graph = seen(nn.Upsample(scale_factor=2, mode="bicubic"), torch.ones(1, 1, 9, 9, dtype=torch.float64))
    for n in range(18):
        assert field_of(graph, y.shape, (0, 0, n, n)).spans == depends(y, graph.leaf, (0, 0, n, n))


def test_far_from_borders_it_is_what_geometry_says() -> None:
    stack = [Forward(Geometry(3)), Forward(Geometry(4, 2)), Geometry(3, 2), Forward(Geometry(3, dilation=2))]
    model = nn.Sequential(conv(1, 1, 3), conv(1, 1, 4, 2), nn.ConvTranspose2d(1, 1, 3, 2), conv(1, 1, 3, dilation=2))
    y, graph = seen(model, torch.ones(1, 1, 40, 40))
    assert widest_field(graph, y.shape).sizes == receptive_field(stack) * 2
    y, graph = seen(model, torch.ones(1, 1, 14, 14))  # and so it is said, also where the image is smaller
    assert widest_field(graph, y.shape).sizes == receptive_field(stack) * 2


@pytest.mark.parametrize("up", ["transposed", "nearest", "bilinear", "pixelshuffle"])
def test_a_u_net_is_followed_through_all_of_it(up: str) -> None:
    torch.manual_seed(0)
    model = positive(UNet(1, 2, (2, 3), up)).eval()
    leaf = image(1, 1, 39, 42, dtype=torch.float64).abs().requires_grad_()
    y = model(leaf.clone())
    graph = Graph(y, leaf)
    for place in ((0, 0), (20, 21), (38, 41), (7, 30)):
        field = field_of(graph, y.shape, (0, 1, *place))
        assert not field.through
        (g,) = torch.autograd.grad(y[(0, 1, *place)], leaf, retain_graph=True)
        outside = g.clone()
        outside[(slice(None), slice(None), *field.slices)] = 0
        assert not outside.any() and g.any()


def attend(x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    return F.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).reshape(x.shape)


def test_what_mixes_everything_is_named() -> None:
    y, graph = seen(nn.Sequential(conv(2, 2, 3, padding=1), Of(attend)), image(1, 2, 6, 7))
    assert field_of(graph, y.shape, (0, 0, 2, 2)).spans == ((0, 5), (0, 6))
    y, graph = seen(nn.Sequential(conv(2, 2, 3, padding=1), Of(lambda x: x.cumsum(2))), image(1, 2, 6, 7))
    field = field_of(graph, y.shape, (0, 0, 2, 2))
    assert (field.spans, field.through) == (((0, 5), (0, 6)), ("Cumsum",))
    y, graph = seen(nn.Sequential(conv(2, 2, 3, padding=1), nn.InstanceNorm2d(2)), image(1, 2, 6, 7))
    assert field_of(graph, y.shape, (0, 0, 2, 2)).spans == ((0, 5), (0, 6))
    assert field_of(graph, y.shape, (0, 0, 2, 2)).through


def test_what_depends_on_nothing_is_empty() -> None:
    y, graph = seen(nn.ConvTranspose2d(1, 1, 1, 3, bias=False), torch.ones(1, 1, 3, 3))
    assert field_of(graph, y.shape, (0, 0, 1, 1)).sizes == (0, 0)
