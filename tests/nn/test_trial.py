"""Which folds a look keeps, and what it computes to tell."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

from tconv.nn.engines.cpu import ENGINE
from tconv.nn.folding.trial import Fold, Trial


class Doubling(Fold):
    """Doubles its input; as a fold, with an error in one place. One of the two ways takes a while."""

    def __init__(self, error: float, slow: bool) -> None:
        super().__init__("doubling", ENGINE)
        self.kinds: list[torch.dtype] = []
        self._error, self._slow = error, slow

    def by_steps(self, x: Tensor, *_: Tensor) -> Tensor:
        self.kinds.append(x.dtype)
        time.sleep(0 if self._slow else 0.005)
        return x * 2

    def _folded(self, x: Tensor, *_: Tensor) -> Tensor:
        time.sleep(0.005 if self._slow else 0)
        y = x * 2
        y[0] += self._error
        return y


X = torch.tensor([0.75, 1.0], dtype=torch.bfloat16)  # the largest result is 2, and a step there 1/64


@pytest.mark.parametrize(
    ("error", "slow", "wanted", "exactly"),
    [
        (0.0, False, True, False),
        (1 / 128, False, True, False),  # half a step of the largest: a rounding
        (1 / 16, False, False, True),
        (0.0, True, False, False),
        (1 / 16, True, False, False),
    ],
)
def test_a_result_in_half_precision_is_computed_exactly_where_that_decides(
    error: float, slow: bool, wanted: bool, exactly: bool
) -> None:
    fold = Doubling(error, slow)
    trial = Trial(1e-3, math.inf, 0)
    assert trial.wanted(fold, (X,)) is wanted
    assert (torch.float32 in fold.kinds) is exactly
    assert trial.wanted(fold, (X,)) is wanted and list(trial.results) == ["doubling"]


def test_single_precision_is_held_to_the_tolerance() -> None:
    for error, wanted in ((1e-4, True), (1 / 128, False)):
        assert Trial(1e-3, math.inf, 0).wanted(Doubling(error, False), (X.float(),)) is wanted


def test_there_is_a_rule_where_there_is_no_time() -> None:
    fold = Doubling(0.0, False)
    assert Trial(1e-3, -math.inf, 0).wanted(fold, (X,)) and not fold.kinds
