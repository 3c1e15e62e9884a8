"""What lies in a model's call, and when it steps aside."""

from __future__ import annotations

import pytest
import torch
from nn.judge import Body, agree, folded, graphs, randomised
from torch import nn

from tconv.nn.backend import Backend
from tconv.nn.capture import capture, captured, release

pytestmark = pytest.mark.usefixtures("captures")


@torch.no_grad()
def test_release_reaches_all_parts() -> None:
    model = nn.Sequential(randomised(Body()), nn.Identity())
    for module in (model, model[0]):
        capture(module, Backend())
    assert captured(model) is not None and captured(model[0]) is not None
    release(model)
    assert captured(model) is captured(model[0]) is None
    model(torch.randn(1, 3, 6, 6))


def test_somebody_elses_compilation_stays() -> None:
    model = randomised(Body())
    model.compile(backend="eager")
    own = vars(model)["_compiled_call_impl"]
    assert captured(model) is None
    release(model)
    assert vars(model)["_compiled_call_impl"] is own


@torch.no_grad()
def test_a_model_is_captured_again_after_a_reset() -> None:
    model, twin = folded(Body())
    x = torch.randn(1, 3, 6, 6)
    agree(model, twin, x)
    torch._dynamo.reset()
    agree(model, twin, x)
    assert graphs(model) == 2


@torch.no_grad()
def test_a_stance_against_captures_runs_the_model() -> None:
    model, twin = folded(Body())
    x = torch.randn(1, 3, 6, 6)
    with torch.compiler.set_stance("force_eager"):
        agree(model, twin, x)
    assert graphs(model) == 0
    agree(model, twin, x)
    assert graphs(model) == 1


@torch.no_grad()
def test_many_changes_end_in_the_model_as_written() -> None:
    """TorchDynamo stops capturing after a number of graphs; the model still runs."""

    class Gains(Body):
        gain = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x) * (self.gain if self.gain % 2 else -self.gain)

    model, twin = folded(Gains())
    with torch._dynamo.config.patch(recompile_limit=2):
        for gain in range(5):
            model.gain = twin.gain = gain
            agree(model, twin, torch.randn(1, 3, 6, 6), calls=1)
    assert graphs(model) == 2
