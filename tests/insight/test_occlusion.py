"""`occlusion` against covering by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from insight.nets import Net, image, seeded
from torch import Tensor, nn

from tconv import errors
from tconv.insight import occlusion

X = image(2, 3, 10, 13)


def by_hand(model: nn.Module, x: Tensor, score: Callable[[Tensor], Tensor], side: int, step: int, value: Any) -> Tensor:
    """Every square, as often as it covers a pixel; squares lie evenly over the image."""
    total, count = torch.zeros(len(x), *x.shape[2:]), torch.zeros(x.shape[2:])
    starts = []
    for n in x.shape[2:]:
        squares = -((side - n) // step) + 1
        first = -((step * (squares - 1) + side - n) // 2)
        starts.append([first + step * k for k in range(squares)])
    with torch.no_grad():
        whole = score(model(x))
        for top in starts[0]:
            for left in starts[1]:
                where = slice(max(0, top), top + side), slice(max(0, left), left + side)
                covered = x.clone()
                covered[(..., *where)] = torch.as_tensor(value).view(-1, 1, 1)
                total[(..., *where)] += (whole - score(model(covered)))[:, None, None]
                count[where] += 1
    assert (count > 0).all()
    return total / count


@pytest.mark.parametrize(("side", "step"), [(4, 4), (4, 2), (5, 3), (1, 1), (10, 1)])
@pytest.mark.parametrize("value", [0.0, [0.5, -1.0, 2.0]])
def test_each_pixel_gets_the_mean_fall_of_the_squares_that_cover_it(side: int, step: int, value: Any) -> None:
    model = seeded(Net())
    expected = by_hand(model, X, lambda y: y[:, 2].flatten(1).mean(1), side, step, value)
    found = occlusion(model, X, 2, side, step, value=value, batch=5)
    assert found.dtype == torch.float32 and torch.allclose(found, expected, atol=1e-5)


def test_a_score_of_ones_own_and_the_default_square() -> None:
    model = seeded(Net())
    expected = by_hand(model, X, lambda y: y.amax((1, 2, 3)), 1, 1, 0.0)
    assert torch.allclose(occlusion(model, X, lambda y: y.amax((1, 2, 3))), expected, atol=1e-5)


def test_only_what_the_score_needs_lights_up() -> None:
    class Middle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, 4:6, 4:6].sum((1, 2, 3))[:, None]

    found = occlusion(Middle(), torch.ones(1, 1, 10, 10), 0, 2, 2)
    assert (found[0, 4:6, 4:6] == 4).all() and found.sum() == 16


def test_signals_volumes_and_double_precision() -> None:
    for ndim, conv in ((1, nn.Conv1d), (3, nn.Conv3d)):
        x = image(1, 2, *(7,) * ndim, dtype=torch.float64)
        found = occlusion(seeded(conv(2, 2, 3)).double(), x, 1, 3)
        assert found.shape == (1, *(7,) * ndim) and found.dtype == torch.float64 and found.any()


class One(nn.Module):
    """Gives one result, however many images there are."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((0, 2, 3))[None]


REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: occlusion(Net(), X, 0, 11), errors.InputSizeError,
     "size (11, 11) must be at least 1 and at most the image's (10, 13)"),
    (lambda: occlusion(Net(), X, 0, 3, 4), errors.InputSizeError,
     "stride (4, 4) must be at least 1 and at most size (3, 3), to leave nothing out"),
    (lambda: occlusion(Net(), X, 4, 3), errors.ChannelError, "score 4 is not there: the model gives 4 classes, 0 to 3"),
    (lambda: occlusion(Net(), X, 0, (3, 3, 3)), errors.LengthError,
     "size has 3 entries, (3, 3, 3), for 2 spatial axes; give 1 or 2"),
    (lambda: occlusion(Net(), X, 0, 3, value=[1.0, 2.0]), errors.ChannelError,
     "value [1.0, 2.0] must be one number, or one for each of 3 channels"),
    (lambda: occlusion(Net(), X, 0, 3, batch=0), errors.TconvError, "batch 0 must be at least 1"),
    (lambda: occlusion(Net(), X, lambda y: y.mean()), errors.ProjectionError,
     "score gives the shape () for 2 images; it must be one number per image"),
    (lambda: occlusion(One(), X, 1), errors.ProjectionError,
     "the model gives the shape (1,) for 2 images; it must be one number per image"),
    (lambda: occlusion(nn.Flatten(0), X, 0), errors.ProjectionError,
     "the model gives no tensor (batch, classes, ...); give score as a function"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "law", "text"), REFUSALS, ids=[text[:50] for *_, text in REFUSALS])
def test_refusal(broken: Callable[[], object], law: type[Exception], text: str) -> None:
    with pytest.raises(law, match=f"^{re.escape(text)}$"):
        broken()
