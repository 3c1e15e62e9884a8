"""Layers that change their class, and back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import tconv.nn
from tconv.nn import comparison, swap
from tconv.nn.comparison import Comparison


class Own(nn.ConvTranspose2d):
    """Somebody's subclass."""


LEFT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "subclass": (lambda: Own(4, 4, 2), f"its type {Own.__module__}.Own is not exactly torch.nn's"),
    "lazy": (
        lambda: nn.LazyConvTranspose2d(4, 2),
        "its type torch.nn.modules.conv.LazyConvTranspose2d is not exactly torch.nn's",
    ),
    "complex": (
        lambda: nn.ConvTranspose2d(4, 4, 2, dtype=torch.complex64),
        "the weight has dtype torch.complex64; "
        "the engine takes torch.float32, torch.float64, torch.bfloat16 and torch.float16",
    ),
    "meta": (
        lambda: nn.ConvTranspose2d(4, 4, 2, device="meta"),
        "the weight is on meta; there are engines for cpu and cuda",
    ),
    "tconv's": (lambda: tconv.nn.ConvTranspose2d(4, 4, 2), "it is tconv's already"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_and_why(name: str) -> None:
    make, reason = LEFT[name]
    layer = make()
    kind = type(layer)
    assert swap.swap(name, layer, None) == reason and type(layer) is kind
    swap.unswap(layer)
    assert type(layer) is kind


def test_a_filter() -> None:
    layer = nn.ConvTranspose2d(4, 4, 2)
    assert swap.swap("out", layer, lambda name, layer: name != "out") == "the filter leaves it alone"
    assert swap.swap("up", layer, lambda name, layer: name != "out") is None
    assert type(layer) is tconv.nn.ConvTranspose2d and type(pickle.loads(pickle.dumps(layer))) is type(layer)
    swap.unswap(layer)
    assert type(layer) is nn.ConvTranspose2d


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_only_the_class_changes(ndim: int) -> None:
    layer = getattr(nn, f"ConvTranspose{ndim}d")(4, 4, 2)
    before, weight = dict(vars(layer)), layer.weight
    assert swap.swap("up", layer, None) is None
    assert type(layer) is getattr(tconv.nn, f"ConvTranspose{ndim}d") and layer.weight is weight
    swap.unswap(layer)
    assert type(layer) is getattr(nn, f"ConvTranspose{ndim}d") and vars(layer) == before


def test_all_of_a_model() -> None:
    model = nn.Sequential(nn.ConvTranspose1d(4, 4, 2), tconv.nn.ConvTranspose1d(4, 4, 2), Own(4, 4, 2), nn.ReLU())
    rows = swap.swap_all(model, None)
    assert [(row.action, row.name, row.kind) for row in rows] == [
        ("replaced", "0", "ConvTranspose1d"),
        ("kept", "1", "ConvTranspose1d"),
        ("skipped", "2", "Own"),
    ]
    tconv.nn.restore(model)
    assert type(model[0]) is nn.ConvTranspose1d and type(model[1]) is tconv.nn.ConvTranspose1d


@torch.no_grad()
def test_a_parametrised_layer() -> None:
    layer: Any = nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(4, 3, 4, 2, 1))
    x = torch.randn(1, 4, 5, 5)
    expected = layer(x)
    assert swap.swap("up", layer, None) is None and isinstance(layer, tconv.nn.ConvTranspose2d)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is tconv.nn.ConvTranspose2d
    swap.unswap(layer)
    assert type(layer) is nn.ConvTranspose2d


@pytest.mark.parametrize("faster", [True, False])
def test_layers_race_forward_and_backward(
    faster: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(comparison, "SECONDS", 0)
    monkeypatch.setattr(Comparison, "faster", faster)
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU())
    tconv.nn.accelerate(model, torch.randn(1, 4, 6, 6), mode="training")
    assert isinstance(model[0], tconv.nn.ConvTranspose2d) == faster
    (row,) = tconv.nn.report(model).rows
    assert row.text.startswith("not faster: ") != faster and " ms (" in row.text
    assert capsys.readouterr().out.startswith(
        "tconv: Sequential: 1 layer replaced" if faster else "tconv: Sequential stays"
    )


def test_a_layer_that_the_example_does_not_reach(fast: None) -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.spare = nn.ConvTranspose2d(4, 4, 2, 2), nn.ConvTranspose2d(4, 4, 2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.up(x)

    model = tconv.nn.accelerate(Spare(), torch.randn(1, 4, 6, 6), mode="training")
    assert [row.text for row in tconv.nn.report(model).rows][1] == "the example does not reach it"
