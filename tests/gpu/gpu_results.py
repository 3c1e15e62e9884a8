"""Results of the engine for GPUs against double precision: every geometry, dtype, memory layout and activation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import Case
from gpu.place import (
    DEVICE,
    DTYPES,
    FORMATS,
    REAL,
    allowed,
    arrays,
    catalogue,
    drawn,
    error,
    exact,
    prepared,
    terms,
    tf32,
)
from torch import Tensor

import tconv.nn
from tconv.benchmark import suite
from tconv.geometry import Geometry
from tconv.nn.engine import RefusedError

HALF = torch.float16
ALL = [*catalogue(), *drawn(40)]  # every geometry is compiled, which takes a second
SOME = Case("some", Geometry((3, 3), 2, 1, (1, 0)), (4, 5) if REAL else (2, 3), 2, 6, 5)
ACTIVATIONS: list[Any] = ["relu", ("leaky_relu", 0.2), "tanh", "sigmoid", "silu", "gelu"]
FUNCTIONS: dict[str, Any] = {
    "leaky_relu": lambda y: F.leaky_relu(y, 0.2),
    **{name: getattr(F, name) for name in ("relu", "tanh", "sigmoid", "silu", "gelu")},
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_right_to_one_rounding(case: Case, dtype: torch.dtype) -> None:
    both = case.geometry.ndim > 1 and dtype is HALF
    for last in (False, True) if both else (False,):
        x, weight, bias = arrays(case, dtype, last)
        kept = x.clone()
        with tf32(False):
            y = prepared(case, weight, bias).run(x, lambda w=weight, b=bias: (w, b))
        assert y.dtype is dtype and error(y, exact(case, x, weight, bias)) <= allowed(torch.float64, 1) + limit(
            case, dtype
        )
        assert x.equal(kept)


def limit(case: Case, dtype: torch.dtype) -> float:
    """What is allowed where float32 is multiplied as it is."""
    with tf32(False):
        return allowed(dtype, terms(case))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("result_last", [None, False, True])
def test_layouts(last: bool, result_last: bool | None) -> None:
    x, weight, bias = arrays(SOME, HALF, last)
    y = prepared(SOME, weight, bias).run(x, lambda: (weight, bias), result_last)
    wanted = last if result_last is None else result_last
    assert y.is_contiguous(memory_format=FORMATS[4] if wanted else torch.contiguous_format)
    assert error(y, exact(SOME, x, weight, bias)) <= limit(SOME, HALF)


def test_inputs_with_gaps_and_weights_of_any_layout() -> None:
    x, weight, bias = arrays(SOME, HALF)
    n, c, h, w = x.shape
    wide = torch.full((n, c + 3, h + 3, w + 6), float("nan"), dtype=HALF, device=DEVICE)
    views: dict[str, Tensor] = {
        "with gaps": wide[:, 1 : 1 + c, 2 : 2 + h, 3 : 3 + w],
        "turned": torch.empty(n, c, w, h, dtype=HALF, device=DEVICE).transpose(2, 3),
        "odd": torch.empty(x.numel() + 1, dtype=HALF, device=DEVICE)[1:].view(x.shape),
        "one for all": x[:1, :, :1].expand(n, -1, h, -1),
    }
    weights = [weight, weight.transpose(2, 3).contiguous().transpose(2, 3)]
    weights += [weight.contiguous(memory_format=FORMATS[4])] * REAL
    for name, view in views.items():
        if name != "one for all":
            view.copy_(x)
        for each in weights if name == "odd" else weights[:1]:
            y = prepared(SOME, each, bias).run(view, lambda each=each: (each, bias))
            assert error(y, exact(SOME, view, weight, bias)) <= limit(SOME, HALF), name


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations(activation: Any) -> None:
    x, weight, bias = arrays(SOME, HALF)
    y = prepared(SOME, weight, bias, activation).run(x, lambda: (weight, bias))
    name = activation if isinstance(activation, str) else activation[0]
    expected = FUNCTIONS[name](exact(SOME, x, weight, bias))
    assert error(y, expected) <= 2 * limit(SOME, HALF)


def test_without_bias_and_without_a_batch() -> None:
    x, weight, _ = arrays(SOME, HALF)
    y = prepared(SOME, weight, None).run(x[0], lambda: (weight, None))
    assert error(y, exact(SOME, x[:1], weight, None)[0]) <= limit(SOME, HALF)


def test_float32_follows_the_switches() -> None:
    x, weight, bias = arrays(SOME, torch.float32)
    expected, layer = exact(SOME, x, weight, bias), prepared(SOME, weight, bias)
    errors = []
    for allow in (True, False, True):
        with tf32(allow):
            errors.append(error(layer.run(x, lambda: (weight, bias)), expected))
            assert errors[-1] <= allowed(torch.float32, terms(SOME))
    assert errors[0] == errors[2] > 4 * errors[1]


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # NumPy's, in the interpreter
def test_nan_and_inf_stay_where_the_definition_puts_them() -> None:
    x, weight, bias = arrays(SOME, HALF)
    x[0, 2, 1, 2], x[1, 0, 0, 0] = float("nan"), float("inf")
    y = prepared(SOME, weight, bias).run(x, lambda: (weight, bias)).cpu()
    expected = exact(SOME, x, weight, bias)
    assert y.isnan().equal(expected.isnan()) and y.isinf().equal(expected.isinf())


def test_what_does_not_fit_is_refused() -> None:
    x, weight, bias = arrays(SOME, HALF)
    layer, source = prepared(SOME, weight, bias), lambda: (weight, bias)
    wrong: list[tuple[Tensor, str]] = [
        (x[:, :5], r"^an input of shape \(2, 5, \d, \d\) does not fit 6 channels$"),
        (x[:0], r"^an input of shape \(0, 6, \d, \d\) does not fit 6 channels$"),
        (x[0, 0], r"^an input of 2 axes does not fit a layer of 2$"),
        (
            x.float(),
            r"^the input is torch.float32 on \w+(:0)?, the weight torch.float16 on \w+(:0)?; or a lazy negation$",
        ),
    ]
    for input, words in wrong:
        with pytest.raises(RefusedError, match=words):
            layer.run(input, source)
    broken = weight.clone()
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(RefusedError, match=r"^a weight is NaN or Inf, which products with zeros at the border would"):
        prepared(SOME, broken, bias).run(x, lambda: (broken, bias))


def layers() -> list[tuple[suite.Case, torch.dtype]]:
    """The published layers, in half precision, and some in the others; in the interpreter one, and small."""
    if not REAL:
        return [(replace(suite.SUITE[0], in_channels=4, out_channels=4, in_size=(2, 3)), HALF)]
    fits = [case for case in suite.SUITE if case.flop < 2e11]
    return [(case, HALF) for case in fits] + [(case, dtype) for dtype in DTYPES if dtype != HALF for case in fits[::4]]


@pytest.mark.parametrize(("case", "dtype"), layers(), ids=lambda each: getattr(each, "name", str(each)))
def test_published_layers_are_as_exact_as_pytorchs(case: suite.Case, dtype: torch.dtype) -> None:
    for last in (False, True) if case.ndim > 1 else (False,):
        as_exact(case, dtype, last)


def as_exact(case: suite.Case, dtype: torch.dtype, last: bool) -> None:
    """Hold one layer to double precision, beside PyTorch's own."""
    numbers = case.kernel, case.stride, case.padding, case.output_padding, case.groups, True, case.dilation
    kind = f"ConvTranspose{case.ndim}d"
    ours: Any = getattr(tconv.nn, kind)(case.in_channels, case.out_channels, *numbers).to(DEVICE, dtype).eval()
    x = torch.randn(case.batch, case.in_channels, *case.in_size, device=DEVICE).to(dtype)
    if last:
        ours, x = ours.to(memory_format=FORMATS[x.dim()]), x.contiguous(memory_format=FORMATS[x.dim()])
    theirs: Any = getattr(torch.nn, kind)(case.in_channels, case.out_channels, *numbers).to(DEVICE, torch.float64)
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        expected, y = theirs(x.double()), ours(x)
        own = error(theirs.to(dtype)(x), expected)
    products = case.in_channels // case.groups * case.kernel**case.ndim
    assert error(y, expected) <= max(own, allowed(dtype, products)), (case.name, last)
