"""Packed weights are kept, and noticed to be stale."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tconv.nn import ConvTranspose2d, StrictError, explain, functional, packing
from tconv.nn.engines.cpu import Cpu
from tconv.nn.operator import OPERATOR


def same(layer: torch.nn.ConvTranspose2d, x: torch.Tensor) -> bool:
    with torch.no_grad():
        expected = F.conv_transpose2d(x, layer.weight, layer.bias, 2)
        return torch.allclose(layer(x), expected, atol=1e-5)


def step(layer: torch.nn.Module) -> None:
    for p in layer.parameters():
        p.grad = torch.ones_like(p)
    torch.optim.SGD(layer.parameters(), 0.1).step()


def tie(layer: torch.nn.Module) -> None:
    layer.weight = torch.nn.Parameter(torch.randn(4, 3, 2, 2))


def point(layer: torch.nn.Module) -> None:
    layer.weight.data = torch.randn(4, 3, 2, 2)


def numpy(layer: torch.nn.Module) -> None:
    layer.weight.detach().numpy()[...] *= -1


@torch.no_grad()
def write(layer: torch.nn.Module) -> None:
    layer.bias += 1


def fewer(layer: torch.nn.Module) -> None:
    layer.weight.data, layer.bias.data = layer.weight.data[:, :2], layer.bias.data[:2]


@torch.no_grad()
def one(layer: torch.nn.Module) -> None:
    layer.weight[1, 2, 0, 1] += 1


def new_memory(layer: torch.nn.Module) -> None:
    storage, size = layer.weight.untyped_storage(), layer.weight.nbytes
    storage.resize_(0)
    with torch.no_grad(), pytest.raises(RuntimeError, match="not allocated"):
        layer(torch.randn(1, 4, 5, 5))
    storage.resize_(size)
    layer.weight.data.copy_(torch.linspace(-1, 1, layer.weight.numel()).view_as(layer.weight))


CHANGES: dict[str, Callable[[torch.nn.Module], object]] = {
    "optimiser step": step,
    "load_state_dict": lambda layer: layer.load_state_dict(ConvTranspose2d(4, 3, 2, 2).state_dict()),
    "in place": write,
    "one element": one,
    "another parameter": tie,
    "another storage": point,
    ".data": lambda layer: layer.weight.data.mul_(2),
    "NumPy": numpy,
    "new memory": new_memory,
    "channels_last": lambda layer: layer.to(memory_format=torch.channels_last),
    "turned data": lambda layer: setattr(layer.weight, "data", layer.weight.data.transpose(2, 3)),
    "reshaped data": lambda layer: setattr(layer.weight, "data", layer.weight.data.view(4, 3, 4, 1)),
    "fewer outputs": fewer,
    "no bias": lambda layer: layer.register_parameter("bias", None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed(name: str, engine: None) -> None:
    layer, x = ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
    assert same(layer, x) and same(layer, x)
    CHANGES[name](layer)
    assert same(layer, x)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_fused_steps_are_counted(kind: Callable[..., torch.optim.Optimizer], engine: None) -> None:
    """Which change one output channel here, of which a sample of the values may hold none."""
    torch.manual_seed(0)
    for channel in range(0, 64, 8):
        layer, x = ConvTranspose2d(64, 64, 4, 2, bias=False), torch.randn(1, 64, 8, 8)
        assert same(layer, x)
        optimizer = kind(layer.parameters(), lr=0.01, fused=True)
        layer(x)[:, channel].sum().backward()
        optimizer.step()
        assert same(layer, x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8])
def test_stamps_of_any_dtype_see_each_value_of_a_small_tensor(dtype: torch.dtype) -> None:
    tensor = torch.arange(12).to(dtype).view(3, 4).t()
    stamps = packing.Stamps([None, tensor])
    assert stamps.fit((None, tensor), True)
    assert stamps.fit((None, tensor.view_as(tensor)), True)  # which has the memory and the version of the tensor
    for others in [(None, tensor.clone()), (tensor, tensor), (None, None), (None,)]:
        assert not stamps.fit(others, True)
    values = tensor.numpy()
    for place in np.ndindex(values.shape):
        before = values[place].copy()
        values[place] += 1
        assert not stamps.fit((None, tensor), True)
        values[place] = before
        assert stamps.fit((None, tensor), True)


def test_stamps_do_not_read_what_has_moved() -> None:
    tensor = torch.zeros(2**20)
    stamps = packing.Stamps([tensor])
    tensor.share_memory_()
    assert not stamps.fit((tensor,), True)
    empty = torch.zeros(0)
    assert packing.Stamps([empty]).fit((empty,), True)


def test_to_another_dtype_and_back(engine: None) -> None:
    layer, x = ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
    assert same(layer, x) and same(layer.double(), x.double()) and same(layer.float(), x)


def test_packed_once_and_gone_with_the_weight(engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    prepare = packing.prepare
    monkeypatch.setattr(packing, "prepare", lambda *a: made.append(a) or prepare(*a))
    layer, x = ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
    gc.collect()
    before = len(packing._kept)
    with torch.no_grad():
        for _ in range(3):
            layer(x)
            layer(x[0])
    assert len(made) == 1 and len(packing._kept) == before + 1
    tied = ConvTranspose2d(4, 3, 2, 2)
    tied.weight, tied.bias = layer.weight, layer.bias
    copied = copy.deepcopy(layer)
    with torch.no_grad():
        tied(x)
        copied(x)
    assert len(made) == 2
    del made[:], layer, tied, copied
    gc.collect()
    assert len(packing._kept) == before


def test_inference_tensors_are_packed_each_time(engine: None) -> None:
    with torch.inference_mode():
        layer, x = ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
        assert same(layer, x)
        layer.weight[1, 2, 0, 1] += 1
        assert same(layer, x)


@torch.no_grad()
def test_weights_that_are_computed_may_be_left_to_pytorch_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an engine for which packing takes long."""
    monkeypatch.setattr(Cpu, "packs_at_once", False)
    made: list[object] = []
    prepare = Cpu.prepare
    monkeypatch.setattr(Cpu, "prepare", lambda *a, **k: made.append(a) or prepare(*a, **k))
    layer, x = ConvTranspose2d(4, 3, 2, 2), torch.randn(1, 4, 5, 5)
    assert same(layer, x) and len(made) == 1
    weight, settings = layer.weight.clone(), ((2, 2), (0, 0), (0, 0), 1, (1, 1))
    expected = F.conv_transpose2d(x, weight, None, 2)
    for packed in (1, 2, 2):
        assert (
            torch.allclose(functional.conv_transpose2d(x, weight, None, 2), expected, atol=1e-5) and len(made) == packed
        )
    weight.mul_(2)
    for packed in (2, 3):
        assert torch.allclose(OPERATOR(x, weight, None, *settings), 2 * expected, atol=1e-5) and len(made) == packed
    gc.collect()
    before = len(packing._met)
    for _ in range(3):
        functional.conv_transpose2d(x, layer.weight * 2, None, 2)
    gc.collect()
    assert len(made) == 3 and len(packing._met) == before
    with torch.inference_mode():
        layer = ConvTranspose2d(4, 3, 2, 2)
        for _ in range(3):
            assert same(layer, x)
        with monkeypatch.context() as strictly:
            strictly.setenv("TCONV_STRICT", "1")
            with pytest.raises(StrictError, match="writes to inference tensors are not counted"):
                layer(x)
        says = "not tconv: writes to inference tensors are not counted, so that nothing packed can be kept"
        assert explain(layer, x).splitlines()[-1] == says
    assert len(made) == 3


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "new memory"])
def test_where_values_cannot_be_read_all_but_uncounted_writes_are_noticed(name: str) -> None:
    """As on a GPU."""
    layer = ConvTranspose2d(4, 3, 2, 2)
    places = packing.Places((layer.weight, layer.bias))
    assert places.fit((layer.weight, layer.bias))
    CHANGES[name](layer)
    assert places.fit((layer.weight, layer.bias)) == (name in (".data", "NumPy"))


def test_places_of_other_tensors() -> None:
    tensor = torch.ones(3)
    places = packing.Places((None, tensor))
    assert places.fit((None, tensor)) and places.fit((None, tensor.view_as(tensor)))
    assert not any(places.fit(others) for others in [(tensor, tensor), (None, None), (None,), (None, tensor.clone())])
    assert not places.fit((None, torch._neg_view(tensor)))
    with torch.inference_mode():
        assert not places.fit((None, torch.ones(3)))
