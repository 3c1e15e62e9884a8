"""A model that is folded or accelerated against a copy that is not: all that a call may leave behind is compared."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import tconv.nn
from tconv.nn.capture import captured

# What measuring may cost in tests: what is measured is the machine's mood, and not asked about.
QUICK: dict[str, Any] = {"seconds": 30.0, "forwards": 300}
TOLERANCES = {torch.float16: 2e-2, torch.bfloat16: 6e-2}


class Body(nn.Module):
    """What the models of these tests have in common: a part that folds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)

    def body(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))

    def forward(self, x: Any) -> Any:
        return self.body(x)


def randomised(model: nn.Module) -> nn.Module:
    """In evaluation mode, with norms that do something."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval()


def folded(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The model, folded, and a copy as it is written."""
    randomised(model)
    twin = copy.deepcopy(model)
    return tconv.nn.fold(model), twin


def folds(model: nn.Module) -> list[str]:
    """The names of what was folded so far."""
    running = captured(model)
    return [] if running is None else [*running.backend.folds]


def graphs(model: nn.Module) -> int:
    """How many graphs were captured so far."""
    running = captured(model)
    return 0 if running is None else running.backend.graphs


def seed(number: int) -> None:
    """All sources of random numbers that a forward may draw from."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def outcome(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> Any:
    """All that a call leaves behind: its result or error, its arguments, and the model's tensors."""
    args = copy.deepcopy(args)
    try:
        result = model(*args, **(kwargs or {}))
    except Exception as error:
        result = (type(error), str(error))
    return result, args, dict(model.state_dict()) if isinstance(model, nn.Module) else {}


def agree(model: Any, twin: Any, *args: Any, calls: int = 2, **kwargs: Any) -> Any:
    """Call both in the same way, some times over, and compare all that is left behind; gives the last result."""
    ours = None
    for number in range(calls):
        seed(number)
        ours = outcome(model, args, kwargs)
        seed(number)
        same(ours, outcome(twin, args, kwargs))
    return ours[0] if ours is not None else None


def same(actual: Any, expected: Any) -> None:
    """Whether two results are alike in kind, structure and numbers."""
    assert type(actual) is type(expected), f"{type(actual)} in place of {type(expected)}: {actual} / {expected}"
    if isinstance(expected, Tensor):
        close(actual, expected)
    elif isinstance(expected, Mapping):
        assert list(actual) == list(expected)
        for key in expected:
            same(actual[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            same(one, other)
    elif dataclasses.is_dataclass(expected):
        same(vars(actual), vars(expected))
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(actual, expected, 1e-4, 1e-5)
    else:
        assert actual == expected


def close(actual: Tensor, expected: Tensor) -> None:
    """Alike in kind and, up to rounding, in values."""
    assert (actual.dtype, actual.device, actual.shape) == (expected.dtype, expected.device, expected.shape)
    assert (actual.requires_grad, actual.is_inference()) == (expected.requires_grad, expected.is_inference())
    if expected.device.type != "meta":
        tolerance = TOLERANCES.get(expected.dtype, 1e-4)
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance / 4, equal_nan=True)


def state(model: nn.Module) -> Any:
    """All that must be as before: types, attributes, modes, parameters' identity and memory layout."""
    return [
        (
            name,
            type(m).__name__,  # PyTorch makes a new class for each parametrised layer, and so does tconv
            m.training,
            sorted(vars(m)),
            [(k, id(p), p.stride()) for k, p in m._parameters.items() if p is not None],
        )
        for name, m in model.named_modules()
    ]
