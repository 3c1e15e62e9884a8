"""The gradients of input and weight by the core, against their definition: exact, as all numbers are small integers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import CASES, IDS, Case

from tconv import Geometry, native
from tconv.native import _core

RUN = {"float32": _core.gradients_f32, "float64": _core.gradients_f64}
BACKENDS = [name for name in native.backends() if name != "reference"]

# What the catalogue is too small for: whole vectors and more, tiles that are not full, many columns, sums in parts.
LARGER = [
    Case("many pixels", Geometry.from_torch((3, 3), 2, 1, 1), (17, 41), 2, 19, 21),
    Case("no overlap", Geometry((2, 2), 2), (19, 33), 2, 37, 33),
    Case("few columns", Geometry.from_torch((4, 4), 2, 1), (23, 31), 1, 66, 3),
    Case("one output channel, stride 1", Geometry.from_torch((5,), 1, 2), (700,), 1, 34, 1),
    Case("one input channel", Geometry.from_torch((3,), 2, 1), (600,), 2, 1, 40),
    Case("few pixels, many weights", Geometry.from_torch((4, 4), 2, 1), (3, 5), 1, 300, 70),
    Case("small images", Geometry.from_torch((3, 3), 2, 1, 1), (4, 4), 40, 150, 20),
    Case("long runs", Geometry((16,), 8), (70,), 1, 20, 90),
    Case("very long kernel", Geometry((700,), 100), (9,), 2, 9, 3),
    Case("groups of many", Geometry.from_torch((3, 3), 2, 1, 1), (9, 33), 2, 66, 70, 2),
    Case("dilation of many", Geometry.from_torch((3, 3), 2, 2, 1, 2), (20, 31), 1, 30, 34),
    Case("3-D of many", Geometry((2, 2, 2), 2), (7, 9, 11), 1, 24, 20),
    Case("depthwise", Geometry.from_torch((4, 4), 2, 1), (19, 37), 2, 35, 35, 35),
    Case("depthwise, one channel", Geometry.from_torch((3, 3), 2, 1, 1), (40, 9), 3, 1, 1, 1),
    Case("depthwise, long rows in blocks", Geometry((16,), 8, 1, ((4, 4),)), (2500,), 2, 3, 3, 3),
    Case("depthwise, rows in blocks", Geometry((5, 4), (1, 3), (2, 1), ((2, -3), (1, 0))), (300, 70), 1, 2, 2, 2),
    Case("depthwise, many phases", Geometry.from_torch((64, 64), 32, 16), (3, 80), 1, 2, 2, 2),
    Case("depthwise, 3-D", Geometry.from_torch((4, 3, 2), 2, 1), (5, 9, 11), 2, 18, 18, 18),
    Case("depthwise, gaps", Geometry((2, 2), (5, 3), 2), (7, 20), 1, 9, 9, 9),
    Case("depthwise, too many taps", Geometry((130, 130), (2, 3)), (3, 4), 1, 2, 2, 2),
    Case("images in slabs", Geometry.from_torch((4, 4), 2, 1), (64, 64), 3, 9, 40),
    Case("rows in slabs", Geometry.from_torch((3, 3), 2, 1, 1), (400, 33), 2, 5, 70),
    Case("rows in slabs, negative crop", Geometry((3, 2), (2, 3), 1, ((-3, -1), (2, -5))), (500, 40), 1, 4, 40),
    Case("rows in slabs, much cropped", Geometry((3, 2), (2, 2), 1, ((90, 400), (1, 2))), (500, 40), 1, 4, 40),
]


class Held:
    """What comes back from the core, for `np.from_dlpack`."""

    def __init__(self, capsule: Any):
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def gradients(
    geometry: Geometry,
    x: Any,
    w: Any,
    g: Any,
    groups: int = 1,
    wanted: tuple[bool, bool] = (True, True),
    name: str = "",
) -> list[Any]:
    axes = [(axis.kernel, axis.stride, axis.dilation, axis.crop_lo) for axis in geometry.axes]
    found = RUN[x.dtype.name](x, w, g, axes, groups, *wanted, name, 2)
    return [None if one is None else np.from_dlpack(Held(one)) for one in found]


def none(found: list[Any]) -> bool:
    return all(one is None for one in found)


def defined(geometry: Geometry, x: Any, w: Any, g: Any, groups: int) -> tuple[Any, Any]:
    """The sums of the definition, tap by tap, over the outputs that there are."""
    of_x, of_w = np.zeros(x.shape), np.zeros(w.shape)
    inputs, outputs, sums = x.shape[1] // groups, w.shape[1], [0, *range(2, x.ndim)]
    for tap in product(*map(range, geometry.kernel)):
        met = [axis.stride * np.arange(n) + axis.dilation * k - axis.crop_lo
               for axis, n, k in zip(geometry.axes, x.shape[2:], tap, strict=True)]  # fmt: skip
        inside = [np.flatnonzero((o >= 0) & (o < size)) for o, size in zip(met, g.shape[2:], strict=True)]
        here = (slice(None), slice(None), *np.ix_(*inside))
        there = (slice(None), slice(None), *np.ix_(*(o[i] for o, i in zip(met, inside, strict=True))))
        for group in range(groups):
            a, b = slice(group * inputs, (group + 1) * inputs), slice(group * outputs, (group + 1) * outputs)
            some, kernel = g[there][:, b], w[(slice(a.start, a.stop), slice(None), *tap)]
            of_x[:, a][here] += np.einsum("nm...,cm->nc...", some, kernel)
            of_w[(a, slice(None), *tap)] += np.tensordot(x[:, a][here], some, (sums, sums))
    return of_x, of_w


def last(array: Any) -> Any:
    """The same, channels-last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def drawn(case: Case, dtype: str = "float32") -> tuple[Any, Any, Any]:
    x, w, _ = case.arrays(dtype)
    shape = (case.batch, case.out_channels, *case.geometry.output_size(case.in_size))
    return x, w, np.random.default_rng(1).integers(-4, 5, shape).astype(dtype)


CATALOGUE = [case for case in CASES if case.batch]


@pytest.mark.parametrize("layouts", ["first", "last", "mixed"])
@pytest.mark.parametrize("case", [*CATALOGUE, *LARGER], ids=lambda case: case.name)
def test_definition(case: Case, layouts: str) -> None:
    x, w, g = drawn(case)
    if layouts != "first":
        x = last(x)
    if layouts == "last":
        w, g = last(w), last(g)
    found = gradients(case.geometry, x, w, g, case.groups)
    for mine, expected in zip(found, defined(case.geometry, *drawn(case, "float64"), case.groups), strict=True):
        np.testing.assert_array_equal(mine, expected)
    assert found[1].strides == w.strides or layouts == "last"
    assert layouts != "last" or np.moveaxis(found[1], 1, -1).flags.c_contiguous
    assert found[0].strides == (np.ascontiguousarray(x).strides if layouts == "first" else last(x).strides)


def test_the_catalogue_is_whole() -> None:
    assert len(CATALOGUE) == len(IDS) - 1  # but for the empty batch


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend(name: str) -> None:
    for case in [*CATALOGUE, *LARGER[:9]]:
        for dtype in RUN:
            x, w, g = drawn(case, dtype)
            found = gradients(case.geometry, x, w, g, case.groups, name=name)
            for mine, expected in zip(found, defined(case.geometry, *drawn(case, "float64"), case.groups), strict=True):
                np.testing.assert_array_equal(mine, expected, err_msg=f"{case.name} {dtype}")


@pytest.mark.parametrize("depthwise", [False, True])
def test_drawn_layers(depthwise: bool) -> None:
    rng = np.random.default_rng(3)
    for _ in range(150):
        ndim, groups = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))
        kernel, stride, dilation = (tuple(map(int, rng.integers(1, most, ndim))) for most in (6, 5, 4))
        crop = tuple((int(rng.integers(-3, 5)), int(rng.integers(-3, 5))) for _ in range(ndim))
        in_size = tuple(map(int, rng.integers(1, 60 // ndim**2 + 2, ndim)))
        geometry = Geometry(kernel, stride, dilation, crop)
        batch, inputs, outputs = (int(n) for n in rng.integers(1, (4, 40, 40)))
        if depthwise:
            groups, inputs, outputs = inputs, 1, 1
        case = Case("drawn", geometry, in_size, batch, inputs * groups, outputs * groups, groups)
        if any(
            axis.full_size(n) <= axis.crop_lo + axis.crop_hi for axis, n in zip(geometry.axes, in_size, strict=True)
        ):
            continue
        x, w, g = drawn(case)
        if rng.integers(2):
            x, g = last(x), last(g)
        expected = defined(geometry, *drawn(case, "float64"), groups)
        for mine, right in zip(gradients(geometry, x, w, g, groups), expected, strict=True):
            np.testing.assert_array_equal(mine, right, err_msg=str(case))


def test_one_of_both() -> None:
    case = LARGER[0]
    x, w, g = drawn(case)
    both = gradients(case.geometry, x, w, g)
    of_x, nothing = gradients(case.geometry, x, w, g, wanted=(True, False))
    assert nothing is None
    np.testing.assert_array_equal(of_x, both[0])
    nothing, of_w = gradients(case.geometry, x, w, g, wanted=(False, True))
    assert nothing is None
    np.testing.assert_array_equal(of_w, both[1])


def test_gradients_that_repeat_or_have_gaps() -> None:
    case = LARGER[0]
    x, w, g = drawn(case)
    one = np.broadcast_to(np.float32(3), g.shape)
    wide = np.zeros((*g.shape[:-1], 2 * g.shape[-1]), np.float32)
    wide[..., ::2] = g
    gaps = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), np.float32)
    gaps[..., ::2] = x
    for given, by in ((x, one), (x, wide[..., ::2]), (gaps[..., ::2], g), (last(gaps)[..., ::2], last(g))):
        expected = defined(case.geometry, x.astype(float), w.astype(float), np.asarray(by, float), 1)
        for mine, right in zip(gradients(case.geometry, given, w, by), expected, strict=True):
            np.testing.assert_array_equal(mine, right)


def test_the_number_of_threads_changes_no_bit() -> None:
    case = LARGER[3]
    rng = np.random.default_rng(5)
    x, w, g = (rng.standard_normal(array.shape, np.float32) for array in drawn(case))
    axes = [(axis.kernel, axis.stride, axis.dilation, axis.crop_lo) for axis in case.geometry.axes]
    one, many = (_core.gradients_f32(x, w, g, axes, 1, True, True, "", threads) for threads in (1, 7))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(np.from_dlpack(Held(a)), np.from_dlpack(Held(b)))


def test_errors_of_long_sums_stay_small() -> None:
    rng = np.random.default_rng(7)
    case = Case("long", Geometry.from_torch((4, 4), 2, 1), (150, 150), 2, 6, 5)
    x, w, g = (rng.random(array.shape) for array in drawn(case))
    expected = defined(case.geometry, x, w, g, 1)
    for mine, right in zip(gradients(case.geometry, *(a.astype(np.float32) for a in (x, w, g))), expected, strict=True):
        assert np.abs(mine - right).max() < 2e-6 * np.abs(right).max()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"axes": [(3, 2, 1, 1)]}, "ranks do not fit the axes"),
        ({"axes": [(2, 2, 1, 1)] * 2}, "axis does not fit the weight"),
        ({"axes": [(3, 0, 1, 1)] * 2}, "axis does not fit the weight"),
        ({"groups": 2}, "arrays do not fit the layer"),
        ({"name": "none"}, "unknown or unsupported backend"),
        ({"name": "reference"}, "unknown or unsupported backend"),
        ({"w": np.ones((19, 21, 3, 6), np.float32)[..., ::2]}, "the weight is neither contiguous nor channels-last"),
        ({"x": np.ones((0, 19, 17, 41), np.float32)}, "an array is empty"),
        ({"g": np.ones((1, 21, 34, 82), np.float32)}, "arrays do not fit the layer"),
    ],
)
def test_what_does_not_fit(change: dict[str, Any], says: str) -> None:
    x, w, g = drawn(LARGER[0])
    call = {"x": x, "w": w, "g": g, "axes": [(3, 2, 1, 1)] * 2, "groups": 1, "name": ""} | change
    with pytest.raises(ValueError, match=says):
        _core.gradients_f32(call["x"], call["w"], call["g"], call["axes"], call["groups"], True, True, call["name"])


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_meets_no_zeros_beyond_a_border(number: float) -> None:
    bordered, whole = LARGER[0], LARGER[1]
    for case, left in ((bordered, True), (whole, False)):
        for place in (0, 1):
            arrays = drawn(case)
            arrays[place].flat[7] = number
            for given in (arrays, (last(arrays[0]), arrays[1], last(arrays[2]))):
                wanted = (place == 1, place == 0)
                found = gradients(case.geometry, *given, wanted=wanted)
                if left:
                    assert none(found) and not none(gradients(case.geometry, *given, wanted=wanted[::-1]))
                    continue
                with np.errstate(invalid="ignore"):  # the expected NaN
                    expected = defined(case.geometry, *(a.astype(float) for a in arrays), 1)
                np.testing.assert_array_equal(found[1 - place], expected[1 - place])
    x, w, g = drawn(bordered)
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), number, np.float32)
    wide[..., ::2] = x
    assert not none(gradients(bordered.geometry, wide[..., ::2], w, g))
    wide[..., 0] = number
    assert none(gradients(bordered.geometry, wide[..., ::2], w, g))


def test_sizes_beyond_the_fast_ways_are_left_to_others() -> None:
    x, g = np.ones((1, 8, 2), np.float32), np.ones((1, 8, 5), np.float32)
    assert none(gradients(Geometry(2, 2**40, 1, (0, 2**40 - 3)), x, np.ones((8, 8, 2), np.float32), g))
