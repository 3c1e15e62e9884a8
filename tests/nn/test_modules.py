"""tconv.nn's layers against torch.nn's: construction, state, output_size, errors, training."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.testing._internal.common_modules import module_db

import tconv.nn

NAMES = [f"{lazy}ConvTranspose{n}d" for lazy in ("", "Lazy") for n in (1, 2, 3)]


def both(name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    ours = getattr(tconv.nn, name)(*args, **kwargs)
    torch.manual_seed(0)
    return ours, getattr(torch.nn, name)(*args, **kwargs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pytorchs_module_samples(name: str, dtype: torch.dtype, engine: None) -> None:
    (info,) = [info for info in module_db if info.name == f"nn.{name}"]
    for sample in info.module_inputs_func(info, "cpu", dtype, requires_grad=True, training=True):
        arguments, call = sample.constructor_input, sample.forward_input
        ours, theirs = both(name, *arguments.args, **arguments.kwargs)
        ours, theirs = ours.to(dtype), theirs.to(dtype)
        y = ours(*call.args, **call.kwargs)
        expected = theirs(*call.args, **call.kwargs)
        theirs.load_state_dict(ours.state_dict())
        expected = theirs(*call.args, **call.kwargs)
        torch.testing.assert_close(y, expected)
        parameters = [*ours.parameters()], [*theirs.parameters()]
        grads = [torch.autograd.grad(f.sum(), p) for f, p in zip((y, expected), parameters, strict=True)]
        torch.testing.assert_close(grads[0], grads[1])
        assert type(ours) is getattr(tconv.nn, name.removeprefix("Lazy"))


def test_construction_is_pytorchs() -> None:
    for args, kwargs in (
        ((4, 6, 3), {}),
        ((4, 6, (3, 2), (2, 1), 1, (1, 0), 2, False, 2), {"dtype": torch.float64}),
        ((4, 6, 3), {"device": "meta"}),
    ):
        ours, theirs = both("ConvTranspose2d", *args, **kwargs)
        assert repr(ours) == repr(theirs) and isinstance(ours, torch.nn.ConvTranspose2d)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert mine.dtype == other.dtype and (mine.is_meta or torch.equal(mine, other))
    for args, kwargs in (((4, 6, 3), {"padding_mode": "reflect"}), ((4, 6, 3, 1, 0, 0, 5), {}), ((4, 6, "3"), {})):
        with pytest.raises((ValueError, TypeError)) as theirs_error:
            torch.nn.ConvTranspose2d(*args, **kwargs)
        with pytest.raises(type(theirs_error.value)) as ours_error:
            tconv.nn.ConvTranspose2d(*args, **kwargs)
        assert str(ours_error.value) == str(theirs_error.value)


def test_state_goes_both_ways_and_copies() -> None:
    ours, theirs = both("ConvTranspose2d", 4, 6, 3, 2)
    x = torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        before = ours(x)
        theirs.weight.mul_(2)
        ours.load_state_dict(theirs.state_dict())
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)
        ours.weight.mul_(0.5)
        theirs.load_state_dict(ours.state_dict())
        assert torch.allclose(theirs(x), before, atol=1e-5)
        assert set(ours.__dict__) == set(theirs.__dict__)
        for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), copy.copy(ours)):
            assert type(copied) is tconv.nn.ConvTranspose2d
            assert torch.equal(copied(x), ours(x))


@pytest.mark.parametrize("size", [(10, 10), (11, 10), [1, 4, 10, 11], (12, 10), (9, 10), (10,), (1, 2, 3)])
def test_output_size_is_pytorchs(size: Any) -> None:
    ours, theirs = both("ConvTranspose2d", 4, 6, 4, 2, 1)
    x = torch.randn(1, 4, 5, 5)
    try:
        expected = theirs(x, output_size=size)
    except ValueError as error:
        with pytest.raises(ValueError) as ours_error:
            ours(x, output_size=size)
        assert str(ours_error.value) == str(error)
    else:
        assert torch.allclose(ours(x, output_size=size), expected, atol=1e-5)


def test_padding_mode_set_later_is_an_error() -> None:
    ours, theirs = both("ConvTranspose1d", 4, 6, 4)
    for layer in (ours, theirs):
        layer.padding_mode = "reflect"
        with pytest.raises(ValueError, match=r"^Only `zeros` padding mode is supported for ConvTranspose1d$"):
            layer(torch.ones(1, 4, 4))


def test_weight_norm_and_parametrisations(engine: None) -> None:
    for norm in (torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.parametrizations.spectral_norm):
        ours, theirs = both("ConvTranspose1d", 4, 6, 4, 2)
        torch.manual_seed(1)
        norm(ours)
        torch.manual_seed(1)
        norm(theirs)
        ours.eval(), theirs.eval()
        x = torch.randn(1, 4, 5)
        torch.testing.assert_close(ours(x), theirs(x))
        with torch.no_grad():
            for layer in (ours, theirs):
                next(layer.parametrizations.weight.parameters()).mul_(2)
            torch.testing.assert_close(ours(x), theirs(x))


def test_training_gives_the_same_losses(engine: None) -> None:
    losses = []
    for layers in (tconv.nn, torch.nn):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            layers.ConvTranspose2d(3, 8, 4, 2, 1), torch.nn.ReLU(), layers.ConvTranspose2d(8, 2, 2, 2)
        )
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        x, target = torch.randn(4, 3, 6, 6), torch.randn(4, 2, 24, 24)
        for _ in range(8):
            loss = (model(x) - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[7] < losses[0]
    assert losses[:8] == pytest.approx(losses[8:], abs=1e-5)


LOADER = """
import torch
import tconv.nn

class Images(torch.utils.data.Dataset):
    def __init__(self, layer):
        self.layer = layer

    def __len__(self):
        return 4

    @torch.no_grad()
    def __getitem__(self, n):
        return self.layer(torch.full((1, 2, 8, 8), float(n)))[0]

images = Images(tconv.nn.ConvTranspose2d(2, 3, 2, 2))
expected = torch.stack([images[n] for n in range(4)])  # the parent's pool of threads has run before it forks
loader = torch.utils.data.DataLoader(images, batch_size=2, num_workers=2, multiprocessing_context="fork")
assert torch.equal(torch.cat(list(loader)), expected)
"""


def test_dataloader_workers() -> None:
    """Workers enlarge with the weights of the parent. In a process of its own: JAX, if loaded, objects to forks."""
    environment = {**os.environ, "TCONV_STRICT": "1"}
    subprocess.run([sys.executable, "-W", "error", "-c", LOADER], check=True, timeout=120, env=environment)
