"""What folds in models, however it is written, and that results stay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nn.judge import agree, folded, folds, graphs
from torch import Tensor, nn

import tconv.nn
from tconv.nn.capture import captured

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def up(cin: int, cout: int, **kwargs: Any) -> nn.Module:
    return nn.ConvTranspose2d(cin, cout, 4, 2, 1, **kwargs)


def conv(cin: int, cout: int, *numbers: Any, **kwargs: Any) -> nn.Module:
    return nn.Conv2d(cin, cout, *numbers, **kwargs)


# The layers, and how many folds they make.
CHAINS: dict[str, tuple[Callable[[], list[nn.Module]], str]] = {
    "nearest, conv, norm": (
        lambda: [nn.Upsample(scale_factor=2), conv(4, 6, 3, padding=1), nn.BatchNorm2d(6)],
        "0 + 1 + 2",
    ),
    "nearest, conv": (lambda: [nn.UpsamplingNearest2d(scale_factor=3), conv(4, 6, 5, padding=2)], "0 + 1"),
    "conv, shuffle": (lambda: [conv(4, 24, 3, padding=1), nn.PixelShuffle(2)], "0 + 1"),
    "transposed, norm, ReLU": (lambda: [up(4, 6, groups=2), nn.BatchNorm2d(6), nn.ReLU()], "0 + 1 + 2"),
    "transposed, leaky ReLU": (lambda: [up(4, 6), nn.LeakyReLU(0.2)], "0 + 1"),
    "transposed, PReLU": (lambda: [up(4, 6), nn.PReLU()], "0 + 1"),
    "transposed, PReLU by channel": (lambda: [up(4, 6), nn.PReLU(6)], "0"),
    "transposed, GELU": (lambda: [up(4, 6), nn.GELU()], "0 + 1"),
    "transposed, SiLU": (lambda: [up(4, 6), nn.SiLU()], "0 + 1"),
    "transposed, tanh": (lambda: [up(4, 6), nn.Tanh()], "0 + 1"),
    "strided conv, norm, ReLU": (lambda: [conv(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU()], "0 + 1"),
    "conv, norm, ReLU": (lambda: [conv(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(True)], "0 + 1 + 2"),
    "dilated conv, SiLU": (lambda: [conv(4, 6, 3, 1, 2, 2, groups=2), nn.SiLU()], "0 + 1"),
    "conv, norm": (lambda: [conv(4, 6, 1), nn.BatchNorm2d(6)], "0 + 1"),
    "conv, dropout, norm": (lambda: [conv(4, 6, 1), nn.Dropout(), nn.BatchNorm2d(6)], "0 + 2"),
    "transposed, conv": (
        lambda: [nn.ConvTranspose2d(4, 6, 2, 2, bias=False), conv(6, 6, 3, padding=1)],
        "0 + 1",
    ),
    "group norm, SiLU": (lambda: [nn.GroupNorm(2, 4), nn.SiLU()], "0 + 1"),
    "instance norm": (lambda: [nn.InstanceNorm2d(4), nn.LeakyReLU(0.2)], "0 + 1"),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("last", [False, True])
def test_chains(name: str, last: bool) -> None:
    layers, title = CHAINS[name]
    model, x = nn.Sequential(*layers()), torch.randn(2, 4, 7, 5)
    if last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    model, twin = folded(model)
    y = agree(model, twin, x)
    assert folds(model) == [title] and y.stride() == twin(x).stride()


KINDS = [torch.float32, torch.float64, torch.bfloat16, torch.float16, "meta"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", CHAINS)
def test_kinds_of_tensors(name: str, kind: Any) -> None:
    """What the engine does not take is captured, and runs as it is written."""
    layers, title = CHAINS[name]
    model, twin = folded(nn.Sequential(*layers()))
    x = torch.randn(2, 4, 7, 5).to(kind)
    agree(model.to(kind), twin.to(kind), x)
    assert folds(model) == ([title] if kind in KINDS[:-1] else [])


LINES: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, ...]]] = {
    "1d": (lambda: [nn.ConvTranspose1d(4, 3, 4, 2, 1), nn.BatchNorm1d(3), nn.ReLU()], (2, 4, 9)),
    "1d nearest": (lambda: [nn.Upsample(scale_factor=2), nn.Conv1d(4, 3, 3, padding=1)], (2, 4, 9)),
    "3d": (lambda: [nn.ConvTranspose3d(4, 3, 2, 2), nn.BatchNorm3d(3), nn.Sigmoid()], (1, 4, 3, 4, 2)),
    "3d nearest": (lambda: [nn.Upsample(scale_factor=2), nn.Conv3d(4, 3, 3, padding=1)], (1, 4, 3, 4, 2)),
}


@pytest.mark.parametrize("name", LINES)
def test_other_numbers_of_axes(name: str) -> None:
    layers, shape = LINES[name]
    model, twin = folded(nn.Sequential(*layers()))
    agree(model, twin, torch.randn(shape))
    assert len(folds(model)) == 1


class Functional(nn.Module):
    """All that is written as functions."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run
        self.conv, self.up, self.wide = conv(4, 4, 3, padding=1), up(4, 4), conv(4, 16, 3, padding=1)
        self.slope = nn.Parameter(torch.tensor([0.25]))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def three(m: Any, x: Tensor) -> Tensor:
    x = F.interpolate(x, scale_factor=2.0, mode="nearest-exact")
    x = F.leaky_relu(m.conv(x), 0.2)
    x = F.gelu(m.up(x))
    return F.pixel_shuffle(m.wide(x), 2).relu()


def transposed(m: Any, x: Tensor, *numbers: Any, **named: Any) -> Tensor:
    return F.conv_transpose2d(x, m.up.weight, m.up.bias, *numbers, **named).tanh_()


# What is written, and how many folds it makes.
SPELLINGS: dict[str, tuple[Callable[[Any, Tensor], Tensor], int]] = {
    "three folds": (three, 3),
    "pixel_shuffle by name": (lambda m, x: F.pixel_shuffle(m.wide(x), upscale_factor=2), 1),
    "torch.pixel_shuffle": (lambda m, x: torch.pixel_shuffle(m.wide(x), 2), 1),
    "relu in place": (lambda m, x: F.relu(m.conv(x), inplace=True), 1),
    "a method": (lambda m, x: m.conv(x).relu_(), 1),
    "torch.sigmoid": (lambda m, x: torch.sigmoid(m.conv(x)), 1),
    "leaky_relu by names": (lambda m, x: F.leaky_relu(m.conv(x), inplace=True, negative_slope=0.3), 1),
    "prelu": (lambda m, x: F.prelu(m.conv(x), m.slope), 1),
    "interpolate in places": (lambda m, x: m.conv(F.interpolate(x, None, [2, 3], "nearest")), 1),
    "interpolate recomputed": (lambda m, x: m.conv(F.interpolate(x, scale_factor=2.0, recompute_scale_factor=True)), 1),
    "interpolate to twice": (lambda m, x: m.conv(F.interpolate(x, (12, 10))), 1),
    "gelu by name": (lambda m, x: F.gelu(m.conv(x), approximate="none"), 1),
    "silu in place": (lambda m, x: F.silu(m.conv(x), inplace=True), 1),
    "conv by numbers": (lambda m, x: F.conv2d(x, m.conv.weight, None, (1, 1), "same").relu(), 1),
    "conv_transpose2d": (lambda m, x: transposed(m, x, 2, 1), 1),
    "conv_transpose2d by names": (lambda m, x: transposed(m, x, stride=[2], padding=(1,)), 1),
    "a result in place, by its first name": (lambda m, x: (F.relu(y := m.conv(x), inplace=True), y)[1], 0),
    "interpolate to a size": (lambda m, x: m.conv(F.interpolate(x, (9, 9))), 0),
    "interpolate to less": (lambda m, x: m.conv(F.interpolate(x, scale_factor=0.5)), 0),
    "bilinear": (lambda m, x: m.conv(F.interpolate(x, scale_factor=2, mode="bilinear")), 0),
    "another factor": (lambda m, x: m.conv(F.interpolate(x, scale_factor=2.0001)), 0),
    "tanh approximation": (lambda m, x: F.gelu(m.conv(x), approximate="tanh"), 0),
    "a result that is read twice": (lambda m, x: (y := m.conv(x)) + F.relu(y), 0),
    "a weight that is computed": (lambda m, x: F.conv2d(x, m.conv.weight * 2, None).relu(), 1),
    "a weight of the input": (lambda m, x: F.conv2d(x, m.conv.weight * x.mean()).relu(), 0),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    run, count = SPELLINGS[name]
    model, twin = folded(Functional(run))
    agree(model, twin, torch.randn(1, 4, 6, 5))
    assert len(folds(model)) == count


def test_names() -> None:
    model, _ = folded(nn.ModuleDict({"a": Functional(three)}))
    model.forward = lambda x: model["a"](x)
    model(torch.randn(1, 4, 5, 5))
    assert folds(model) == ["a.interpolate + conv + leaky_relu", "a.up + gelu", "a.wide + pixel_shuffle"]


def test_new_sizes_make_few_graphs_and_all_are_folded() -> None:
    """From the second size on TorchDynamo captures for any; folds are found under symbolic sizes too."""
    model, twin = folded(Functional(three))
    for size in range(4, 14):
        agree(model, twin, torch.randn(1 + size % 3, 4, size, size + 1), calls=1)
    assert graphs(model) <= 4 and len(folds(model)) == 3
    assert all(fold.derivation.now is not None for fold in captured(model).backend.folds.values())


def wide(layer: nn.Module, last: bool = True) -> nn.Module:
    return nn.Sequential(layer).to(memory_format=torch.channels_last if last else torch.contiguous_format)


@pytest.mark.parametrize("layer", [conv(32, 48, 3, padding=1), up(32, 48)], ids=["conv", "transposed"])
def test_a_single_layer_that_gains_by_winograd(layer: nn.Module, engine: None) -> None:
    model, twin = folded(wide(copy.deepcopy(layer)))
    x = torch.randn(2, 32, 40, 39)
    agree(model, twin, x)
    assert folds(model) == ["0"]
    x[0, 0, 0, 0] = torch.nan
    assert torch.equal(model(x).isnan(), layer(x).isnan())


SINGLE: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "exact": (lambda: wide(conv(32, 48, 3, padding=1)), False),
    "channels-first": (lambda: wide(conv(32, 48, 3), False), True),
    "strided": (lambda: wide(conv(32, 48, 3, 2)), True),
    "few channels": (lambda: wide(conv(3, 48, 3)), True),
    "one tap": (lambda: wide(conv(32, 48, 1)), True),
    "norm": (lambda: wide(nn.BatchNorm2d(32)), True),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_layers_that_do_not_gain_are_left(name: str) -> None:
    make, winograd = SINGLE[name]
    model = tconv.nn.fold(make().eval(), winograd=winograd)
    model(torch.randn(1, 3 if name == "few channels" else 32, 20, 20))
    assert not folds(model) and graphs(model) == 1 and not captured(model).backend.skipped


class Skip(nn.Module):
    """A step of a U-Net's way up."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.up, self.first = nn.ConvTranspose2d(4, 3, 2, 2), first

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y = self.up(x)
        return torch.cat([y, skip] if self.first else [skip, y], dim=1)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_cat_is_written_into(first: bool, last: bool) -> None:
    model, twin = folded(Skip(first))
    x, skip = torch.randn(2, 4, 5, 5), torch.randn(2, 2, 10, 10)
    if last:
        model, twin = (m.to(memory_format=torch.channels_last) for m in (model, twin))
        skip = skip.contiguous(memory_format=torch.channels_last)
    y = agree(model, twin, x, skip)
    assert folds(model) == ["up", "cat + up"] and y.is_contiguous(memory_format=torch.channels_last) == last
    assert y.stride() == twin(x, skip).stride()


OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "double": lambda skip: skip.double(),
    "half": lambda skip: skip.half(),
    "integers": lambda skip: skip.int(),
    "nothing": lambda skip: torch.ones(0),
    "another size": lambda skip: skip[:, :, :1],
    "another device": lambda skip: skip.to("meta"),
    "expanded": lambda skip: skip[:1, :1, :1, :1].expand(2, 2, 10, 10),
    "no channels": lambda skip: skip[:, :0],
}


@pytest.mark.parametrize("name", OTHERS)
def test_cat_with_something_else(name: str) -> None:
    """A fold that was captured for one kind of skip; another one is PyTorch's business, its error too."""
    model, twin = folded(Skip(True))
    x, skip = torch.randn(2, 4, 5, 5), torch.randn(2, 2, 10, 10)
    model(x, skip)
    results = []
    for each in (model, twin):
        try:
            results.append(each(x, OTHERS[name](skip)))
        except (RuntimeError, NotImplementedError) as error:
            results.append(str(error).splitlines()[0].partition(". ")[0])
    if isinstance(results[1], str):
        assert isinstance(results[0], str)
    else:
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_called_twice_folds_twice() -> None:
    layer, near = conv(4, 4, 3, padding=1), nn.Upsample(scale_factor=2)
    model, twin = folded(nn.Sequential(near, layer, near, layer))
    agree(model, twin, torch.randn(1, 4, 5, 5))
    assert folds(model) == ["0 + 1", "0 + 1 (2)"]


def test_what_is_not_folded_has_a_reason() -> None:
    model, twin = folded(nn.Sequential(up(4, 6), nn.PReLU(6), nn.Conv2d(6, 12, 3), nn.PixelShuffle(2), nn.PReLU(3)))
    agree(model, twin, torch.randn(1, 4, 5, 5))
    assert folds(model) == ["0", "2 + 3"]
    model, _ = folded(nn.Sequential(nn.ConvTranspose2d(4, 6, 2, 2), nn.Conv2d(6, 6, 3, padding=1)))
    model(torch.randn(1, 4, 5, 5))
    assert captured(model).backend.skipped == {
        "0 + 1": "the convolution pads with zeros where the bias of the layer before it would stand: the border differs"
    }
