"""`fold`: what it does to a model, and how it is undone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nn.judge import Body, agree, folded, folds, graphs, randomised
from torch import nn

import tconv.nn
from tconv.nn.capture import captured

pytestmark = pytest.mark.usefixtures("captures")


@pytest.mark.parametrize("function", [tconv.nn.fold, tconv.nn.restore, tconv.nn.accelerate, tconv.nn.report])
def test_what_is_no_module_is_refused(function: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=r"^the model must be a torch.nn.Module, not NoneType$"):
        function(None)
    with pytest.raises(TypeError, match=r"^the model must be a torch.nn.Module, not the class Body; call it$"):
        function(Body)


def test_wrong_arguments() -> None:
    bad: Any = 1
    with pytest.raises(TypeError, match=r"^winograd 1 must be True or False$"):
        tconv.nn.fold(Body(), winograd=bad)
    bad = "eagerly"
    with pytest.raises(ValueError, match=r"^rest 'eagerly' is unknown; choose 'eager' or 'inductor'$"):
        tconv.nn.fold(Body(), rest=bad)
    with pytest.raises(TypeError, match=r"^winograd None must be True or False$"):
        tconv.nn.accelerate(Body(), winograd=None)


@torch.no_grad()
def test_all_but_the_call_stays() -> None:
    model = randomised(Body())
    before, kind, forward = dict(vars(model)), type(model), model.forward
    parameters, keys = [*model.parameters()], [*model.state_dict()]
    assert tconv.nn.fold(model) is model
    model(torch.randn(1, 3, 6, 6))
    changed = {name for name, value in vars(model).items() if before.get(name) is not value}
    assert changed == {"_compiled_call_impl"} and type(model) is kind and model.forward == forward
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True)) and [*model.state_dict()] == keys
    assert tconv.nn.restore(model) is model
    assert vars(model) == before and type(model) is kind
    tconv.nn.restore(model)


@torch.no_grad()
def test_nothing_is_captured_before_the_first_call() -> None:
    model, twin = folded(Body())
    assert graphs(model) == 0 and folds(model) == []
    agree(model, twin, torch.randn(1, 3, 6, 6))
    assert graphs(model) == 1 and folds(model) == ["conv + norm + relu"]


@torch.no_grad()
def test_folding_twice_is_as_once() -> None:
    model, _ = folded(Body())
    model(torch.randn(1, 3, 6, 6))
    running = captured(model)
    assert captured(tconv.nn.fold(model)) is running


@torch.no_grad()
def test_two_models_of_one_class_share_nothing() -> None:
    """TorchDynamo keeps its graphs with a function's code: each model has code of its own."""
    (one, its_twin), (other, others_twin) = folded(Body()), folded(Body())
    x = torch.randn(1, 3, 6, 6)
    agree(one, its_twin, x)
    agree(other, others_twin, x)
    agree(one, its_twin, x)
    tconv.nn.restore(one)
    agree(other, others_twin, x)
    assert graphs(other) == 1


@torch.no_grad()
def test_restore_frees_what_was_derived() -> None:
    model, _ = folded(Body())
    model(torch.randn(1, 3, 6, 6))
    running = captured(model)
    assert running is not None
    kept = [weakref.ref(fold) for fold in running.backend.folds.values()]
    del running
    tconv.nn.restore(model)
    torch._dynamo.reset()
    gc.collect()
    assert kept and all(fold() is None for fold in kept)


@torch.no_grad()
def test_a_model_that_is_gone_leaves_nothing() -> None:
    model, _ = folded(Body())
    model(torch.randn(1, 3, 6, 6))
    weight = weakref.ref(model.conv.weight.untyped_storage())
    del model, _
    torch._dynamo.reset()
    gc.collect()
    assert weight() is None


@torch.no_grad()
def test_weights_that_are_exchanged_are_not_kept() -> None:
    """Neither the graphs nor the folds hold on to weights that the model has given up."""
    model, twin = folded(Body())
    x = torch.randn(1, 3, 6, 6)
    agree(model, twin, x)
    memory = weakref.ref(model.conv.weight.untyped_storage())
    for each in (model, twin):
        each.conv.weight.data = torch.ones(4, 3, 3, 3)
    gc.collect()
    assert memory() is None
    agree(model, twin, x, calls=3)


def test_a_model_that_was_compiled_before_is_folded_instead() -> None:
    model = randomised(Body())
    model.compile(backend="eager")
    tconv.nn.fold(model)
    assert captured(model) is not None


@torch.no_grad()
def test_errors_of_the_model_are_its_own() -> None:
    class Fails(Body):
        def forward(self, x: Any) -> Any:
            y = self.body(x)
            if x.shape[-1] == 5:
                raise KeyError("five")
            return y

    model, twin = folded(Fails())
    agree(model, twin, torch.randn(1, 3, 6, 6))
    agree(model, twin, torch.randn(1, 3, 5, 5))
    for bad in (None, "text", 3):
        agree(model, twin, bad)
    with pytest.raises(TypeError, match="forward"):
        model()


@torch.no_grad()
def test_arguments_of_all_kinds() -> None:
    class Many(Body):
        def forward(self, x: Any, *more: Any, twice: bool = False, **named: Any) -> Any:
            y = self.body(x) * len(more)
            return {"y": self.body(x) + y if twice else y, **named}

    model, twin = folded(Many())
    x = torch.randn(1, 3, 6, 6)
    agree(model, twin, x)
    agree(model, twin, x, 1, None, twice=True)
    agree(model, twin, x, "a", other=x)
    agree(model, twin, x=x)
    assert folds(model)


class Looks(Body):
    """Cannot be one graph: it looks at values, and prints."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1))

    def forward(self, x: Any) -> Any:
        y = self.body(x)
        if y.sum() > -1e9:
            print("seen")
        return self.up(y) if y.mean() > -1e9 else y


@torch.no_grad()
def test_what_is_no_single_graph_folds_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    model, twin = folded(Looks())
    agree(model, twin, torch.randn(1, 3, 6, 6))
    assert folds(model) == ["conv + norm + relu", "up.0 + 1"] and graphs(model) > 1
    assert capsys.readouterr().out == "seen\n" * 4


class Recurrent(Body):
    """Calls itself with other arguments."""

    def forward(self, x: Any, depth: int = 2) -> Any:
        return self.body(x) if depth == 0 else self(x, depth - 1) * 2


@torch.no_grad()
def test_a_model_that_calls_itself() -> None:
    model, twin = folded(Recurrent())
    agree(model, twin, torch.randn(1, 3, 6, 6))
    agree(model, twin, torch.randn(1, 3, 6, 6), 1)
