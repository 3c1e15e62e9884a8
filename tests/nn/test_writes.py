"""Writes in the middle of a forward: folds never move a read to where other values are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nn.judge import agree, folded, folds
from torch import Tensor, nn

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


class Parts(nn.Module):
    """The parts that the forwards below are made of."""

    def __init__(self, run: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.run = run
        self.conv, self.norm, self.near = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Upsample(scale_factor=2)
        self.up, self.one = nn.ConvTranspose2d(3, 3, 2, 2), nn.Conv2d(3, 3, 1)
        self.register_buffer("state", torch.ones(3, 1, 1))

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def written(write: Callable[[Any, Tensor], object]) -> Callable[[Any, Tensor], Any]:
    """A chain of two steps with a write to the first's input in between."""

    def run(m: Any, x: Tensor) -> Any:
        y = m.conv(x)
        write(m, x)
        return m.norm(y) + x

    return run


def skip(m: Any, x: Tensor) -> Tensor:
    held = m.near(x)
    deep = m.conv(x.relu_())
    return m.one(held) + deep.mean()


def late_cat(m: Any, x: Tensor) -> Tensor:
    y = m.up(x)
    x.mul_(0.5)
    return torch.cat([y, m.near(x)], 1)


def cat_of_a_written_skip(m: Any, x: Tensor) -> Tensor:
    other = m.near(x)
    y = m.up(x)
    other += 1
    return torch.cat([other, y], 1)


def weight_between(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    m.norm.running_mean.add_(0.5)
    return m.norm(y)


def weight_before(m: Any, x: Tensor) -> Tensor:
    m.conv.weight.mul_(1.01)
    return m.norm(m.conv(x))


def weight_after(m: Any, x: Tensor) -> Tensor:
    y = m.norm(m.conv(x))
    m.conv.bias.add_(0.1)
    return y + m.conv(x)


def result_kept(m: Any, x: Tensor) -> Any:
    y = m.conv(x)
    z = m.norm(y)
    return y, z.relu_()


def result_in_place(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    y += 1
    return m.norm(y)


def view_of_result(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    y[:, 0].zero_()
    return m.norm(y)


def canvas(m: Any, x: Tensor) -> Tensor:
    total = torch.zeros(*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2)
    total[:, :, 1:-1, 1:-1] += m.norm(m.conv(x))
    return total


def total(m: Any, x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    for _ in range(2):
        y += m.norm(m.conv(x))
    return y


def through_numpy(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    x.numpy()[...] = 0
    return m.norm(y) + x


def into_out(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    torch.mul(x, 2, out=x)
    return m.norm(y) + x


def into_the_result(m: Any, x: Tensor) -> Tensor:
    y = m.up(x)
    torch.exp(y, out=y)
    return y


def into_new_memory(m: Any, x: Tensor) -> Tensor:
    y = m.norm(m.conv(x))
    z = torch.empty_like(y)
    torch.add(y, 1, out=z)
    return z


def a_counter(m: Any, x: Tensor) -> Tensor:
    torch.add(m.state, 1, out=m.state)
    return m.norm(m.conv(x)) * m.state


def cat_into_memory(m: Any, x: Tensor) -> Tensor:
    y = m.up(x)
    z = y.new_empty(y.shape[0], 2 * y.shape[1], *y.shape[2:])
    torch.cat([m.near(x), torch.relu(y)], 1, out=z)
    return z * 1


# The forwards, and whether anything may fold in them.
WRITES: dict[str, tuple[Callable[[Any, Tensor], Any], bool]] = {
    "the input": (written(lambda m, x: x.mul_(0.5)), False),
    "a view of the input": (written(lambda m, x: x[:, 1].zero_()), False),
    "a deep view of the input": (written(lambda m, x: x.flatten(1)[:, ::2].add_(1)), False),
    "the input by index": (written(lambda m, x: x.__setitem__((0, 0), 0.0)), False),
    "the input by a copy": (written(lambda m, x: x.copy_(torch.ones_like(x))), False),
    "the input in an activation": (written(lambda m, x: F.relu(x, inplace=True)), False),
    "the input's data": (written(lambda m, x: x.data.add_(1)), False),
    "another tensor": (written(lambda m, x: torch.zeros_like(x).add_(1)), True),
    "a buffer that no step reads": (written(lambda m, x: m.state.add_(1)), False),
    "an out": (into_out, False),
    "an out that is the result": (into_the_result, False),
    "an out that is new": (into_new_memory, True),
    "an out that counts": (a_counter, True),
    "an out of a cat": (cat_into_memory, True),
    "several at once": (written(lambda m, x: torch._foreach_zero_([x])), False),
    "several at once by a number": (written(lambda m, x: torch._foreach_mul_([x, m.state], 0.5)), False),
    "several at once, copied": (written(lambda m, x: torch._foreach_copy_([x], [torch.ones_like(x)])), False),
    "NumPy": (through_numpy, False),
    "the input of an upsampling": (skip, False),
    "the input before a cat": (late_cat, True),
    "a part of a cat": (cat_of_a_written_skip, True),
    "a statistic in between": (weight_between, False),
    "a weight before": (weight_before, True),
    "a weight afterwards": (weight_after, True),
    "a result that is kept": (result_kept, False),
    "a result": (result_in_place, False),
    "a view of a result": (view_of_result, False),
    "a canvas": (canvas, True),
    "a sum": (total, True),
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_in_a_forward(name: str) -> None:
    """Results, inputs and weights after three calls are those of the model as written; what is safe is folded."""
    run, may_fold = WRITES[name]
    model, twin = folded(Parts(run))
    agree(model, twin, torch.randn(2, 3, 5, 6), calls=3)
    chains = [name for name in folds(model) if " + " in name and not name.startswith("cat")]
    assert bool(chains or (may_fold and folds(model))) == may_fold


class Both(Parts):
    """Two inputs, of which one is written to; they may share memory."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        y = self.conv(x)
        other.mul_(0.5)
        return self.norm(y) + x


def test_inputs_that_share_memory() -> None:
    """Any two inputs may be one: captured with different ones, called with one tensor twice, and with a view of it."""
    model, twin = folded(Both(lambda m, x: x))
    agree(model, twin, torch.randn(1, 3, 5, 5), torch.randn(1, 3, 5, 5))
    for other in (lambda x: x, lambda x: x[:, :1], lambda x: x.flatten()[3:9]):
        tensors = [torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
        results = [m(x, other(x)) for m, x in zip((model, twin), tensors, strict=True)]
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(*tensors)


def test_a_result_is_the_callers_own() -> None:
    """What is written to a result is in no later result."""
    model, twin = folded(Parts(lambda m, x: torch.cat([m.norm(m.conv(x)), x], 1)))
    x = torch.randn(1, 3, 5, 5)
    first = model(x)
    kept = first.clone()
    second = model(x).zero_()
    assert torch.equal(first, kept) and not second.any()
    agree(model, twin, x)
