"""The numbers on the page are those of tconv, in every view, for whatever layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any, TypeVar

import numpy as np
import pytest
from explorer.browser.viewer import Viewer, permalink
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tconv
from tconv import Geometry
from tconv.explorer import Trace, trace
from tconv.explorer.words import number
from tconv.forms import FORMS

T = TypeVar("T")

SEARCH = settings(
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


def drawn(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """That many, always the same ones; drawn before the page is asked, which is then asked for all of them at once."""
    found: list[T] = []

    @settings(SEARCH, max_examples=count)
    @given(strategy)
    def draw(one: T) -> None:
        found.append(one)

    draw()
    assert len(found) >= count
    return found


def written(values: Any) -> list[str]:
    return [number(value) for value in np.ravel(values)]


def test_every_view(viewer: Viewer) -> None:
    several = drawn(layers(), 150)
    visits = viewer.visits(several, "document.getElementById('message').textContent")
    for (seen, weight), (plates, message) in zip(several, visits, strict=True):
        assert message == "", permalink(seen, weight)
        for name, texts in expected(seen):
            assert name in plates and plates[name]["texts"] == texts, (name, permalink(seen, weight))


def expected(seen: Trace) -> Iterator[tuple[str, list[str]]]:
    """What each plate has to show."""
    yield from expected_arrays(seen)
    yield from expected_matrices(seen)
    yield from expected_parts(seen)
    yield from expected_windows(seen)
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


def expected_windows(seen: Trace) -> Iterator[tuple[str, list[str]]]:
    """Every cell a neuron; and the columns of C^T in the shape of y, where the first channels meet."""
    if max(seen.y.size, seen.x.size) <= 40:
        yield "neurons/neuron_x", written(seen.x)
        yield "neurons/neuron_y", written(seen.linear)
        yield (
            "neurons/neuron_full",
            [number(v) if on else "" for v, on in zip(seen.matrix.flat, seen.connected.flat, strict=True)],
        )
    first = next(e for e in range(len(seen.y)) if seen.connects(0, e))
    cells = seen.y[0].size
    rows = slice(first * cells, (first + 1) * cells)
    for i in range(min(seen.x[0].size, 9 if cells <= 150 else 2)):
        column, tapped = seen.matrix[rows, i], seen.connected[rows, i]
        yield f"windows/window{i}", [number(v) if on else "" for v, on in zip(column, tapped, strict=True)]
    if cells <= 150:
        up = seen.matrix[rows, : seen.x[0].size]
        small = up.T @ seen.linear[first].ravel()
        yield f"windows/image{first}", written(seen.linear[first])
        yield "windows/brought0", written(small)
        yield f"windows/again{first}", written(up @ small)
    yield "windows/flipped", written(seen.steps.flipped[0, first])
    yield "windows/padded0", written(seen.steps.padded[0])


def test_the_flipped_kernel_slides(viewer: Viewer) -> None:
    """The row of C^T that is looked at, over x with its zeros, gives y: for every output of the lecture's example."""
    seen = trace(Geometry.from_torch(3, 1, 0, ndim=2), [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]])
    viewer.show(seen)
    padded = np.array(seen.steps.padded[0], float)
    for o in np.ndindex(seen.out_size):
        viewer.point("layer", "y0", int(np.ravel_multi_index(o, seen.out_size)))
        slid = viewer.read()["windows/slid"]
        assert slid["title"] == f"row y[{o[0]},{o[1]}] of C^T"
        row = np.array([float(text or 0) for text in slid["texts"]]).reshape(padded.shape)
        assert (row * padded).sum() == seen.y[(0, *o)]


def test_neurons_share_their_edges(viewer: Viewer) -> None:
    """As many edges as entries of C^T, and the counts of a fully connected, a sparse and a shared layer."""
    seen = trace(Geometry.from_torch(2, 1, 0, ndim=2), [[1, 2], [3, 4]], [[1, 2], [3, 4]])
    viewer.show(seen)
    drawn = viewer.page.eval_on_selector_all(
        "#card-neurons .edges path", "all => all.map((each) => (each.getAttribute('d').match(/M/g) ?? []).length)"
    )
    assert sum(drawn) == int(seen.connected.sum()) == 16 and drawn[:4] == [4, 4, 4, 4]
    viewer.field("view").select_option("neurons")
    said = viewer.page.locator("#card-neurons .notes").inner_text()
    assert "has 36 weights; 16 of them are left here (sparse), and they share 4 numbers." in said
    viewer.point("neurons", "neuron_x", 0)
    lit = viewer.page.locator("#card-neurons .edge-lit").get_attribute("d")
    assert lit and lit.count("M") == 4  # one copy of the kernel leaves each input


@pytest.mark.parametrize("free", [0, 1.5])
def test_every_matrix_that_undoes_the_layer(viewer: Viewer, free: float) -> None:
    """B = pinv(A) + W (1 - A pinv(A)) for A = C^T, and B A = 1; and no B where inputs are lost."""
    seen = trace(Geometry.from_torch(3, 2, 1), [2, 3, 1], [1, 2, 3])
    viewer.show(seen)
    viewer.field("view").select_option("undo")
    viewer.field("free").evaluate("(field, v) => { field.value = v; field.dispatchEvent(new Event('input')); }", free)
    a = np.asarray(seen.matrix, float)
    pinv = np.linalg.pinv(a)
    want = pinv + free * np.ones(pinv.shape) @ (np.eye(len(a)) - a @ pinv)
    shown = viewer.read()
    got = [float(text) for text in shown["undo/family"]["texts"]]
    np.testing.assert_allclose(got, want.ravel(), rtol=2e-3, atol=1e-6)
    assert shown["undo/undoes"]["texts"] == written(np.eye(3, dtype=int))
    assert "Many matrices undo the layer" in viewer.page.locator("#card-undo .notes").inner_text()
    viewer.click("lost")
    assert viewer.state()["w"] == [1, -1] and viewer.state()["view"] == "undo"
    assert viewer.read()["undo/undoes"]["texts"] != written(np.eye(3, dtype=int))
    viewer.page.go_back()
    viewer.page.wait_for_function("() => tconv.page.state.w.length === 3")  # the layer of before
    viewer.click("lost")
    assert "No B undoes the layer" in viewer.page.locator("#card-undo .notes").inner_text()


def test_undo(viewer: Viewer) -> None:
    several = drawn(layers(60), 30)
    visits = viewer.visits(several, "tconv.page.cards.find((card) => card.name === 'undo').facts")
    for (seen, weight), (shown, facts) in zip(several, visits, strict=True):
        answer = tconv.undo(seen.geometry, seen.x, weight, seen.groups)
        for c in range(len(seen.x)):
            for name, want in (("transposed", answer.transposed[c]), ("recovered", answer.recovered[c])):
                got = [float(text) for text in shown[f"undo/{name}{c}"]["texts"]]
                np.testing.assert_allclose(got, want.ravel(), rtol=2e-3, atol=1e-6)
        assert (facts["rank"], facts["lost"]) == (answer.rank, answer.null_space_dimension)
        np.testing.assert_allclose(facts["transposed"], answer.transposed_residual, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(facts["recovered"], answer.recovered_residual, rtol=1e-6, atol=1e-9)


def test_what_follows_from_the_sizes(viewer: Viewer) -> None:
    several = drawn(layers(120), 25)
    texts = "['#sizes', '#card-coverage .notes'].map((place) => document.querySelector(place).textContent)"
    for (seen, _), (_, (sizes, said)) in zip(several, viewer.visits(several, texts), strict=True):
        seen_at_most = zip(tconv.receptive_field([seen.geometry]), seen.in_size, strict=True)
        field = "x".join(str(min(pair)) for pair in seen_at_most)
        assert f"An output cell sees {field} input cells at most." in sizes
        macs = seen.geometry.macs(seen.in_size, len(seen.x), len(seen.y), seen.groups)
        assert f"{macs} multiplications, none with an inserted zero" in sizes
        counted = seen.geometry.coverage(seen.in_size)
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
    viewer.restore(f"n=4&k=3&s=2&p=1&op=1&d=1&c=1,1,1&stack={stack}&view=all")
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
