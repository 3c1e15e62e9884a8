"""Weights that change, move, are exchanged, shared or computed: a folded model follows them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from nn.judge import agree, close, folded, folds, randomised
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import tconv.nn

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def up(cout: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(3, cout, 4, 2, 1), nn.BatchNorm2d(cout), nn.ReLU())


def other() -> nn.Module:
    torch.manual_seed(5)
    return randomised(up())


def step(m: Any) -> None:
    for p in m.parameters():
        p.grad = torch.ones_like(p)
    torch.optim.SGD(m.parameters(), 0.1).step()
    m.zero_grad()


def wider(m: Any) -> None:
    torch.manual_seed(3)
    fresh = randomised(up(6))
    for n in (0, 1):
        m[n] = fresh[n]


def resized(m: Any) -> None:
    torch.manual_seed(3)
    fresh = randomised(up(6))
    for mine, its in zip((m[0], m[1]), (fresh[0], fresh[1]), strict=True):
        for name, tensor in [*its.named_parameters(), *its.named_buffers()]:
            if tensor.dim():
                getattr(mine, name).data = tensor.data


def let_go(m: Any) -> None:
    """As sharded training does between its steps: the tensors stay, their memory goes."""
    for p in m.parameters():
        p.untyped_storage().resize_(0)


def filled_again(m: Any) -> None:
    sizes = [p.untyped_storage().size() for p in m.parameters()]
    let_go(m)
    for p, size in zip(m.parameters(), sizes, strict=True):
        p.untyped_storage().resize_(size)
        p.data.copy_(torch.linspace(-1, 1, p.numel()).view_as(p))


CHANGES: dict[str, Callable[[Any], object]] = {
    "in place": lambda m: m[0].weight.mul_(2),
    "one element": lambda m: m[0].weight.__setitem__((1, 2, 0, 1), 5.0),
    "a bias": lambda m: m[0].bias.add_(1),
    "a statistic": lambda m: m[1].running_mean.add_(1),
    "a variance": lambda m: m[1].running_var.mul_(4),
    "an optimiser's step": step,
    "load_state_dict": lambda m: m.load_state_dict(other().state_dict()),
    "load_state_dict, assigned": lambda m: m.load_state_dict(other().state_dict(), assign=True),
    "data": lambda m: setattr(m[0].weight, "data", torch.ones_like(m[0].weight)),
    "a write to data": lambda m: m[0].weight.data.mul_(2),
    "NumPy": lambda m: m[0].weight.detach().numpy().__imul__(-1),
    "another parameter": lambda m: setattr(m[0], "weight", nn.Parameter(torch.ones(3, 4, 4, 4))),
    "another buffer": lambda m: setattr(m[1], "running_mean", torch.ones(4)),
    "no bias": lambda m: setattr(m[0], "bias", None),
    "channels-last": lambda m: m.to(memory_format=torch.channels_last),
    "another layer": lambda m: m.__setitem__(2, nn.Tanh()),
    "one layer more": lambda m: m.append(nn.Sigmoid()),
    "one layer less": lambda m: m.__delitem__(2),
    "wider layers": wider,
    "resized weights": resized,
    "another stride": lambda m: setattr(m[0], "stride", (1, 1)),
    "another eps": lambda m: setattr(m[1], "eps", 0.5),
    "another forward": lambda m: setattr(m[1], "forward", lambda x: x * 2),
    "shared memory": lambda m: m.share_memory(),
    "without memory": let_go,
    "new memory": filled_again,
    "frozen": lambda m: m.requires_grad_(False),
    "double": lambda m: m.double(),
    "half": lambda m: m.half(),
    "bfloat16": lambda m: m.bfloat16(),
    "there and back": lambda m: m.double().float(),
    "meta": lambda m: m.to("meta"),
    "a part on meta": lambda m: m[1].to("meta"),
    "a part in double": lambda m: m[1].double(),
    "reparametrised": lambda m: parametrizations.weight_norm(m[0]),
}


def results(model: nn.Module, twin: nn.Module, x: Tensor) -> None:
    found = []
    for each in (model, twin):
        try:
            found.append(each(x))
        except (RuntimeError, NotImplementedError) as error:
            found.append(type(error))
    if isinstance(found[1], type):
        assert found[0] is found[1]
    else:
        close(*found)


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_followed(name: str) -> None:
    """At the first call afterwards, and at later ones, when the folds are derived anew."""
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    assert folds(model) == ["0 + 1 + 2"]
    for each in (model, twin):
        CHANGES[name](each)
    weight = model[0].weight
    for _ in range(3):
        results(model, twin, x.to(weight.device, weight.dtype))
    results(model, twin, x)


def test_weights_that_change_at_every_call() -> None:
    model, twin = folded(up())
    x = torch.randn(2, 3, 6, 6)
    for _ in range(5):
        for each in (model, twin):
            each[0].weight.mul_(1.1)
        agree(model, twin, x, calls=1)


def test_refresh_makes_a_write_right_that_no_sample_saw() -> None:
    model, twin = folded(nn.Sequential(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU()))
    x = torch.randn(1, 32, 4, 4)
    agree(model, twin, x, calls=3)
    missed = None
    for place in range(1, 2000, 7):  # some 60 values of 16,384 are looked at
        before = model(x)
        for each in (model, twin):
            each[0].weight.data.view(-1)[place] += 100
        if torch.equal(model(x), before):
            missed = place
            break
    assert missed is not None and not torch.allclose(model(x), twin(x))
    assert tconv.nn.refresh(model) is model
    for _ in range(3):
        agree(model, twin, x)


def test_a_write_to_data_is_seen_in_large_layers() -> None:
    model, twin = folded(nn.Sequential(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ReLU()))
    x = torch.randn(2, 8, 32, 32)
    agree(model, twin, x)
    for place in (0, 1, 17, 500, 1023):
        for each in (model, twin):
            each[0].weight.data.view(-1)[place] += 1
        agree(model, twin, x)


def test_refresh_refuses_what_is_no_module() -> None:
    bad: Any = [up()]
    with pytest.raises(TypeError, match=r"^the model must be a torch.nn.Module, not list$"):
        tconv.nn.refresh(bad)


def test_refresh_reaches_layers_too() -> None:
    layer = tconv.nn.ConvTranspose2d(3, 4, 2, 2)
    with torch.inference_mode():
        odd = tconv.nn.ConvTranspose2d(3, 4, 2, 2)
    version = layer.weight._version
    tconv.nn.refresh(nn.ModuleList([layer, odd]))
    assert layer.weight._version > version


@pytest.fixture
def swapping() -> Iterator[None]:
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


@pytest.mark.parametrize("kind", ["folded", "tconv's layer"])
def test_tensors_are_swapped(kind: str, swapping: None) -> None:
    """torch.utils.swap_tensors refuses tensors that have weak references; nothing here holds any."""
    if kind == "folded":
        model, twin = folded(up())
    else:
        model = nn.Sequential(tconv.nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.ReLU())
        twin = copy.deepcopy(model)
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    agree(model.double(), twin.double(), x.double())
    state = copy.deepcopy(twin.state_dict())
    for each in (model, twin):
        each.load_state_dict({name: tensor * 2 for name, tensor in state.items()})
    agree(model, twin, x.double())
    for each in (model, twin):
        torch.utils.swap_tensors(each[0].weight, nn.Parameter(torch.ones_like(each[0].weight)))
    agree(model, twin, x.double())


class Scaled(nn.Module):
    """A parametrisation: the weight times a number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


class LowRank(nn.Module):
    """A parametrisation as LoRA's: a product of two thin matrices is added."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(2, 64))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.a @ self.b).view(weight.shape)


NORMS: dict[str, Callable[[nn.Module], object]] = {
    "old weight norm": nn.utils.weight_norm,
    "old spectral norm": nn.utils.spectral_norm,
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "own": lambda layer: parametrize.register_parametrization(layer, "weight", Scaled()),
    "low rank": lambda layer: parametrize.register_parametrization(layer, "weight", LowRank()),
    "two": lambda layer: [parametrize.register_parametrization(layer, "weight", Scaled()) for _ in range(2)],
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.parametrizations.spectral_norm:FutureWarning")
@pytest.mark.parametrize("name", NORMS)
def test_weights_that_are_computed(name: str) -> None:
    """They follow what they are computed from; the parametrisation may be removed later."""
    model, twin = up(), up()
    for each in (model, twin):
        torch.manual_seed(0)
        NORMS[name](each[0])
        torch.manual_seed(0)
        for p in each.parameters():
            p.copy_(torch.rand_like(p) + 0.1)
        randomised(each)
    twin.load_state_dict(model.state_dict())
    tconv.nn.fold(model)
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x, calls=3)
    for each in (model, twin):
        next(each[0].parameters()).add_(1)
        list(each[0].parameters())[-1].mul_(2)
    agree(model, twin, x, calls=3)
    for each in (model, twin):
        if name == "old weight norm":
            nn.utils.remove_weight_norm(each[0])
        elif name == "old spectral norm":
            nn.utils.remove_spectral_norm(each[0])
        else:
            parametrize.remove_parametrizations(each[0], "weight")
    agree(model, twin, x, calls=3)


def test_cached_parametrisations() -> None:
    model, twin = up(), up()
    for each in (model, twin):
        parametrize.register_parametrization(each[0], "weight", Scaled())
        randomised(each)
    twin.load_state_dict(model.state_dict())
    tconv.nn.fold(model)
    x = torch.randn(2, 3, 6, 6)
    with parametrize.cached():
        agree(model, twin, x)
    agree(model, twin, x)


class Adapter(nn.Module):
    """A layer with a low-rank update, merged into the weight or beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.merged = nn.ConvTranspose2d(3, 4, 2, 2), False
        self.a, self.b = nn.Conv2d(3, 1, 1, bias=False), nn.ConvTranspose2d(1, 4, 2, 2, bias=False)

    def merge(self, sign: int) -> None:
        self.up.weight += sign * torch.einsum("ri,rokl->iokl", self.a.weight[:, :, 0, 0], self.b.weight)
        self.merged = sign > 0

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(x)
        return torch.relu(y if self.merged else y + self.b(self.a(x)))


def test_merged_adapters() -> None:
    model, twin = folded(Adapter())
    x = torch.randn(2, 3, 6, 6)
    before = agree(model, twin, x)
    for sign in (1, -1):
        for each in (model, twin):
            each.merge(sign)
        torch.testing.assert_close(agree(model, twin, x, calls=3), before, rtol=1e-3, atol=1e-4)


def test_tied_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
            self.two.weight = self.one.weight
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.two(self.norm(self.one(x))))

    model, twin = folded(Tied())
    x = torch.randn(2, 3, 6, 6)
    agree(model, twin, x)
    for each in (model, twin):
        each.one.weight.mul_(2)
    agree(model, twin, x, calls=3)
    for each in (model, twin):
        each.two.weight = nn.Parameter(torch.ones(3, 3, 3, 3))
    agree(model, twin, x, calls=3)
