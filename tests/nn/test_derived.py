"""Derived layers: shared by the graphs of a model, and gone with their weights."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

import tconv.nn
from tconv.nn.capture import captured
from tconv.nn.folding.chain import Folded

pytestmark = pytest.mark.usefixtures("captures")


def model_of(channels: int = 8) -> nn.Module:
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU()).eval()


@torch.no_grad()
def test_the_graphs_of_a_model_share_their_layers() -> None:
    model = tconv.nn.fold(model_of())
    found = captured(model)
    assert found is not None
    layers = set()
    for x in (torch.randn(1, 8, 5, 5), torch.randn(1, 8, 6, 7), torch.randn(2, 8, 5, 5)):
        for given in (x, x.to(memory_format=torch.channels_last)):
            model(given)
            (fold,) = found.backend.folds.values()
            assert isinstance(fold, Folded)
            layers.add(id(fold.derivation))
    assert found.backend.graphs > 1 and len(layers) == 1


@torch.no_grad()
def test_models_with_other_weights_do_not() -> None:
    x, seen = torch.randn(1, 8, 5, 5), set()
    models = [tconv.nn.fold(model_of()) for _ in range(2)]
    for model in models:
        torch.testing.assert_close(model(x), type(model).forward(model, x), rtol=1e-4, atol=1e-5)
        found = captured(model)
        assert found is not None
        seen |= {id(fold.derivation) for fold in found.backend.folds.values() if isinstance(fold, Folded)}
    assert len(seen) == 2


@torch.no_grad()
def test_what_is_derived_goes_with_its_weights() -> None:
    model = tconv.nn.fold(model_of())
    model(torch.randn(1, 8, 5, 5))
    found = captured(model)
    assert found is not None
    (fold,) = found.backend.folds.values()
    assert isinstance(fold, Folded) and fold.derivation.now is not None
    model.half()
    gc.collect()
    assert fold.derivation.now is None


@torch.no_grad()
def test_a_model_that_its_user_compiled_is_so_again() -> None:
    model, x = model_of(), torch.randn(1, 8, 5, 5)
    model.compile(backend="eager")
    expected, own = model(x), vars(model)["_compiled_call_impl"]
    tconv.nn.fold(model)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    tconv.nn.restore(model)
    assert vars(model)["_compiled_call_impl"] is own
    torch.testing.assert_close(model(x), expected)
