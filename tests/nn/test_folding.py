"""`fold`: what it finds in models, that results stay, and when the model runs as written."""

from __future__ import annotations

import copy
import inspect
import pickle
import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tconv.nn
from tconv.nn.folding.chain import Folded
from tconv.nn.folding.forward import FoldedForward
from tconv.nn.folding.graph import Folding, fold_graphs


def up(cin: int, cout: int, **kwargs: Any) -> nn.Module:
    return nn.ConvTranspose2d(cin, cout, 4, 2, 1, **kwargs)


CHAINS: dict[str, Callable[[], nn.Module]] = {
    "0 + 1 + 2": lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)),
    "0 + 1": lambda: nn.Sequential(nn.UpsamplingNearest2d(scale_factor=3), nn.Conv2d(4, 6, 5, padding=2)),
    "0 + 1 ": lambda: nn.Sequential(nn.Conv2d(4, 24, 3, padding=1), nn.PixelShuffle(2)),
    "0 + 1 + 2 ": lambda: nn.Sequential(up(4, 6, groups=2), nn.BatchNorm2d(6), nn.ReLU()),
    "0 + 1  ": lambda: nn.Sequential(up(4, 6), nn.LeakyReLU(0.2)),
    "0 + 1   ": lambda: nn.Sequential(up(4, 6), nn.GELU()),
    "0 + 1    ": lambda: nn.Sequential(up(4, 6), nn.SiLU()),
    "0 + 1     ": lambda: nn.Sequential(up(4, 6), nn.Tanh()),
    "0 + 1      ": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU()),
    "0 + 1 + 2  ": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(True)),
    "0 + 1        ": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, 1, 2, 2, groups=2), nn.SiLU()),
    "0 + 1         ": lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)),
    "0 + 1       ": lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 2, 2, bias=False), nn.Conv2d(6, 6, 3, padding=1)),
}


class Functional(nn.Module):
    """All that is written as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up, self.wide = nn.Conv2d(4, 4, 3, padding=1), up(4, 4), nn.Conv2d(4, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest-exact")
        x = F.leaky_relu(self.conv(x), 0.2)
        x = F.gelu(self.up(x))
        return F.pixel_shuffle(self.wide(x), 2).relu()


SPELLINGS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "pixel_shuffle by name": lambda m, x: F.pixel_shuffle(m.wide(x), upscale_factor=2),
    "torch.pixel_shuffle": lambda m, x: torch.pixel_shuffle(m.wide(x), 2),
    "relu in place": lambda m, x: F.relu(m.conv(x), inplace=True),
    "leaky_relu by names": lambda m, x: F.leaky_relu(m.conv(x), inplace=True, negative_slope=0.3),
    "interpolate in places": lambda m, x: m.conv(F.interpolate(x, None, [2, 3], "nearest")),
    "interpolate by names": lambda m, x: m.conv(F.interpolate(x, scale_factor=2.0, recompute_scale_factor=True)),
    "gelu by name": lambda m, x: F.gelu(m.conv(x), approximate="none"),
    "silu in place": lambda m, x: F.silu(m.conv(x), inplace=True),
    "a result in place, unused": lambda m, x: (F.relu(y := m.conv(x), inplace=True), y)[1],
    "interpolate to a size": lambda m, x: m.conv(F.interpolate(x, (9, 9))),
    "interpolate to less": lambda m, x: m.conv(F.interpolate(x, scale_factor=0.5)),
    "tanh approximation": lambda m, x: F.gelu(m.conv(x), approximate="tanh"),
}


class Skip(nn.Module):
    """A step of a U-Net's way up."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.up, self.first = nn.ConvTranspose2d(4, 3, 2, 2), first

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y = self.up(x)
        return torch.cat([y, skip] if self.first else [skip, y], dim=1)


class Looks(nn.Module):
    """Cannot be traced: it looks at a value."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if x.sum() > -1e9 else x


def randomised(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight)
    return model.eval()


def folds(model: nn.Module) -> Folding:
    folding = Folding()
    fold_graphs(model, folding)
    return folding


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("last", [False, True])
@torch.no_grad()
def test_chains(name: str, dtype: torch.dtype, last: bool, engine: None) -> None:
    model = randomised(CHAINS[name]()).to(dtype)
    x = torch.randn(2, 4, 7, 5, dtype=dtype)
    if last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    expected = model(x)
    report = folds(model)
    assert [*report.folds] == [name.strip()] and not report.skipped
    (fold,) = report.folds.values()
    close(model(x), expected)
    close(fold(x), expected if len(name.split("+")) == len(model) else fold.by_steps(x))
    close(model(x[0]), expected[0])  # without a batch


@torch.no_grad()
def wide(layer: nn.Module, last: bool = True) -> nn.Module:
    return nn.Sequential(layer).to(memory_format=torch.channels_last if last else torch.contiguous_format)


@pytest.mark.parametrize("layer", [nn.Conv2d(32, 48, 3, padding=1), up(32, 48)], ids=["conv", "transposed"])
def test_a_single_layer_that_gains_by_winograd(layer: nn.Module, engine: None) -> None:
    x = torch.randn(2, 32, 40, 39)
    with torch.no_grad():
        expected, model = layer(x), wide(copy.deepcopy(layer))
        assert list(folds(model).folds) == ["0"]
        close(model(x), expected)
        x[0, 0, 0, 0] = torch.nan
        assert torch.equal(model(x).isnan(), layer(x).isnan())


def test_single_layers_that_do_not_gain_are_left() -> None:
    conv = nn.Conv2d(32, 48, 3, padding=1)
    exact = Folding(winograd=False)
    fold_graphs(wide(copy.deepcopy(conv)), exact)
    assert not exact.folds
    strided, small, one = nn.Conv2d(32, 48, 3, 2), nn.Conv2d(3, 48, 3), nn.Conv2d(32, 48, 1)
    for model in (wide(conv, False), *map(wide, (strided, small, one, nn.BatchNorm2d(32)))):
        found = folds(model.eval())
        assert not found.folds and not found.skipped


def test_functions() -> None:
    model, x = Functional().eval(), torch.randn(1, 4, 5, 5)
    expected = model(x)
    assert [*folds(model).folds] == ["interpolate + conv + leaky_relu", "up + gelu", "wide + pixel_shuffle"]
    close(model(x), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    class Spelled(Functional):
        def forward(self, x: Tensor) -> Tensor:
            return SPELLINGS[name](self, x)

    model, x = Spelled().eval(), torch.randn(1, 4, 6, 5)
    expected = model(x)
    assert len(folds(model).folds) == (list(SPELLINGS).index(name) < 8)
    close(model(x), expected)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("last", [False, True])
@torch.no_grad()
def test_cat_is_written_into(first: bool, last: bool) -> None:
    model, x, skip = Skip(first).eval(), torch.randn(2, 4, 5, 5), torch.randn(2, 2, 10, 10)
    if last:
        skip = skip.contiguous(memory_format=torch.channels_last)
    expected = model(x, skip)
    assert [*folds(model).folds] == ["cat + up"]
    close(model(x, skip), expected)
    assert model(x, skip).is_contiguous(memory_format=torch.channels_last) == last
    close(model(x.to(torch.float32), skip), expected)
    with pytest.raises(RuntimeError, match="Sizes of tensors must match except in dimension 1"):
        model(x, skip[:, :, :1])
    for other in (skip.double(), skip.half(), skip.int(), torch.ones(0)):
        assert torch.equal(model(x, other), Skip.forward(model, x, other))
    with pytest.raises(RuntimeError, match="meta"):
        model(x, skip.to("meta"))
    model.double()
    close(model(x.double(), skip.double()).float(), expected)


@torch.no_grad()
def test_what_cannot_be_traced_is_reported_and_its_children_fold() -> None:
    model, x = Looks().eval(), torch.randn(1, 4, 5, 5)
    expected, report = model(x), folds(model)
    assert [*report.folds] == ["body.0 + 1"]
    ((name, reason),) = report.skipped
    assert name == "Looks" and reason.startswith("cannot be traced: ")
    close(model(x), expected)


@torch.no_grad()
def test_weights_stay_in_place_and_are_followed(engine: None) -> None:
    model = randomised(CHAINS["0 + 1 + 2 "]())
    parameters, keys = [*model.parameters()], [*model.state_dict()]
    tconv.nn.fold(model)
    x = torch.randn(1, 4, 5, 5)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True)) and [*model.state_dict()] == keys
    other = randomised(CHAINS["0 + 1 + 2 "]())
    for p in other.parameters():
        p.add_(1)
    model.load_state_dict(other.state_dict())
    close(model(x), other(x))
    model[1].running_mean.add_(1)
    assert not torch.allclose(model(x), other(x))
    close(model.double()(x.double()), type(model).forward(model, x.double()))


@torch.no_grad()
def test_a_fold_that_a_new_bias_makes_inexact_is_left() -> None:
    model, x = CHAINS["0 + 1       "]().eval(), torch.randn(1, 4, 5, 5)
    tconv.nn.fold(model)
    model[0].bias = nn.Parameter(torch.ones(6))
    close(
        model(x),
        F.conv2d(F.conv_transpose2d(x, model[0].weight, model[0].bias, 2), model[1].weight, model[1].bias, 1, 1),
    )


def test_the_model_runs_as_written_when_it_must() -> None:
    model, x = randomised(CHAINS["0 + 1 + 2"]()), torch.randn(1, 4, 5, 5)
    tconv.nn.fold(model)
    forward = vars(model)["forward"]
    ran: list[str] = []
    forward.graph.register_forward_hook(lambda *_: ran.append("graph"))
    with torch.no_grad():
        expected = model(x)
    assert ran == ["graph"]
    model(x).sum().backward()
    assert model[1].weight.grad is not None
    with torch.no_grad():
        model.train()(x)
        model.eval()
        calls: list[int] = []
        handle = model[1].register_forward_hook(lambda *_: calls.append(1))
        model(x)
        assert calls == [1]
        handle.remove()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(x)
        model(input=x)
    assert ran == ["graph"]
    model.eval()
    with torch.no_grad():
        model(x)
    assert ran == ["graph", "graph"] and expected.shape == (1, 6, 10, 10)


@torch.no_grad()
def test_hooks_that_are_there_still_fire() -> None:
    model, x = randomised(CHAINS["0 + 1 + 2"]()), torch.randn(1, 4, 5, 5)
    calls: list[str] = []
    model[1].register_forward_hook(lambda *_: calls.append("conv"))
    expected = model(x)
    assert not folds(model).folds
    close(model(x), expected)
    outer = nn.Sequential(CHAINS["0 + 1 + 2"](), nn.ReLU()).eval()
    outer[0].register_forward_hook(lambda *_: calls.append("block"))
    assert [*folds(outer).folds] == ["0.0 + 1 + 2"]
    outer(x)
    assert calls == ["conv", "conv", "block"]


class Block(nn.Module):
    """A convolution, its norm and an activation, and attributes that the forward reads."""

    gain = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.1)
        self.scale, self.shift, self.weights, self.twice = 2.0, torch.ones(4, 1, 1), [1.0, 3.0], False

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(x - torch.tensor(0.5)))) * self.gain * self.weights[1]
        x = F.dropout(x, 0.5, self.training) / self.scale + self.shift
        return x + x if self.twice else x


BLOCK_CHANGES: dict[str, Callable[[Any], object]] = {
    "nothing": lambda m: None,
    "the same number": lambda m: setattr(m, "scale", float("2")),
    "a number": lambda m: setattr(m, "scale", 3.0),
    "a number of the class": lambda m: setattr(m, "gain", 3.0),
    "a flag": lambda m: setattr(m, "twice", True),
    "a list": lambda m: m.weights.__setitem__(1, 5.0),
    "a tensor": lambda m: setattr(m, "shift", torch.zeros(4, 1, 1)),
    "a number of a layer": lambda m: setattr(m.conv, "padding", (0, 0)),
    "a number of an activation": lambda m: setattr(m.act, "negative_slope", 0.5),
    "an activation": lambda m: setattr(m, "act", nn.Tanh()),
    "a layer": lambda m: setattr(m, "conv", nn.Conv2d(4, 4, 3, 1, 1)),
    "a forward": lambda m: setattr(m.norm, "forward", lambda x: x),
    "no layer": lambda m: setattr(m, "norm", nn.Identity()),
    "a new part": lambda m: m.register_module("more", nn.Identity()),
}


@torch.no_grad()
@pytest.mark.parametrize("name", BLOCK_CHANGES)
@pytest.mark.parametrize("training", [False, True])
def test_a_changed_model_runs_as_it_is_now(name: str, training: bool) -> None:
    block = randomised(Block())
    model, x = nn.Sequential(block).train(training), torch.randn(2, 4, 5, 5)
    assert len(folds(model).folds) == 1 and model.training == block.training == training
    model.eval()(x)
    BLOCK_CHANGES[name](block)
    close(model(x), Block.forward(block, x))
    assert (model.forward.traced.change() is None) == (name in ("nothing", "the same number"))
    assert not any(name.startswith("_tensor_constant") for name in (*vars(model), *vars(block)))


@torch.no_grad()
@pytest.mark.parametrize("before", [True, False])
def test_hooks_on_activations_fire(before: bool) -> None:
    model, x = randomised(CHAINS["0 + 1 + 2 "]()), torch.randn(1, 4, 5, 5)
    calls: list[str] = []
    if before:
        model[2].register_forward_hook(lambda *_: calls.append("relu"))
    assert [*folds(model).folds] == (["0 + 1"] if before else ["0 + 1 + 2"])
    if not before:
        model[2].register_forward_hook(lambda *_: calls.append("relu"))
    model(x)
    assert calls == ["relu"]


class Notes(Block):
    def forward(self, x: Tensor) -> Tensor:
        self.noted = self.norm(self.conv(x))
        return self.noted


class Appends(Block):
    def forward(self, x: Tensor) -> Tensor:
        self.weights.append(x.shape)
        return self.norm(self.conv(x))


class Draws(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + torch.rand(4, 1, 1)


class DrawsAndFails(Draws):
    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        self.noted = x
        raise ValueError("no")


class Tosses(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) if random.random() < 0.5 else x


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Notes, "its forward changes the attribute 'noted'"),
        (Appends, "its forward changes the attribute 'weights'"),
        (Draws, "its forward draws random numbers"),
        (Tosses, "its forward draws random numbers"),
        (DrawsAndFails, "no"),
    ],
)
def test_a_forward_whose_runs_differ_is_left(kind: type[Block], reason: str) -> None:
    model = kind().train()
    before, drawn = dict(vars(model)), (torch.get_rng_state(), random.getstate())
    found = folds(model)
    assert found.skipped == [(kind.__name__, f"cannot be traced: {reason}")] and not found.folds
    assert vars(model) == before and model.weights == [1.0, 3.0] and model.training and model.conv.training
    assert torch.equal(drawn[0], torch.get_rng_state()) and drawn[1] == random.getstate()


@torch.no_grad()
def test_copies_and_pickles_are_unfolded() -> None:
    model, x = randomised(CHAINS["0 + 1 + 2"]()), torch.randn(1, 4, 5, 5)
    tconv.nn.fold(model)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not isinstance(vars(copied)["forward"], FoldedForward)
        close(copied(x), model(x))
        copied[1].weight.zero_()
        assert not torch.allclose(copied(x), model(x))


@torch.no_grad()
def test_a_folded_model_is_exported_as_written() -> None:
    model, x = randomised(Skip(True)), (torch.randn(1, 4, 5, 5), torch.randn(1, 3, 10, 10))
    expected = model(*x)
    tconv.nn.fold(model)
    exported = torch.export.export(model, x, dynamic_shapes={"x": {0: torch.export.Dim.AUTO}, "skip": None})
    close(exported.module()(*x), expected)
    assert str(inspect.signature(model.forward)) == "(x: 'Tensor', skip: 'Tensor') -> 'Tensor'"


@pytest.mark.parametrize("function", [tconv.nn.fold, tconv.nn.restore, tconv.nn.accelerate])
def test_what_is_no_module_is_refused(function: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=r"^the model must be a torch.nn.Module, not NoneType$"):
        function(None)
    with pytest.raises(TypeError, match=r"^the model must be a torch.nn.Module, not the class Block; call it$"):
        function(Block)


@torch.no_grad()
def test_restore_frees_the_folds_and_a_kept_forward_still_runs() -> None:
    model = randomised(nn.Sequential(up(4, 6), nn.BatchNorm2d(6), nn.ReLU()))
    tconv.nn.fold(model)
    forward, x = model.forward, torch.randn(1, 4, 5, 5)
    fold = weakref.ref(next(m for m in forward.graph.modules() if isinstance(m, Folded)))
    tconv.nn.restore(model)
    assert fold() is None
    with torch.no_grad():
        assert torch.equal(forward(x), model(x))


def test_restore_and_folding_twice() -> None:
    model = randomised(CHAINS["0 + 1 + 2"]())
    before = dict(vars(model))
    tconv.nn.fold(model)
    forward = vars(model)["forward"]
    assert vars(tconv.nn.fold(model))["forward"] is forward
    assert tconv.nn.restore(model) is model and vars(model) == before


@torch.no_grad()
def test_shared_layers_and_optional_arguments() -> None:
    conv, up2 = nn.Conv2d(4, 4, 3, padding=1), nn.Upsample(scale_factor=2)
    shared = nn.Sequential(up2, conv, up2, conv).eval()
    x = torch.randn(1, 4, 5, 5)
    expected = shared(x)
    assert len(folds(shared).folds) == 2
    close(shared(x), expected)

    class Optional(Looks):
        def forward(self, x: Tensor, twice: bool = False) -> Tensor:
            return self.body(self.body(x)) if twice else self.body(x)

    model = Optional().eval()
    expected = model(x, twice=True)
    assert folds(model).skipped == [
        ("Optional", "cannot be traced: its forward has optional arguments, on which it may depend")
    ]
    close(model(x, twice=True), expected)
