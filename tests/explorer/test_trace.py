"""The trace: every step of every form leads to the same output, and the worked examples come out as on paper."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from explorer.layers import cases
from hypothesis import given, settings

from tconv import Geometry, errors
from tconv.explorer import Trace, trace
from tconv.forms import col2im
from tconv.forms.contract import window

X, W = [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]]
COUNTING = [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("x", "w", "stride", "padding", "y"),
    [
        (X, W, 1, 0, [[0, 2, 5, 3], [0, 3, 7, 3], [2, 4, 5, 3], [1, 3, 1, 3]]),
        (COUNTING, COUNTING, 1, 0, [[0, 0, 1], [0, 4, 6], [4, 12, 9]]),
        (COUNTING, COUNTING, 1, 1, [[4]]),
        (COUNTING, COUNTING, 2, 0, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]),
    ],
)
def test_worked_examples(x: Any, w: Any, stride: int, padding: int, y: Any) -> None:
    seen = trace(Geometry.from_torch(np.shape(w), stride, padding), x, w)
    assert seen.y.tolist() == [y]
    assert_steps_agree(seen)


def test_matrix_of_the_worked_example() -> None:
    seen = trace(Geometry((3, 3)), X, W)
    stamp = [0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0]  # the kernel in rows of 4
    columns = [stamp + [0] * 4, [0, *stamp, 0, 0, 0], [0] * 4 + stamp, [0] * 5 + stamp[:-1]]
    assert seen.matrix.T.tolist() == columns
    image = np.array([1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0])
    assert (image @ seen.matrix).tolist() == [2, 3, 1, 3]
    assert (seen.matrix @ [2, 3, 1, 3]).tolist() != image.tolist()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases())
def test_every_step_leads_to_the_same_output(seen: Trace) -> None:
    assert_steps_agree(seen)


def assert_steps_agree(seen: Trace) -> None:
    """Put together y from the shown steps of each form."""
    linear = seen.y if seen.bias is None else seen.y - seen.bias.reshape(-1, *[1] * seen.geometry.ndim)
    taps = np.zeros_like(seen.canvas)
    for stamp in seen.taps:
        taps[(..., *stamp.slices)] += stamp.values
    interleaved = np.zeros_like(linear)
    for part in seen.parts:
        interleaved[(..., *part.outputs)] = part.values
    column = seen.column.products[None, None]
    steps = {
        "linear": seen.linear,
        "stamps": window(seen.canvas[None, None], seen.geometry.crop)[0, 0],
        "taps": window(taps[None, None], seen.geometry.crop)[0, 0],
        "steps": seen.steps.result,
        "matrix": (seen.matrix @ seen.x.ravel()).reshape(linear.shape),
        "column": col2im.fold(seen.geometry, column, seen.in_size)[0, 0],
        "parts": interleaved,
    }
    for name, value in steps.items():
        np.testing.assert_allclose(value, linear, rtol=1e-12, atol=1e-12, err_msg=name)
    for each in seen.sums:
        total = sum(p.x * p.w for p in each.products) + (each.bias or 0)
        assert total == pytest.approx(each.value, abs=1e-9)
    assert all(each.agrees for each in seen.agreement)
    assert seen.pairing.left == pytest.approx(seen.pairing.right, abs=1e-9)
    assert (seen.connected | (seen.matrix == 0)).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases())
def test_columns_say_where_each_product_goes(seen: Trace) -> None:
    folded = np.zeros((len(seen.y), int(np.prod(seen.out_size))), seen.y.dtype)
    for k in np.ndindex(seen.geometry.kernel):
        for i in np.ndindex(seen.in_size):
            if (to := seen.column.goes_to[(*k, *i)]) >= 0:
                folded[:, to] += seen.column.products[(slice(None), *k, *i)]
    np.testing.assert_allclose(folded.reshape(seen.linear.shape), seen.linear, atol=1e-12)


def test_uncovered_cells_are_those_without_a_sum() -> None:
    seen = trace(Geometry(2, stride=3, crop=(0, -1)), [1, 2, 3], [1, -2], 5)
    assert [each.o[0] for each in seen.sums if not each.products] == [2, 5, 8]
    assert np.flatnonzero(~seen.covered).tolist() == [2, 5]  # 8 lies beyond the canvas
    assert seen.kept == (range(0, 9),)
    assert seen.y.tolist() == [[6, 3, 5, 7, 1, 5, 8, -1, 5]]


@pytest.mark.parametrize("x_shape", [(2, 3), (1, 2, 3), (1, 1, 2, 3)])
@pytest.mark.parametrize("w_shape", [(2, 2), (1, 1, 2, 2)])
def test_channel_axes_may_be_left_out(x_shape: tuple[int, ...], w_shape: tuple[int, ...]) -> None:
    seen = trace(Geometry((2, 2)), np.ones(x_shape), np.ones(w_shape))
    assert (seen.x.shape, seen.weight.shape, seen.y.shape) == ((1, 2, 3), (1, 1, 2, 2), (1, 3, 4))


def test_numbers_are_64_bit() -> None:
    for dtype, wide in product((np.int8, np.uint8, bool, np.float16, np.float32), (np.int64,)):
        seen = trace(Geometry(2), np.ones(3, dtype), np.ones(2, np.int32))
        assert seen.y.dtype == (np.float64 if np.dtype(dtype).kind == "f" else wide)


def test_large_integers_become_floats_before_they_wrap() -> None:
    seen = trace(Geometry(2), [2**40, 3], [2**40, 1])
    assert seen.y.tolist() == [[2.0**80, 2.0**40 + 3 * 2.0**40, 3.0]]
    assert all(each.agrees for each in seen.agreement)


@pytest.mark.parametrize(
    ("geometry", "x", "w", "law", "message"),
    [
        (
            Geometry((1, 1, 1, 1)),
            np.ones((2, 2, 2, 2)),
            np.ones((1, 1, 1, 1)),
            errors.RankError,
            "4 spatial axes do not fit on a page; explain a layer with 1 to 3 (each axis works alike)",
        ),
        (
            Geometry(2),
            np.ones((2, 1, 3)),
            np.ones(2),
            errors.RankError,
            "x has shape (2, 1, 3), a batch of 2; explain one sample, x[0]",
        ),
        (
            Geometry(2),
            [1.0, np.nan],
            [1.0, 1.0],
            errors.DtypeError,
            "x has a NaN, or a number beyond 1e60; only smaller ones can be explained",
        ),
        (
            Geometry(2),
            [1j],
            [1.0, 1.0],
            errors.DtypeError,
            "x has dtype complex128; only integers and floats can be explained",
        ),
        (
            Geometry((2, 2)),
            np.ones((20, 20)),
            np.ones((2, 2)),
            errors.TooLargeError,
            "the output has 441 cells, more than the 400 that can be read; take a smaller input or fewer channels: "
            "the pattern repeats",
        ),
        (
            Geometry(2, dilation=3000, crop=(1500, 1490)),
            [1, 2],
            [1, 2],
            errors.TooLargeError,
            "the canvas before the crop has 3002 cells, more than the 1600 that can be read; take a smaller input or "
            "fewer channels: the pattern repeats",
        ),
    ],
)
def test_refusals(geometry: Geometry, x: Any, w: Any, law: type[errors.TconvError], message: str) -> None:
    with pytest.raises(law) as caught:
        trace(geometry, x, w)
    assert str(caught.value) == message


def test_wrong_shapes_are_left_to_the_forms() -> None:
    with pytest.raises(errors.ChannelError):
        trace(Geometry(2), np.ones((2, 3)), np.ones(2))
    with pytest.raises(errors.KernelError):
        trace(Geometry(2), np.ones(3), np.ones(3))
    with pytest.raises(errors.BiasError):
        trace(Geometry(2), np.ones(3), np.ones(2), [1, 2])
    with pytest.raises(errors.InputSizeError):
        trace(Geometry(2), np.ones(0), np.ones(2))
    with pytest.raises(errors.RankError):
        trace(Geometry(2), np.ones(3), np.ones((2, 2)))


def test_groups_are_spread_out_and_their_zeros_are_no_products() -> None:
    x, w = np.arange(1, 9).reshape(4, 2), np.arange(1, 17).reshape(4, 2, 2)
    seen = trace(Geometry(2, stride=2), x, w, groups=2)
    plain = [trace(Geometry(2, stride=2), x[part], w[part]) for part in (slice(0, 2), slice(2, 4))]
    assert seen.y.tolist() == np.concatenate([each.y for each in plain]).tolist()
    assert seen.weight.shape == (4, 4, 2)
    assert [p.channel for p in seen.sums[-1].products] == [2, 3]
    assert seen.connected.sum() == sum(each.connected.sum() for each in plain)
    assert_steps_agree(seen)


def test_groups_that_do_not_divide() -> None:
    with pytest.raises(errors.ChannelError) as caught:
        trace(Geometry(2), np.ones((3, 2)), np.ones((3, 1, 2)), groups=2)
    assert str(caught.value) == "groups 2 does not divide the 3 input channels; choose a divisor of 3"


def test_three_axes() -> None:
    rng = np.random.default_rng(0)
    geometry = Geometry((2, 3, 2), (2, 1, 2), 1, ((0, 1), (1, 0), (0, -1)))
    assert_steps_agree(trace(geometry, rng.integers(-3, 4, (2, 2, 3)), rng.integers(-3, 4, (2, 3, 2))))


def test_disagreement_is_reported() -> None:
    right = trace(Geometry(2), [1, 2], [1, 1])
    wrong = Trace(right.geometry, right.x, right.weight, None, right.y + 1)
    assert {(each.difference, each.agrees) for each in wrong.agreement} == {(1.0, False)}
