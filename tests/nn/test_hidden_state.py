"""What a forward reads and writes besides its input and weights: a folded model follows it from call to call."""

from __future__ import annotations

import argparse
import collections
import copy
import dataclasses
import os
import random
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from nn.judge import Body, agree, folded, folds
from torch import Tensor, nn

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@dataclasses.dataclass
class Settings:
    gain: float = 1.0


class Properties:
    @property
    def gain(self) -> float:
        return getattr(self, "_gain", 1.0)


GAINS = [1.0]
GAIN = 1.0
MODULE = types.SimpleNamespace(gain=1.0)


class Reads(Body):
    """Multiplies by what `read` finds."""

    shared: ClassVar[float] = 1.0

    def __init__(self, read: Callable[[Any], Any], **attributes: Any) -> None:
        super().__init__()
        self.read = read
        for name, value in attributes.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.read(self)


def set_global(value: float) -> None:
    globals()["GAIN"] = value


# What is read, the model's attributes, and what makes it three.
STATES: dict[str, tuple[Callable[[Any], Any], dict[str, Any], Callable[[Any], object]]] = {
    "namespace": (lambda m: m.n.gain, {"n": argparse.Namespace(gain=1.0)}, lambda m: setattr(m.n, "gain", 3.0)),
    "dataclass": (lambda m: m.c.gain, {"c": Settings()}, lambda m: setattr(m.c, "gain", 3.0)),
    "property": (lambda m: m.c.gain, {"c": Properties()}, lambda m: vars(m.c).update(_gain=3.0)),
    "nested dict": (lambda m: m.c["a"]["b"], {"c": {"a": {"b": 1.0}}}, lambda m: m.c["a"].update(b=3.0)),
    "list": (lambda m: m.c[1][0], {"c": [0, [1.0]]}, lambda m: m.c[1].__setitem__(0, 3.0)),
    "defaultdict": (
        lambda m: m.c["gain"],
        {"c": collections.defaultdict(lambda: 1.0)},
        lambda m: m.c.__setitem__("gain", 3.0),
    ),
    "set": (lambda m: 3.0 if "high" in m.c else 1.0, {"c": {"low"}}, lambda m: m.c.add("high")),
    "NumPy number": (lambda m: float(m.c), {"c": np.array(1.0, np.float32)}, lambda m: m.c.fill(3)),
    "NumPy array": (lambda m: torch.from_numpy(m.c), {"c": np.ones((4, 1, 1), np.float32)}, lambda m: m.c.fill(3)),
    "item of a buffer": (lambda m: m.c.item(), {"c": torch.ones(())}, lambda m: m.c.fill_(3)),
    "list of a buffer": (lambda m: m.c.tolist()[0], {"c": torch.ones(1)}, lambda m: m.c.fill_(3)),
    "branch on a buffer": (lambda m: 3.0 if m.c else 1.0, {"c": torch.tensor(False)}, lambda m: m.c.fill_(True)),
    "tensor in a list": (lambda m: m.c[0], {"c": [torch.ones(4, 1, 1)]}, lambda m: m.c[0].fill_(3)),
    "global list": (lambda m: GAINS[0], {}, lambda m: GAINS.__setitem__(0, 3.0)),
    "global number": (lambda m: GAIN, {}, lambda m: set_global(3.0)),
    "global object": (lambda m: MODULE.gain, {}, lambda m: setattr(MODULE, "gain", 3.0)),
    "class attribute": (lambda m: m.shared, {}, lambda m: setattr(Reads, "shared", 3.0)),
    "environment": (
        lambda m: float(os.environ.get("TCONV_TEST_GAIN", "1")),
        {},
        lambda m: os.environ.__setitem__("TCONV_TEST_GAIN", "3"),
    ),
    "training of a part": (lambda m: 3.0 if m.c.training else 1.0, {"c": nn.Identity()}, lambda m: m.c.train()),
    "another function": (lambda m: m.c(), {"c": lambda: 1.0}, lambda m: setattr(m, "c", lambda: 3.0)),
    "new attribute": (lambda m: getattr(m, "extra", 1.0), {}, lambda m: setattr(m, "extra", 3.0)),
    "a number of parts": (
        lambda m: len(m.c) + 0.0,
        {"c": nn.ModuleList([nn.Identity()])},
        lambda m: m.c.extend([nn.Identity(), nn.Identity()]),
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_state_is_followed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "GAINS", [1.0])
    monkeypatch.setitem(globals(), "GAIN", 1.0)
    monkeypatch.setattr(MODULE, "gain", 1.0)
    monkeypatch.setattr(Reads, "shared", 1.0)
    monkeypatch.setenv("TCONV_TEST_GAIN", "1")
    read, attributes, change = STATES[name]
    model, twin = folded(Reads(read, **copy.deepcopy(attributes)))
    x = torch.randn(2, 3, 6, 6)
    before = agree(model, twin, x)
    change(model)
    if attributes:
        change(twin)
    elif name == "new attribute":
        twin.extra = 3.0
    after = agree(model, twin, x)
    assert folds(model) and not torch.allclose(before, after)


class Source(Body):
    """Adds what `draw` gives."""

    def __init__(self, draw: Callable[[Any], Any], **attributes: Any) -> None:
        super().__init__()
        self.draw = draw
        self.register_buffer("noise", torch.zeros(4, 1, 1))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.draw(self)


SOURCES: dict[str, tuple[Callable[[Any], Any], Callable[[], dict[str, Any]]]] = {
    "torch.rand": (lambda m: torch.rand(4, 1, 1), dict),
    "a buffer refilled": (lambda m: m.noise.normal_(), dict),
    "dropout": (lambda m: nn.functional.dropout(torch.ones(4, 1, 1), 0.5, True), dict),
    "random": (lambda m: random.random(), dict),
    "a random.Random": (lambda m: m.r.random(), lambda: {"r": random.Random(0)}),
    "a random.Random's choice": (lambda m: m.r.choice([1.0, 2.0, 3.0]), lambda: {"r": random.Random(0)}),
    "numpy.random": (lambda m: float(np.random.rand()), dict),
    "an array of numpy.random": (lambda m: torch.from_numpy(np.random.rand(4, 1, 1).astype(np.float32)), dict),
    "a numpy Generator": (lambda m: float(m.r.random()), lambda: {"r": np.random.default_rng(0)}),
    "a torch.Generator": (
        lambda m: torch.randn(4, 1, 1, generator=m.r),
        lambda: {"r": torch.Generator().manual_seed(0)},
    ),
    "numpy.random, seeded": (lambda m: np.random.seed(3) or float(np.random.rand()), dict),
    "os.urandom": (lambda m: 0.0 * len(os.urandom(1)), dict),
    "a branch": (lambda m: 1.0 if random.random() < 0.5 else 2.0, dict),
}


@pytest.mark.parametrize("name", SOURCES)
def test_random_numbers_are_drawn_at_every_call(name: str) -> None:
    """As many, from the same sources: with the same seeds the results are those of the model as it is written."""
    draw, attributes = SOURCES[name]
    model, twin = (Source(draw, **attributes()) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    model, _ = folded(model)
    twin.load_state_dict(model.state_dict())
    twin.eval()
    x = torch.randn(2, 3, 6, 6)
    results = [agree(model, twin, x, calls=n) for n in (1, 2, 3)]
    assert folds(model)
    if name not in ("numpy.random, seeded", "os.urandom", "a branch"):
        assert not torch.equal(results[0], results[1])


class Tally:
    count = 0


COUNTS: dict[str, Callable[[Any], object]] = {
    "a buffer": lambda m: m.calls.add_(1),
    "a number": lambda m: setattr(m, "number", m.number + 1),
    "an object": lambda m: setattr(m.tally, "count", m.tally.count + 1),
    "a list": lambda m: m.seen.append(m.number),
    "a dict": lambda m: m.cache.update({len(m.cache): 1}),
    "a NumPy array": lambda m: m.array.__iadd__(1),
    "a new attribute": lambda m: setattr(m, "fresh", getattr(m, "fresh", 0) + 1),
}


class Counts(Body):
    def __init__(self, count: Callable[[Any], object]) -> None:
        super().__init__()
        self.count, self.number, self.tally = count, 0, Tally()
        self.seen: list[int] = []
        self.cache: dict[int, int] = {}
        self.array = np.zeros(1)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        self.count(self)
        return y

    def counted(self) -> tuple[Any, ...]:
        return self.number, self.tally.count, self.seen, self.cache, self.array.item(), int(self.calls), len(vars(self))


@pytest.mark.parametrize("name", COUNTS)
def test_counters_count_calls(name: str) -> None:
    model, twin = folded(Counts(COUNTS[name]))
    agree(model, twin, torch.randn(1, 3, 6, 6), calls=3)
    assert folds(model)
    slot = len(vars(model)) - len(vars(twin))
    assert slot == 1 and model.counted()[:-1] == twin.counted()[:-1]
    assert getattr(model, "fresh", 0) == getattr(twin, "fresh", 0)


class Keeps(Body):
    """Leaves its last features behind."""

    def forward(self, x: Tensor) -> Tensor:
        self.features = self.body(x)
        return self.features.mean((2, 3))


def test_features_that_a_forward_keeps_are_those_of_the_last_call() -> None:
    model, twin = folded(Keeps())
    for size in (6, 8):
        agree(model, twin, torch.randn(1, 3, size, size))
        torch.testing.assert_close(model.features, twin.features, rtol=1e-4, atol=1e-5)
    assert folds(model)
