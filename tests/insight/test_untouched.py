"""Nothing about a model, an image or the process changes, whatever is asked for and whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from insight.nets import Net, image, same, seeded, state
from torch import Tensor, nn

from tconv import errors
from tconv.insight import layers, occlusion, project, top_activations


class Lively(nn.Module):
    """All that can change: batch statistics, random numbers, a counter, a buffer that is replaced, in-place writes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.last = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 5, 3))
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("latest", torch.zeros(1))
        self.seen: Tensor
        self.norm.eval()
        self.conv.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        self.latest = x.detach().mean()
        x = F.relu_(x)
        x = F.dropout(self.drop(F.relu_(self.norm(self.conv(x)))), 0.1, training=True)
        y: Tensor = self.last(x)
        return y + torch.randn_like(y)


def lively() -> Lively:
    torch.manual_seed(3)
    model = Lively()
    model.last.bias.grad = torch.ones(5)
    model.register_forward_hook(lambda module, inputs, output: None)
    model.norm.register_forward_pre_hook(lambda module, inputs: None)
    return model


X = image(1, 3, 12, 12)
ASKED: dict[str, Callable[[Any, Tensor], object]] = {
    "project": lambda model, x: project(model, x, "last"),
    "guided": lambda model, x: project(model, x, "norm", 1, method="guided"),
    "occlusion": lambda model, x: occlusion(model, x, 2, 4),
    "layers": layers,
    "top_activations": lambda model, x: top_activations(model, [x[0], x[0]], "last", n=2),
}
FAILING: dict[str, Callable[[Any, Tensor], object]] = {
    "another number of channels": lambda model, x: project(model, x[:, :2], "last"),
    "no such channel": lambda model, x: project(model, x, "last", 9),
    "no call": lambda model, x: project(model, x, "last", call=3),
    "a score of the wrong shape": lambda model, x: occlusion(model, x, lambda y: y),
    "a score that raises": lambda model, x: occlusion(model, x, lambda y: 1 / 0),
    "no image": lambda model, x: top_activations(model, [x[0, :1]], "last"),
}


@pytest.mark.parametrize("asked", [*ASKED, *FAILING])
def test_everything_is_as_it_was(asked: str) -> None:
    model, x = lively(), X.clone()
    before, numbers, version = state(model), torch.get_rng_state(), x._version
    if asked in ASKED:
        ASKED[asked](model, x)
    else:
        with pytest.raises((errors.TconvError, ZeroDivisionError)):
            FAILING[asked](model, x)
    assert same(state(model), before) and torch.equal(torch.get_rng_state(), numbers)
    assert torch.equal(x, X) and x._version == version and x.grad is None and not x.requires_grad
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_an_exception_of_the_model_itself_is_handed_on_and_leaves_no_trace() -> None:
    class Broken(Lively):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise KeyboardInterrupt

    model = Broken()
    before = state(model)
    with pytest.raises(KeyboardInterrupt):
        project(model, X, "last")
    assert same(state(model), before)


def test_the_same_question_has_the_same_answer() -> None:
    model = lively()
    assert torch.equal(project(model, X, "last", 2, (3, 3)), project(model, X, "last", 2, (3, 3)))


def test_evaluation_mode_is_what_is_seen() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.9), nn.ReLU())).train()
    training = project(model, X, "3", 1)
    assert torch.equal(training, project(model.eval(), X, "3", 1)) and not model[1].num_batches_tracked


def test_backward_hooks_and_gradients_of_the_user_are_left_alone() -> None:
    model = seeded(Net())
    model.convs[0].weight.register_hook(lambda g: pytest.fail("a gradient of the weights was computed"))
    project(model, X, "convs.2", 1)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_hooks_of_the_model_run_and_stay() -> None:
    model, calls = seeded(Net()), []
    handle = model.convs[2].register_forward_hook(lambda module, inputs, output: calls.append(1) or 2 * output)
    double = project(model, X, model, 1, (2, 2))
    assert calls == [1]
    handle.remove()
    assert torch.allclose(double, 2 * project(model, X, model, 1, (2, 2)))


def test_a_full_backward_hook_of_the_user_does_no_harm() -> None:
    model = seeded(Net(nn.ReLU()))
    expected = project(model, X, "convs.2", 1, (2, 2))
    model.act.register_full_backward_hook(lambda module, inputs, outputs: None)
    assert torch.equal(project(model, X, "convs.2", 1, (2, 2)), expected)
