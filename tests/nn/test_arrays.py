"""`tconv.conv_transpose` on tensors: the same kind comes out, with its gradient, for every padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tconv
from tconv import errors

CALLS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": 2, "padding": "same"},
    {"stride": 3, "padding": "valid"},
    {"stride": 2, "padding": [(1, 0), (-1, 2)]},
    {"stride": 2, "dilation": (1, 2), "output_size": (12, 14)},
    {"groups": 2, "padding": [(-2, -1), (0, 1)]},
    {"padding": [(-3, 8), (9, -4)]},  # cut by more than the whole result has
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("batched", [True, False])
def test_values_are_those_of_numpy_s_arrays(call: dict[str, Any], batched: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)[slice(None) if batched else 0]
    w, b = torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(3 * call.get("groups", 1), dtype=torch.float64)
    y = tconv.conv_transpose2d(x, w, b, **call)
    assert isinstance(y, torch.Tensor)
    np.testing.assert_allclose(y.numpy(), tconv.conv_transpose2d(x.numpy(), w.numpy(), b.numpy(), **call), atol=1e-12)
    np.testing.assert_allclose(tconv.conv_transpose(x, w, b, **call).numpy(), y.numpy(), atol=1e-12)


@pytest.mark.parametrize("call", CALLS)
def test_gradients_come_back(call: dict[str, Any]) -> None:
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    w = torch.nn.Parameter(torch.randn(4, 3, 3, 3, dtype=torch.float64))
    b = torch.randn(3 * call.get("groups", 1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *arrays: tconv.conv_transpose2d(*arrays, **call), (x, w, b))


def test_a_subclass_of_somebody_is_a_tensor() -> None:
    class Mine(torch.Tensor):
        pass

    y = tconv.conv_transpose1d(torch.ones(1, 1, 3).as_subclass(Mine), torch.ones(1, 1, 2))
    assert isinstance(y, torch.Tensor)


X, W = torch.ones(1, 2, 4), torch.ones(2, 3, 2)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"weight": W, "bias": np.ones(3)},
            errors.ArgumentTypeError,
            "bias is a ndarray, the input a torch.Tensor; pass arrays of one kind: torch.as_tensor(bias)",
        ),
        (
            {"weight": W, "out": np.ones((1, 3, 5))},
            errors.OutError,
            "out is for NumPy arrays; leave it out for a torch.Tensor, whose memory is not tconv's",
        ),
        (
            {"weight": torch.ones(2, 3, 2, 2, 2, 2)},
            errors.RankError,
            "weight has shape (2, 3, 2, 2, 2, 2); of a torch.Tensor 1 to 3 spatial axes are computed: pass NumPy "
            "arrays for more",
        ),
        (
            {"weight": W, "padding": 4},
            errors.EmptyOutputError,
            None,
        ),
    ],
)
def test_errors(arguments: dict[str, Any], kind: type[Exception], message: str | None) -> None:
    with pytest.raises(kind) as raised:
        tconv.conv_transpose(X, **arguments)
    assert message is None or str(raised.value) == message
