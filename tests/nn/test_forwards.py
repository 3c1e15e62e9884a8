"""Forwards of any kind: what they ask of their input, what they return, and inputs that are out of the ordinary."""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from nn.judge import Body, agree, folded, folds
from torch import Tensor, nn

pytestmark = pytest.mark.usefixtures("captures")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


class Asks(Body):
    """`prepare` makes what the body is called with."""

    def __init__(self, prepare: Callable[[Any, Any], Tensor]) -> None:
        super().__init__()
        self.prepare = prepare
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))

    def forward(self, x: Any) -> Tensor:
        return self.body(self.prepare(self, x))


class Batch:
    """A tensor with something beside it, as detection models have."""

    def __init__(self, tensors: Tensor) -> None:
        self.tensors, self.mask = tensors, None


def tried(m: Any, x: Any) -> Tensor:
    try:
        return x.tensors
    except AttributeError:
        return x * 2


QUESTIONS: dict[str, Callable[[Any, Any], Tensor]] = {
    "isinstance Tensor": lambda m, x: x * 2 - 1 if isinstance(x, Tensor) else x["out"],
    "is_tensor": lambda m, x: x / 4 if torch.is_tensor(x) else x[0],
    "type is": lambda m, x: x if type(x) is Tensor else x["out"],
    "hasattr": lambda m, x: x.tensors if hasattr(x, "tensors") else x + 1,
    "try": tried,
    "callable": lambda m, x: x() if callable(x) else x,
    "getattr dtype": lambda m, x: x / 255 if getattr(x, "dtype", None) in (torch.uint8, torch.int16) else x,
    "list or tensor": lambda m, x: torch.cat([x] if isinstance(x, Tensor) else x, 1),
    "the weight's dtype": lambda m, x: x.to(m.conv.weight.dtype),
    "the first parameter's dtype": lambda m, x: x.to(next(m.parameters()).dtype),
    "the weight's device": lambda m, x: x.to(m.conv.weight.device),
    "a buffer's kind": lambda m, x: x.to(m.mean) - m.mean,
    "the shape": lambda m, x: F.pad(x, (0, x.shape[-1] % 2)) if x.shape[-1] % 2 else x,
    "the number of axes": lambda m, x: x if x.dim() == 4 else x[None],
    "contiguity": lambda m, x: x if x.is_contiguous() else x.contiguous() * 2,
    "the length": lambda m, x: x if len(x) < 3 else x[:2],
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_about_the_input(name: str) -> None:
    model, twin = folded(Asks(QUESTIONS[name]))
    agree(model, twin, torch.rand(2, 3, 6, 6))
    assert folds(model) == ["conv + norm + relu"]


OTHER_INPUTS: dict[str, tuple[str, Callable[[Tensor], Any]]] = {
    "a dict": ("isinstance Tensor", lambda x: {"out": x}),
    "a list": ("list or tensor", lambda x: [x[:, :1], x[:, 1:]]),
    "an object": ("hasattr", lambda x: Batch(x)),
    "an object tried": ("try", lambda x: Batch(x)),
    "a function": ("callable", lambda x: lambda: x),
    "bytes": ("getattr dtype", lambda x: (x * 255).to(torch.uint8)),
    "an odd size": ("the shape", lambda x: x[..., :5]),
    "no batch": ("the number of axes", lambda x: x[0]),
    "other strides": ("contiguity", lambda x: x.transpose(2, 3)),
    "a subclass": ("type is", lambda x: x.as_subclass(nn.Parameter)),
}


@pytest.mark.parametrize("name", OTHER_INPUTS)
def test_another_kind_of_input_takes_the_other_way(name: str) -> None:
    question, change = OTHER_INPUTS[name]
    model, twin = folded(Asks(QUESTIONS[question]))
    x = torch.rand(2, 3, 6, 6)
    agree(model, twin, x)
    for _ in range(2):
        results = []
        for each in (model, twin):
            try:
                results.append(each(change(x)))
            except (TypeError, IndexError) as error:
                results.append(type(error))
        if isinstance(results[1], type):
            assert results[0] is results[1]
        else:
            torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["the weight's dtype", "the first parameter's dtype", "a buffer's kind"])
def test_a_cast_follows_the_model(name: str, dtype: torch.dtype) -> None:
    model, twin = folded(Asks(QUESTIONS[name]))
    x = torch.rand(2, 3, 6, 6)
    agree(model, twin, x)
    agree(model.to(dtype), twin.to(dtype), x)


class Named(NamedTuple):
    out: Tensor
    low: Tensor


@dataclasses.dataclass
class Data:
    out: Tensor
    name: str = "data"


class Listed(list[Tensor]):
    """A list of somebody's own."""


class Output(collections.OrderedDict[str, Tensor]):
    """As the results of many libraries are: a mapping with attributes."""

    def __getattr__(self, name: str) -> Tensor:
        return self[name]


OUTPUTS: dict[str, Callable[[Tensor], Any]] = {
    "tuple": lambda y: (y, y.mean()),
    "nested": lambda y: {"a": [y, (y[0], None)], "b": 1.5},
    "OrderedDict": lambda y: collections.OrderedDict(out=y, low=y[..., ::2]),
    "mapping with attributes": lambda y: Output(out=y),
    "NamedTuple": lambda y: Named(y, y[..., ::2]),
    "dataclass": lambda y: Data(y),
    "list": lambda y: [*y],
    "subclass of list": lambda y: Listed([y]),
    "defaultdict": lambda y: collections.defaultdict(list, out=y),
    "names beside it": lambda y: {"out": y, "names": {"a", "b"}},
    "NumPy": lambda y: y.numpy(),
    "number": lambda y: y.sum().item(),
    "shape": lambda y: y.shape,
    "nothing": lambda y: None,
    "integers": lambda y: y.argmax(1),
    "return type": lambda y: y.max(1),
    "a view and its base": lambda y: (y, y[0], y.view(-1)),
}


class Returns(Body):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.body(x))


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_keep_their_kind(name: str) -> None:
    model, twin = folded(Returns(OUTPUTS[name]))
    agree(model, twin, torch.rand(2, 3, 6, 6))
    assert folds(model)


def test_attributes_of_an_output() -> None:
    model, _ = folded(Returns(OUTPUTS["mapping with attributes"]))
    y = model(torch.rand(2, 3, 6, 6))
    assert y.out is y["out"]


TWO = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1))
THREE = nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4), nn.ReLU())
LINE = nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4))
SHUFFLE = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.PixelShuffle(2))

# Inputs of all kinds: most give results, some give PyTorch's errors.
INPUTS: dict[str, tuple[nn.Module, Callable[[], Tensor]]] = {
    "unbatched": (TWO, lambda: torch.randn(3, 5, 6)),
    "unbatched line": (LINE, lambda: torch.randn(3, 6)),
    "unbatched line of as many channels": (LINE, lambda: torch.randn(3, 4)),
    "unbatched shuffle": (SHUFFLE, lambda: torch.randn(3, 5, 6)),
    "unbatched transposed": (nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2), nn.ReLU()), lambda: torch.randn(3, 5, 6)),
    "no pixels": (TWO, lambda: torch.randn(1, 3, 0, 6)),
    "empty batch": (THREE, lambda: torch.randn(0, 3, 5, 6)),
    "expanded": (THREE, lambda: torch.randn(1, 3, 1, 1).expand(2, 3, 5, 6)),
    "every other": (THREE, lambda: torch.randn(2, 3, 10, 6)[:, :, ::2]),
    "mirrored": (SHUFFLE, lambda: torch.randn(2, 6, 5, 3).permute(0, 3, 2, 1)),
    "integers": (TWO, lambda: torch.randint(0, 9, (1, 3, 5, 6))),
    "complex": (TWO, lambda: torch.randn(1, 3, 5, 6, dtype=torch.complex64)),
    "double": (THREE, lambda: torch.randn(1, 3, 5, 6).double()),
    "too many channels": (THREE, lambda: torch.randn(1, 4, 5, 6)),
    "too few axes": (THREE, lambda: torch.randn(5, 6)),
    "not finite": (THREE, lambda: torch.tensor([torch.nan, torch.inf, 1.0]).view(1, 3, 1, 1).expand(1, 3, 5, 6)),
    "one pixel": (TWO, lambda: torch.randn(1, 3, 1, 1)),
    "negated": (TWO, lambda: torch._neg_view(torch.randn(1, 3, 5, 6))),
    "sparse": (THREE, lambda: torch.randn(1, 3, 5, 6).to_sparse()),
}


@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name: str, first: bool) -> None:
    """Met at the first call, or after another input was captured."""
    layers, make = INPUTS[name]
    model, twin = folded(copy.deepcopy(layers))
    if not first:
        agree(model, twin, torch.randn((2, 3, 5, 6)[: 3 if layers is LINE else 4]), calls=1)
    x = make()
    for _ in range(2):
        results = []
        for each in (model, twin):
            try:
                results.append(each(x))
            except (RuntimeError, NotImplementedError, ValueError) as error:
                results.append(type(error))
        if isinstance(results[1], type):
            assert results[0] is results[1]
        else:
            torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_negative_variance_is_not_a_number() -> None:
    model, twin = folded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    for each in (model, twin):
        each[1].running_var[0] = -1
    assert agree(model, twin, torch.randn(1, 3, 5, 6)).isnan().any()
