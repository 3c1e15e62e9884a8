"""The learned kernel solves its least-squares problem, and is better on a photograph that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tconv import Geometry, kernels
from tconv.images import Upsampler, experiment
from tconv.images.poster import HEIGHT, WIDTH, poster

Array = np.ndarray


@pytest.fixture(scope="module")
def result() -> experiment.Experiment:
    return experiment.run()


def test_the_learned_kernel_beats_bicubic_on_a_held_out_photograph(result: experiment.Experiment) -> None:
    assert result.training == ("chelsea", "coffee", "rocket", "camera", "coins")
    assert np.array_equal(result.original, experiment.photograph("astronaut"))
    assert list(result.psnr) == ["nearest", "bilinear", "bicubic", "learned"]
    assert result.psnr["learned"] > result.psnr["bicubic"] + 1
    assert result.learned.shape == (10, 10) and result.learned.dtype == np.float32
    assert result.learned.sum() == pytest.approx(4, abs=0.01)  # four phases that keep the brightness


def test_results_are_what_the_command_would_write(result: experiment.Experiment) -> None:
    assert np.array_equal(result.results["learned"], Upsampler(result.learned, 2, 3)(result.small))


@pytest.mark.parametrize(
    "geometry", [kernels.upsampling((10, 10), 2, 2), Geometry((3, 5), (2, 3), (2, 1), ((1, -2), (0, 3)))]
)
def test_operator_and_adjoint(geometry: Geometry) -> None:
    rng = np.random.default_rng(0)
    operator = experiment.kernel_operator(geometry, rng.standard_normal((3, 1, 9, 11)))
    w, g = rng.standard_normal(operator.shape[1]), rng.standard_normal(operator.shape[0])
    assert g @ (operator @ w) == pytest.approx((operator.H @ g) @ w, rel=1e-12)


def test_a_known_kernel_is_found_again() -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((6, 6))
    operator = experiment.kernel_operator(kernels.upsampling((6, 6), 2), rng.standard_normal((2, 1, 20, 20)))
    found = np.linalg.lstsq(operator @ np.eye(36), operator @ w.ravel(), rcond=None)[0]
    np.testing.assert_allclose(found.reshape(6, 6), w, atol=1e-10)


def test_halving_is_the_adjoint_of_bilinear_upsampling() -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((24, 24, 1))
    image[4:20, 4:20] = rng.integers(0, 256, (16, 16, 1))
    weight = kernels.bilinear(2, dtype=np.float64)
    operator = experiment.kernel_operator(kernels.upsampling((4, 4), 2), np.eye(144).reshape(144, 1, 12, 12))
    stamps = (operator @ weight.ravel()).reshape(144, -1)
    expected = (stamps @ image.ravel() / 4).reshape(12, 12)
    np.testing.assert_allclose(experiment.halve(image)[..., 0], np.rint(expected))


@pytest.mark.parametrize("name, channels", [("camera", 1), ("chelsea", 3), ("rocket", 3)])
def test_photographs(name: str, channels: int) -> None:
    pixels = experiment.photograph(name)
    assert pixels.dtype == np.uint8 and pixels.shape[2] == channels
    assert pixels.shape[0] % 2 == pixels.shape[1] % 2 == 0
    assert experiment.luminance(pixels).shape == (*pixels.shape[:2], 1)


def test_psnr() -> None:
    grey: Any = np.full((4, 4, 3), 100, np.uint8)
    assert experiment.psnr(grey, grey + 1) == pytest.approx(48.13, abs=0.01)


def test_the_poster_shows_all(result: experiment.Experiment) -> None:
    image = np.asarray(poster(result, (78, 196), "credit"))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert len(np.unique(image[::9, ::9].reshape(-1, 3), axis=0)) > 1000
