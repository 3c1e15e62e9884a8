"""Copies, replicas, other classes and threads: each call computes with the weights of the model that is called."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from nn.judge import Body, agree, close, folded, randomised
from torch import Tensor, nn

import tconv.nn
from tconv.nn.capture import captured

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def up(cout: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(3, cout, 4, 2, 1), nn.BatchNorm2d(cout), nn.ReLU())


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "restored": lambda m: tconv.nn.restore(copy.deepcopy(m)),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("before", [False, True])
def test_copies(name: str, before: bool) -> None:
    """A copy runs as it is written, with its own weights and parts."""
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    if before:
        agree(model, twin, x)
    copied = COPIES[name](model)
    assert captured(copied) is None or name == "copy"
    close(copied(x), twin(x))
    copied._modules = dict(copied._modules)
    copied.append(nn.Sigmoid())
    close(copied(x), twin(x).sigmoid())
    if name != "copy":
        copied[0].weight.zero_()
        assert not torch.allclose(copied(x), twin(x).sigmoid())
    agree(model, twin, x)
    agree(tconv.nn.fold(copied), copy.deepcopy(copied), x)


def replica(model: nn.Module) -> nn.Module:
    """As nn.DataParallel makes one: its weights are plain attributes, and here other ones."""
    made = model._replicate_for_data_parallel()
    made._modules = {name: replica(child) for name, child in model._modules.items()}
    made._buffers = dict(model._buffers)
    made._parameters = {}
    for name, p in model._parameters.items():
        setattr(made, name, None if p is None else p.detach() * 2)
    return made


@pytest.mark.parametrize("before", [False, True])
def test_replicas_use_their_own_weights(before: bool) -> None:
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    if before:
        agree(model, twin, x)
    close(replica(model)(x), replica(twin)(x))
    agree(model, twin, x)
    close(nn.DataParallel(model)(x), twin(x))


class Twice(Body):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_a_model_that_is_given_another_class() -> None:
    model, twin = folded(Body())
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    for each in (model, twin):
        each.__class__ = Twice
    agree(model, twin, x)
    for each in (model, twin):
        each.conv.__class__ = type("Louder", (nn.Conv2d,), {"forward": lambda s, x: 3 * nn.Conv2d.forward(s, x)})
    agree(model, twin, x)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "norm": up,
    "phases": lambda: nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.PixelShuffle(2)),
    "layer": lambda: tconv.nn.ConvTranspose2d(3, 4, 4, 2, 1),
}


@pytest.mark.parametrize("name", MODELS)
def test_threads_that_meet_new_weights_at_once(name: str) -> None:
    """Weights change between rounds; in a round all threads call at once, while one of them derives the fold anew."""
    model = randomised(MODELS[name]())
    twin = copy.deepcopy(model)
    if name != "layer":
        tconv.nn.fold(model)
    x = torch.randn(1, 3, 12, 12)
    wrong: list[Any] = []
    for _ in range(40):
        for each in (model, twin):
            for p in each.parameters():
                p.add_(0.01)
        expected, barrier = twin(x), threading.Barrier(4)

        def call(expected: Tensor = expected, barrier: threading.Barrier = barrier) -> None:
            with torch.no_grad():
                barrier.wait()
                for _ in range(2):
                    try:
                        torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-4)
                    except BaseException as error:
                        wrong.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
