"""Fixed against learned: the photographs, kernels and errors on the page are those that tconv and NumPy compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from explorer.browser.viewer import Viewer

import tconv
from tconv import kernels
from tconv.arrays import Array
from tconv.explorer.learned.photos import photograph

EDGE = slice(6, -6)
PAINTED = "each => [...each.getContext('2d').getImageData(0, 0, each.width, each.height).data]"
STEPS = [0, *(4**n for n in range(9))]


def halved(image: Array) -> Array:
    line = np.array([1, 3, 3, 1]) / 8
    wide = np.pad(image, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (4, 4))[::2, ::2]
    small: Array = np.einsum("ijkl,k,l->ij", windows, line, line)
    return small


def doubled(small: Array, w: Array) -> Array:
    """The layer of the page: padding (k - 1) // 2, and output_padding where that is needed."""
    k = len(w)
    large: Array = tconv.conv_transpose2d(
        small[None, None], w[None, None], stride=2, padding=(k - 1) // 2, output_padding=k % 2
    )[0, 0]
    assert large.shape == (96, 96)
    return large


def decibel(w: Array) -> str:
    image = photograph("portrait")
    error = (image - doubled(halved(image), w))[EDGE, EDGE]
    return f"{10 * np.log10(1 / np.mean(error**2)):.2f} dB"


def course(begins: Array) -> dict[int, Array]:
    """Kernels after each number of steps of gradient descent on the cat, from the one that it begins with."""
    k = len(begins)
    cat = photograph("cat")
    small, units = halved(cat), np.eye(k * k).reshape(-1, k, k)
    a = np.stack([doubled(small, unit)[EDGE, EDGE].ravel() for unit in units], axis=1)
    best, *_ = np.linalg.lstsq(a, cat[EDGE, EDGE].ravel(), rcond=None)
    normal = a.T @ a
    step = np.eye(k * k) - normal / abs(normal).sum(1).max()
    away = begins.ravel() - best
    return {n: (best + np.linalg.matrix_power(step, n) @ away).reshape(k, k) for n in STEPS}


def test_the_lesson_opens_with_a_photograph(viewer: Viewer) -> None:
    """What the layer makes of the halved portrait, pixel by pixel, for fixed kernels and for the reader's own."""
    viewer.open("lesson=1", settings=False)
    viewer.field("lw0-1").fill("4")
    own: Any = np.outer([4, 2, 3], [4, 2, 3]).astype(float)
    for name, w in (("copy", kernels.nearest(2)[0, 0]), ("blend", kernels.bilinear(2)[0, 0]), ("yours", own)):
        viewer.click(f"kernel-{name}")
        want = doubled(halved(photograph("portrait")), w.astype(float))
        least, most = (want.min(), want.max()) if name == "yours" else (0.0, 1.0)
        levels = np.clip(255 * (want - least) / (most - least), 0, 255)
        got = np.array(viewer.page.locator("#step-0 canvas").nth(2).evaluate(PAINTED)).reshape(96, 96, 4)
        np.testing.assert_allclose(got[..., 0], levels, atol=1)
        says = viewer.page.locator("#step-0 figcaption").inner_text()
        rows = " | ".join(" ".join(f"{v:g}" for v in row) for row in w)
        assert f"{len(w)} \N{MULTIPLICATION SIGN} {len(w)} numbers" in says and (len(w) > 3 or rows in says)
    viewer.click("kernel-trained")
    assert "8 \N{MULTIPLICATION SIGN} 8 numbers (orange adds" in viewer.page.locator("#step-0 figcaption").inner_text()


@pytest.fixture
def near(viewer: Viewer) -> Viewer:
    """Scrolled to the photographs, which are drawn when somebody comes near them."""
    assert viewer.page.locator("#learned figure").count() == 0
    viewer.page.locator("#learned").scroll_into_view_if_needed()
    viewer.page.locator("#learned figure").first.wait_for()
    return viewer


def shown(viewer: Viewer) -> dict[str, tuple[Array, str]]:
    """By name: the kernel and what stands beside the name."""
    found = {}
    for figure in viewer.page.locator("#learned figure[data-kernel]").all():
        name, *said = figure.locator("figcaption").inner_text().split(" ", 1)
        numbers = np.array([float(text) for text in (figure.get_attribute("data-kernel") or "").split(",")])
        side = round(len(numbers) ** 0.5)
        found[name] = numbers.reshape(side, side), said[0]
    return found


def train(viewer: Viewer, k: int, position: int) -> None:
    viewer.field("trained-k").select_option(str(k))
    viewer.field("trained").evaluate(
        "(field, v) => { field.value = v; field.dispatchEvent(new Event('input')); }", position
    )


def test_fixed_kernels(near: Viewer) -> None:
    found = shown(near)
    for name, kernel in (("nearest", kernels.nearest), ("bilinear", kernels.bilinear), ("bicubic", kernels.bicubic)):
        want: Any = kernel(2, dtype=np.float64)[0, 0]
        np.testing.assert_allclose(found[name][0], want, atol=1e-12)
        assert found[name][1] == decibel(want)


@pytest.mark.parametrize("k", [3, 4, 8])
def test_training_is_gradient_descent(near: Viewer, k: int) -> None:
    train(near, k, 1)
    begins, said = shown(near)["untrained"]
    assert begins.shape == (k, k) and abs(begins).max() <= 1 / k and said == decibel(begins)
    want = course(begins)
    for position in (1, 3, 6, 9):
        train(near, k, position)
        kernel, said = shown(near)["trained"]
        np.testing.assert_allclose(kernel, want[STEPS[position]], atol=1e-6)
        assert said == decibel(want[STEPS[position]])
        says = near.page.locator(".learned-says").inner_text()
        sums = [kernel[r::2, c::2].sum() for r in (0, 1) for c in (0, 1)]  # what grey is multiplied by, phase by phase
        assert says.startswith(f"After {STEPS[position]} steps: {said.removesuffix(' dB')} dB, where bicubic has 26.85")
        assert f"now they differ by {100 * (max(sums) - min(sums)):.1f} %." in says
        assert ("is not divisible by stride 2" in says) == (k == 3)


def test_a_learned_kernel_does_better_than_a_formula(near: Viewer) -> None:
    train(near, 8, 9)
    found = {name: float(said.removesuffix(" dB")) for name, (_, said) in shown(near).items()}
    assert found["trained"] > found["bicubic"] > found["bilinear"] > found["nearest"] > found["untrained"]
