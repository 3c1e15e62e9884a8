"""The numbers on the page are those of tconv, in every view, for whatever layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from explorer.browser.viewer import Viewer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tconv
from tconv import Geometry
from tconv.explorer import Trace, trace
from tconv.explorer.words import number
from tconv.forms import FORMS

SEARCH = settings(
    max_examples=220,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # the layers are small as they are, and shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def layers(draw: st.DrawFn, most: int = 200) -> tuple[Trace, Any]:
    """A layer in one to three axes, with its weight as it is given where there are groups."""
    ndim = draw(st.sampled_from([1, 1, 2, 2, 2, 3]))
    size = {1: 6, 2: 4, 3: 2}[ndim]

    def several(largest: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(1, largest), min_size=ndim, max_size=ndim)))

    in_size, kernel, stride, dilation = several(size), several(4 if ndim < 3 else 2), several(3), several(2)
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    channels = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    crop = tuple((draw(st.integers(-2, 3)), draw(st.integers(-2, 3))) for _ in range(ndim))
    geometry = Geometry(kernel, stride, dilation, crop)
    if any(n - lo - hi < 1 for n, (lo, hi) in zip(geometry.full_size(in_size), crop, strict=True)):
        geometry = Geometry(kernel, stride, dilation)
    if channels[1] * groups * max(prod(geometry.full_size(in_size)), prod(geometry.output_size(in_size))) > most:
        geometry = Geometry(kernel)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    x, w = rng.integers(-4, 5, (channels[0], *in_size)), rng.integers(-4, 5, (*channels, *kernel))
    bias = rng.integers(-4, 5, channels[1] * groups) if draw(st.booleans()) else None
    if draw(st.sampled_from([False, False, True])):
        x = x * 0.5  # no ties at the fourth digit, which Python and JavaScript round apart
    return trace(geometry, x, w, bias, groups), w


def written(values: Any) -> list[str]:
    return [number(value) for value in np.ravel(values)]


@SEARCH
@given(layers())
def test_every_view(viewer: Viewer, layer: tuple[Trace, Any]) -> None:
    seen, weight = layer
    viewer.show(seen, weight)
    shown = {name: plate["texts"] for name, plate in viewer.read().items()}
    assert viewer.text("message") == ""
    for name, texts in expected(seen):
        assert shown.get(name) == texts, name


def expected(seen: Trace) -> Iterator[tuple[str, list[str]]]:
    """What each plate has to show."""
    yield from expected_arrays(seen)
    yield from expected_matrices(seen)
    yield from expected_parts(seen)
    counted = seen.geometry.coverage(seen.in_size)
    yield "coverage/coverage", [str(counted.count_at(o)) for o in np.ndindex(seen.out_size)]


def expected_arrays(seen: Trace) -> Iterator[tuple[str, list[str]]]:
    steps = seen.steps
    for c, x in enumerate(seen.x):
        for card in ("layer", "forward", "undo"):
            yield f"{card}/x{c}", written(x)
        yield f"steps/inserted{c}", written(steps.inserted[c])
        yield f"steps/padded{c}", written(steps.padded[c])
        yield f"forward/back{c}", written(seen.pairing.back[c])
        for e in range(len(seen.y)):
            if seen.connects(c, e):
                for card in ("layer", "gather", "forward"):
                    yield f"{card}/w{c}.{e}", written(seen.weight[c, e])
                yield f"steps/w{c}.{e}", written(steps.flipped[c, e])
    for e, y in enumerate(seen.y):
        yield f"layer/y{e}", written(y)
        yield f"gather/y{e}", written(y)
        for name in ("steps/convolved", "phases/interleaved", "col2im/folded", "undo/y"):
            yield f"{name}{e}" if not name.startswith("undo") else f"undo/up{e}", written(seen.linear[e])
        yield f"stamp/canvas{e}", canvas(seen, e)
        pads = [(max(lo, 0), max(hi, 0)) for lo, hi in seen.geometry.crop]
        yield f"forward/forward{e}", written(np.pad(seen.linear[e], pads))


def canvas(seen: Trace, e: int) -> list[str]:
    """The canvas, extended to where the window reaches beyond it; blank where no stamp is."""
    full = seen.canvas.shape[1:]
    areas = [range(min(0, kept.start), max(n, kept.stop)) for kept, n in zip(seen.kept, full, strict=True)]
    on = [all(0 <= p < n for p, n in zip(place, full, strict=True)) for place in product(*areas)]
    return [
        number(seen.canvas[(e, *place)]) if real and seen.covered[place] else ""
        for place, real in zip(product(*areas), on, strict=True)
    ]


def expected_matrices(seen: Trace) -> Iterator[tuple[str, list[str]]]:
    up, tapped = seen.matrix, seen.connected
    entries = np.where(tapped, np.vectorize(number, otypes=[object])(up), "")
    yield "matrix/matrix", list(entries.ravel())
    yield "matrix/matrix_c", list(entries.T.ravel())
    yield "matrix/vector_x", written(seen.x)
    yield "matrix/vector_y", written(seen.linear)
    if len(up) <= 150:
        yield "matrix/ctc", written(up @ up.T)
        yield "matrix/identity_ctc", written(np.eye(len(up), dtype=int))
    yield "matrix/cct", written(up.T @ up)
    yield "matrix/identity_cct", written(np.eye(up.shape[1], dtype=int))


def expected_parts(seen: Trace) -> Iterator[tuple[str, list[str]]]:
    for n, part in enumerate(seen.parts[:16]):
        for e, values in enumerate(part.values):
            yield f"phases/phase{n}.{e}", written(values)
    places = seen.column.goes_to.ravel()
    targets = [",".join(map(str, np.unravel_index(to, seen.out_size))) if to >= 0 else "✂" for to in places]
    for e, products in enumerate(seen.column.products):
        yield f"col2im/column{e}", written(products)
        yield f"col2im/target{e}", targets


@settings(SEARCH, max_examples=30)
@given(layers(60))
def test_undo(viewer: Viewer, layer: tuple[Trace, Any]) -> None:
    seen, weight = layer
    viewer.show(seen, weight)
    answer = tconv.undo(seen.geometry, seen.x, weight, seen.groups)
    shown = viewer.read()
    for c in range(len(seen.x)):
        for name, want in (("transposed", answer.transposed[c]), ("recovered", answer.recovered[c])):
            got = [float(text) for text in shown[f"undo/{name}{c}"]["texts"]]
            np.testing.assert_allclose(got, want.ravel(), rtol=2e-3, atol=1e-6)
    facts = viewer.page.evaluate("() => tconv.page.cards.find((card) => card.name === 'undo').facts")
    assert (facts["rank"], facts["lost"]) == (answer.rank, answer.null_space_dimension)
    np.testing.assert_allclose(facts["transposed"], answer.transposed_residual, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(facts["recovered"], answer.recovered_residual, rtol=1e-6, atol=1e-9)


@settings(SEARCH, max_examples=25)
@given(layers(120))
def test_what_follows_from_the_sizes(viewer: Viewer, layer: tuple[Trace, Any]) -> None:
    seen, weight = layer
    viewer.show(seen, weight)
    sizes = viewer.text("sizes")
    field = "x".join(map(str, tconv.receptive_field([seen.geometry])))
    assert f"An output cell sees {field} input cells at most." in sizes
    macs = seen.geometry.macs(seen.in_size, len(seen.x), len(seen.y), seen.groups)
    assert f"{macs} multiplications, none with an inserted zero" in sizes
    counted = seen.geometry.coverage(seen.in_size)
    said = viewer.page.locator("#card-coverage .notes").inner_text()
    assert ("Holes" in said) == bool(counted.hole_count)
    assert ("Uneven" in said) == (not counted.is_even)
    if not counted.is_even:
        assert f"with period {'x'.join(map(str, counted.period))}" in said


def test_worked_examples(viewer: Viewer) -> None:
    w, counting = [[0, 1, 1], [0, 1, 0], [1, 0, 1]], [[0, 1], [2, 3]]
    for x, kernel, stride, padding, y in [
        ([[2, 3], [1, 3]], w, 1, 0, "0 2 5 3 0 3 7 3 2 4 5 3 1 3 1 3"),
        (counting, counting, 1, 0, "0 0 1 0 4 6 4 12 9"),
        (counting, counting, 1, 1, "4"),
        (counting, counting, 2, 0, "0 0 0 1 0 0 2 3 0 2 0 3 4 6 6 9"),
    ]:
        viewer.show(trace(Geometry.from_torch(np.shape(kernel), stride, padding), x, kernel))
        assert viewer.y() == y.split()


@pytest.mark.parametrize(
    ("stack", "period"), [("3.2.1.1.0,4.2.1.1.1", None), ("3.2.1.1.0,3.2.1.1.0", 4), ("4.2.1.1.1,4.2.1.1.1", None)]
)
def test_a_stack_of_layers(viewer: Viewer, stack: str, period: int | None) -> None:
    """Counted by running the layers on ones."""
    viewer.restore(f"n=4&k=3&s=2&p=1&op=1&d=1&c=1,1,1&stack={stack}")
    reached = np.ones((1, 1, 4), np.int64)
    for layer in stack.split(","):
        kernel, stride, dilation, lo, hi = map(int, layer.split("."))
        reached = FORMS["gather"](Geometry(kernel, stride, dilation, (lo, hi)), reached, np.ones((1, 1, kernel), int))
    shown = viewer.read()["coverage/stacked"]
    assert shown["texts"] == written(reached)
    assert shown["title"] == "stack of 2 layers, 4 → 8 → 16"
    said = viewer.page.locator("#card-coverage .notes p").nth(1).inner_text()
    layers = [tuple(map(int, layer.split("."))) for layer in stack.split(",")]
    (field,) = tconv.receptive_field([Geometry(k, s, d, (lo, hi)) for k, s, d, lo, hi in layers])
    assert said.endswith(f"An output cell sees {field} input cells at most.")
    assert said.startswith("Uneven" if period else "Even") and (period is None or f"with period {period}:" in said)
