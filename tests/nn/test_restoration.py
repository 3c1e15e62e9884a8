"""`restore` after whatever happened to the model in between; the layout of its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import tconv.nn
from tconv.nn.restoration import by_format, make_channels_last


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 3, 2, 2)).eval()


def wider(m: Any) -> None:
    m[0], m[1], m[3] = nn.Conv2d(4, 8, 3, 1, 1), nn.BatchNorm2d(8).eval(), nn.Conv2d(8, 3, 1)


SURGERY: dict[str, Callable[[Any], object]] = {
    "nothing": lambda m: None,
    "a layer less": lambda m: m.__delitem__(3),
    "wider layers": wider,
    "another kernel": lambda m: m.__setitem__(3, nn.Conv2d(4, 3, 5, 1, 2)),
    "another rank": lambda m: m.__setitem__(3, nn.Sequential(nn.Flatten(), nn.Linear(4 * 36, 3))),
    "another parameter": lambda m: setattr(m[0], "weight", nn.Parameter(torch.ones(4, 4, 3, 3))),
    "a channels-last parameter": lambda m: m.__setitem__(0, nn.Conv2d(4, 4, 5).to(memory_format=torch.channels_last)),
    "half and back": lambda m: m.half().float(),
    "assigned": lambda m: m.load_state_dict(net().state_dict(), assign=True),
    "loaded": lambda m: m.load_state_dict({k: v * 2 for k, v in net().state_dict().items()}),
    "contiguous before": lambda m: m.to(memory_format=torch.contiguous_format),
    "normed": lambda m: nn.utils.parametrizations.weight_norm(m[0]),
    "fewer outputs": lambda m: setattr(m[0].weight, "data", m[0].weight.data[:, :4].clone()),
}


@torch.no_grad()
@pytest.mark.parametrize("name", SURGERY)
def test_the_layout_comes_back_and_no_value_changes(name: str) -> None:
    model, x = net(), torch.randn(1, 4, 6, 6)
    make_channels_last(model)
    tconv.nn.fold(model)
    SURGERY[name](model)
    expected = type(model).forward(model, x).clone()
    values = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    tconv.nn.restore(model)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, values[key]) for key, tensor in model.state_dict().items())
    kept = name == "a channels-last parameter"  # whose user wanted it so
    assert all(p.is_contiguous() for key, p in model.named_parameters() if not (kept and key == "0.weight"))


@torch.no_grad()
def test_a_norm_that_is_removed_leaves_a_contiguous_weight() -> None:
    model = net()
    nn.utils.parametrizations.weight_norm(model[0])
    make_channels_last(model)
    nn.utils.parametrize.remove_parametrizations(model[0], "weight")
    tconv.nn.restore(model)
    assert model[0].weight.is_contiguous()


@torch.no_grad()
def test_copies_are_restored_for_themselves() -> None:
    model = net()
    strides = [p.stride() for p in model.parameters()]
    make_channels_last(model)
    copied = copy.deepcopy(model)
    for each in (copied, model):
        assert [p.stride() for p in tconv.nn.restore(each).parameters()] == strides
        assert set(vars(each)) == set(vars(net()))


def test_a_layout_of_the_models_own_stays() -> None:
    model = net().to(memory_format=torch.channels_last)
    strides = [p.stride() for p in model.parameters()]
    make_channels_last(model)
    tconv.nn.restore(model)
    assert [p.stride() for p in model.parameters()] == strides
    tconv.nn.restore(model)


def test_formats() -> None:
    assert by_format(torch.ones(1, 1, 1, 1)) == torch.channels_last
    assert by_format(torch.ones(1, 1, 1, 1, 1)) == torch.channels_last_3d
    assert by_format(torch.ones(1, 1, 1)) is None


@pytest.mark.parametrize("made_there", [False, True])
def test_weights_stay_what_they_are_in_inference_mode(made_there: bool) -> None:
    with torch.inference_mode(made_there):
        model = net()
    with torch.inference_mode():
        make_channels_last(model)
        assert not model[0].weight.is_contiguous()
        assert all(p.is_inference() == made_there for p in model.parameters())
        tconv.nn.restore(model)
        assert model[0].weight.is_contiguous()
        assert all(p.is_inference() == made_there for p in model.parameters())


def test_a_model_that_was_accelerated_in_inference_mode_can_be_trained() -> None:
    model, x = net(), torch.randn(1, 4, 32, 32)
    with torch.inference_mode():
        tconv.nn.accelerate(model, x, tolerance=1)
        assert "inference tensors" not in str(tconv.nn.report(model))
    model.train()(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_what_was_made_in_inference_mode_is_told_how_to_be_folded() -> None:
    with torch.inference_mode():
        model = net()
        tconv.nn.accelerate(model, torch.randn(1, 4, 32, 32))
    assert "made in torch.inference_mode(), and PyTorch does not count the writes to them: make or load" in str(
        tconv.nn.report(model)
    )


def test_gradients_are_not_measured_in_inference_mode() -> None:
    model, x = net(), torch.randn(1, 4, 6, 6)
    with torch.inference_mode(), pytest.raises(tconv.nn.AccelerateError, match="records none; call accelerate outside"):
        tconv.nn.accelerate(model, x, mode="training")
    assert tconv.nn.restore(model) is model
