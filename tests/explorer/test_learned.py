"""`tconv.explain_learned`: kernels and errors are those that PyTorch and least squares find; pictures show them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data

from tconv import errors, kernels
from tconv.arrays import Array
from tconv.explorer import explain_learned
from tconv.explorer.learned.photos import photograph
from tconv.explorer.learned.training import STEPS, Experiment
from tconv.explorer.scene import Picture

CASES = [(3, 2), (4, 2), (8, 2), (5, 3), (12, 3), (4, 4), (9, 4)]


def shrunk(image: Array, stride: int) -> Array:
    """By the convolution with the bilinear kernel, over the stride, per axis."""
    line = kernels.bilinear(stride, ndim=1, dtype=np.float64)[0, 0] / stride
    wide = F.pad(torch.from_numpy(image.copy())[None, None], [(len(line) - stride) // 2] * 4, mode="replicate")
    small: Array = F.conv2d(wide, torch.from_numpy(np.outer(line, line))[None, None], stride=stride)[0, 0].numpy()
    return small


def enlarged(small: Array, w: Array, stride: int) -> Array:
    """PyTorch's layer with the smallest output_padding that makes it `stride` times as large."""
    surplus = len(w) - stride
    x, weight = torch.from_numpy(small)[None, None], torch.from_numpy(w.copy())[None, None]
    padding, extra = (surplus + 1) // 2, surplus % 2
    large: Array = F.conv_transpose2d(x, weight, stride=stride, padding=padding, output_padding=extra)[0, 0].numpy()
    return large


def test_the_photographs_are_those_of_scikit_image() -> None:
    for name, image, (row, column) in (("portrait", data.astronaut(), (8, 130)), ("cat", data.chelsea(), (60, 110))):
        grey = image[row : row + 192, column : column + 192] @ np.array([0.299, 0.587, 0.114])
        means = grey.reshape(96, 2, 96, 2).mean((1, 3))
        np.testing.assert_array_equal(photograph(name) * 63, np.rint(means / 255 * 63))


@pytest.mark.parametrize(("k", "stride"), CASES)
def test_what_each_kernel_makes_of_the_photograph(k: int, stride: int) -> None:
    experiment = explain_learned(k, stride).experiment
    image, small = photograph("portrait"), shrunk(photograph("portrait"), stride)
    np.testing.assert_allclose(experiment.small("portrait"), small, atol=1e-12)
    inside = (slice(3 * stride, -3 * stride),) * 2
    fixed = (kernels.nearest, kernels.bilinear, kernels.bicubic)
    for tried, make in zip(experiment.fixed, fixed, strict=True):
        np.testing.assert_array_equal(tried.kernel, make(stride, dtype=np.float64)[0, 0])
        assert tried.name == make.__name__ and tried.spread < 1e-12
    for tried in (*experiment.fixed, experiment.learned(0), experiment.learned(-1)):
        back = enlarged(small, tried.kernel, stride)
        assert back.shape == image.shape
        np.testing.assert_allclose(tried.back, back, atol=1e-12)
        assert tried.psnr == pytest.approx(-10 * np.log10(np.mean((image - back)[inside] ** 2)))
        flat = enlarged(np.full((40, 40), 0.5), tried.kernel, stride)[(slice(16 * stride, 18 * stride),) * 2]
        assert tried.spread == pytest.approx(2 * (flat.max() - flat.min()), rel=1e-6, abs=1e-9)
        np.testing.assert_allclose(np.unique(tried.grey.round(9)), np.unique(flat.round(9)))


@pytest.mark.parametrize(("k", "stride"), CASES)
def test_training_is_gradient_descent(k: int, stride: int) -> None:
    """The first steps taken one by one by PyTorch; the last kernel is near that of least squares."""
    experiment = Experiment(k, stride)
    cat, inside = photograph("cat"), (slice(3 * stride, -3 * stride),) * 2
    small = shrunk(cat, stride)
    units = np.eye(k * k).reshape(-1, k, k)
    a = np.stack([enlarged(small, unit, stride)[inside].ravel() for unit in units], axis=1)
    steepest = abs(a.T @ a).sum(1).max()
    w = torch.tensor(experiment.course[0].copy(), requires_grad=True)
    assert abs(experiment.course[0]).max() <= 1 / k
    target = torch.from_numpy(cat.copy())[inside]
    x = torch.from_numpy(small)[None, None]
    surplus = k - stride
    for step in range(1, 17):
        up = F.conv_transpose2d(
            x, w[None, None], stride=stride, padding=(surplus + 1) // 2, output_padding=surplus % 2
        )[0, 0]
        (gradient,) = torch.autograd.grad(((up[inside] - target) ** 2).sum() / 2, w)
        w = (w - gradient / steepest).detach().requires_grad_()
        if step in STEPS:
            np.testing.assert_allclose(experiment.course[STEPS.index(step)], w.detach().numpy(), atol=1e-9)
    best, *_ = np.linalg.lstsq(a, cat[inside].ravel(), rcond=None)
    errors_ = [np.sum((a @ w.ravel() - cat[inside].ravel()) ** 2) for w in experiment.course]
    assert errors_ == sorted(errors_, reverse=True)
    assert errors_[-1] < 1.1 * np.sum((a @ best - cat[inside].ravel()) ** 2)


def test_a_learned_kernel_does_better_than_a_formula() -> None:
    experiment = explain_learned().experiment
    last = experiment.learned(-1)
    assert last.psnr > experiment.fixed[2].psnr > experiment.fixed[1].psnr > experiment.fixed[0].psnr
    assert experiment.learned(0).spread > 0.5 > 0.01 > last.spread


def test_frames_are_the_training() -> None:
    """A frame per number of steps; the fixed kernels stay; photograph, kernel and grey are what was computed."""
    seen = explain_learned(4)
    experiment, scenes = seen.experiment, seen.film.scenes
    assert len(scenes) == len(STEPS)
    for position, scene in enumerate(scenes):
        pictures = [mark for mark in scene.marks if isinstance(mark, Picture)]
        tried = [*experiment.fixed, experiment.learned(0), experiment.learned(position)]
        assert len(pictures) == 2 + 3 * len(tried)
        for n, each in enumerate(tried):
            back, kernel, grey = (np.array(Image.open(BytesIO(mark.png))) for mark in pictures[2 + 3 * n : 5 + 3 * n])
            stretched = each.psnr == experiment.learned(0).psnr
            for levels, values in ((back, each.back), (grey, each.grey)):
                low, high = (values.min(), values.max()) if stretched else (0.0, 1.0)
                np.testing.assert_allclose(levels, np.clip(255 * (values - low) / (high - low), 0, 255), atol=0.51)
            assert kernel.shape == (*each.kernel.shape, 3)
            orange = kernel[..., 0] > kernel[..., 2]
            clear = abs(each.kernel) > 0.02 * abs(each.kernel).max()
            np.testing.assert_array_equal(orange[clear], (each.kernel > 0)[clear])
        steps = f"{STEPS[position]:,} step{'' if STEPS[position] == 1 else 's'}"
        assert scene.says.startswith(f"After {steps} of gradient descent: {tried[-1].psnr:.2f} dB, bicubic has 26.85;")
        assert f"phases of plain grey differ by {100 * tried[-1].spread:.1f} %" in scene.says


@pytest.mark.parametrize(("k", "stride"), [(3, 2), (12, 3)])
def test_golden(k: int, stride: int, golden: Callable[..., None]) -> None:
    golden(f"learned_{k}_{stride}", f"{explain_learned(k, stride)}\n")


def test_the_page_begins_with_the_photographs() -> None:
    assert '"at":"learned","trained":{"k":3,"steps":9}' in explain_learned(3).html()


@pytest.mark.parametrize(
    ("call", "law", "message"),
    [
        (
            lambda: explain_learned(8, 1),
            errors.StrideError,
            "stride 1 must be 2, 3 or 4: how many times smaller the photograph is made",
        ),
        (
            lambda: explain_learned(9, 2),
            errors.KernelError,
            "kernel 9 must be at least the stride, 2, so that no pixel stays empty, and at most 8, as many taps as "
            "bicubic has",
        ),
        (
            lambda: explain_learned(2, 3),
            errors.KernelError,
            "kernel 2 must be at least the stride, 3, so that no pixel stays empty, and at most 12, as many taps as "
            "bicubic has",
        ),
        (
            lambda: explain_learned(2.5),
            errors.ArgumentTypeError,
            "kernel must be an integer, not 2.5 (float); sizes are counted in whole cells",
        ),
        (
            lambda: explain_learned(6, 3).html(),
            errors.TooLargeError,
            "the page trains kernels of 3, 4 or 8 taps at stride 2, not of 6 at stride 3; take svg(), png() or gif() "
            "for this one",
        ),
    ],
)
def test_refusals(call: Any, law: type[errors.TconvError], message: str) -> None:
    with pytest.raises(law) as caught:
        call()
    assert str(caught.value) == message
