"""Pointing at a cell lights the cells of the trace, in every view, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
from explorer.browser.test_numbers import drawn, layers
from explorer.browser.viewer import Viewer

from tconv import Geometry
from tconv.explorer import Trace, trace
from tconv.geometry import Sizes

Pair = tuple[int, Sizes, int, Sizes]  # input channel and cell, output channel, tap


def all_pairs(seen: Trace) -> list[Pair]:
    """Every multiplication, the cropped ones included."""
    cells, taps = list(np.ndindex(seen.in_size)), list(np.ndindex(seen.geometry.kernel))
    linked = [pair for pair in np.ndindex(seen.weight.shape[:2]) if seen.connects(*pair)]
    return [(c, i, e, k) for c, e in linked for i in cells for k in taps]


def output_of(seen: Trace, pair: Pair) -> Sizes | None:
    """The output cell of a pair; None where it is cropped."""
    met = zip(seen.geometry.axes, pair[1], pair[3], strict=True)
    o = tuple(axis.stride * i + axis.dilation * k - axis.crop_lo for axis, i, k in met)
    return o if all(0 <= at < n for at, n in zip(o, seen.out_size, strict=True)) else None


def flat(index: Sizes, shape: Sizes) -> int:
    return int(np.ravel_multi_index(index, shape))


def lit_arrays(seen: Trace, pairs: list[Pair]) -> dict[str, set[int]]:
    """The cells of x, w and y that pairs touch, by the names of the plates."""
    found: dict[str, set[int]] = {f"x{c}": set() for c in range(len(seen.x))}
    found |= {f"y{e}": set() for e in range(len(seen.y))}
    found |= {f"w{c}.{e}": set() for c, e in np.ndindex(seen.weight.shape[:2])}
    for pair in pairs:
        c, i, e, k = pair
        found[f"x{c}"].add(flat(i, seen.in_size))
        found[f"w{c}.{e}"].add(flat(k, seen.geometry.kernel))
        if (o := output_of(seen, pair)) is not None:
            found[f"y{e}"].add(flat(o, seen.out_size))
    return found


def lit_tables(seen: Trace, pairs: list[Pair]) -> dict[str, set[int]]:
    """The entries of matrices and columns that pairs stand in."""
    found: dict[str, set[int]] = {"matrix": set(), "matrix_c": set()}
    found |= {f"column{e}": set() for e in range(len(seen.y))}
    for pair in pairs:
        c, i, e, k = pair
        found[f"column{e}"].add(flat(k, seen.geometry.kernel) * seen.x[0].size + flat(i, seen.in_size))
        if (o := output_of(seen, pair)) is not None:
            row, column = flat((e, *o), seen.y.shape), flat((c, *i), seen.x.shape)
            found["matrix"].add(row * seen.x.size + column)
            found["matrix_c"].add(column * seen.y.size + row)
    return found


SAME = {
    "neuron_full": "matrix",
    "convolved": "y",
    "interleaved": "y",
    "folded": "y",
    "up": "y",
    "phasetaps": "w",
    "target": "column",
}


def check(shown: dict[str, dict[str, Any]], seen: Trace, pairs: list[Pair], own: tuple[str, int] | None = None) -> None:
    """The lit cells of every plate that shows x, w, y, or pairs of them; `own` is pointed at, whatever its pairs."""
    lit = lit_arrays(seen, pairs) | lit_tables(seen, pairs)
    if own:
        lit[own[0]].add(own[1])
    checked = set()
    for name, plate in shown.items():
        card, _, key = name.partition("/")
        letters = key.rstrip("0123456789.")
        key = SAME.get(letters, letters) + key.removeprefix(letters)
        if key in lit and plate["roles"]:  # without roles it is drawn as dots
            turned = seen.weight[0, 0].size - 1 if (card, letters) == ("steps", "w") else None
            assert set(plate["lit"]) == ({turned - n for n in lit[key]} if turned is not None else lit[key]), name
            checked.add(card)
    assert checked >= {"layer", "gather", "steps", "phases", "forward"}


def some(seen: Trace, shape: Sizes) -> list[Sizes]:
    """Three indices of an array, anywhere."""
    cells = list(np.ndindex(shape))
    return [cells[n] for n in np.random.default_rng(seen.y.size).permutation(len(cells))[:3]]


def test_pointing_lights_the_trace(viewer: Viewer) -> None:
    for layer in drawn(layers(80), 25):
        seen, pairs = layer[0], all_pairs(layer[0])
        cells: list[tuple[str, str, int]] = []
        want: list[tuple[list[Pair], tuple[str, int] | None]] = []
        for e, *o in some(seen, seen.y.shape):
            at = flat(tuple(o), seen.out_size)
            met = [pair for pair in pairs if pair[2] == e and output_of(seen, pair) == tuple(o)]
            assert len(met) == len(next(s for s in seen.sums if (s.channel, s.o) == (e, tuple(o))).products)
            cells.append(("layer", f"y{e}", at))
            want.append((met, (f"y{e}", at)))
        for c, *i in some(seen, seen.x.shape):
            cells.append(("layer", f"x{c}", flat(tuple(i), seen.in_size)))
            want.append(([pair for pair in pairs if pair[:2] == (c, tuple(i))], None))
        for c, e, *k in some(seen, seen.weight.shape):
            if seen.connects(c, e):
                cells.append(("layer", f"w{c}.{e}", flat(tuple(k), seen.geometry.kernel)))
                want.append(([pair for pair in pairs if (pair[0], *pair[2:]) == (c, e, tuple(k))], None))
        for shown, (met, own) in zip(viewer.pointed(layer, cells), want, strict=True):
            check(shown, seen, met, own)


SMALL = trace(Geometry.from_torch(3, 2, 1, 1, ndim=2), [[2, 3], [1, 3]], [[0, 1, 1], [0, 1, 0], [1, 0, 1]])


def lit(viewer: Viewer, name: str) -> list[int]:
    cells: list[int] = viewer.read()[name]["lit"]
    return cells


def test_every_view_can_be_pointed_at(viewer: Viewer) -> None:
    """One cell of each kind of plate, and where it leads: output (1, 1), flat 5, has four products."""
    viewer.show(SMALL)
    for card, plate, cell in [
        ("stamp", "canvas0", 12),
        ("gather", "y0", 5),
        ("steps", "convolved0", 5),
        ("matrix", "vector_y", 5),
        ("phases", "interleaved0", 5),
        ("phases", "phase0.0", 0),
        ("col2im", "folded0", 5),
        ("forward", "forward0", 12),
        ("coverage", "coverage", 5),
        ("undo", "up0", 5),
    ]:
        viewer.point("layer", "y0", 0)
        viewer.point(card, plate, cell)
        assert lit(viewer, "layer/x0") == [0, 1, 2, 3], (card, plate)
        assert lit(viewer, "layer/w0.0") == [0, 2, 6, 8], (card, plate)
        assert viewer.text("sum") == "y[1,1] = 2*1 + 3*1 + 1*1 + 3*0 = 6"
    for card, plate, cell, name in [
        ("steps", "inserted0", 2, "x[0,1] = 3 stamps the kernel on 9 cells, 3 of them cropped"),
        ("steps", "padded0", 9, "x[0,1] = 3 stamps the kernel on 9 cells, 3 of them cropped"),
        ("steps", "w0.0", 8, "w[0,0] = 0 is used 4 times, for 3 cropped cells"),
        ("matrix", "vector_x", 1, "x[0,1] = 3 stamps the kernel on 9 cells, 3 of them cropped"),
        ("matrix", "matrix", 20, "2 * 1 = 2 goes to y[1,1]"),
        ("matrix", "cct", 5, "x[0,1] = 3 stamps the kernel on 9 cells, 3 of them cropped"),
        ("col2im", "column0", 32, "2 * 1 = 2 goes to y[1,1]"),
        ("col2im", "target0", 0, "2 * 0 = 0 goes to a cropped cell"),
        ("stamp", "canvas0", 2, "canvas[0,2] = 2*1 + 3*0 = 2: cropped by the padding"),
    ]:
        viewer.point("layer", "y0", 15)
        viewer.point(card, plate, cell)
        assert viewer.text("sum") == name, (card, plate)


def test_the_stamp_and_the_gathered_inputs_follow(viewer: Viewer) -> None:
    viewer.show(SMALL)
    viewer.point("layer", "x0", 3)
    shown = viewer.read()
    assert shown["stamp/stamp0"]["title"] == "stamp of x[1,1]"
    assert shown["stamp/stamp0"]["texts"] == ["0", "3", "3", "0", "3", "0", "3", "0", "3"]
    viewer.point("layer", "y0", 5)
    shown = viewer.read()
    assert shown["gather/met0.0"]["texts"] == ["3", "", "1", "", "", "", "3", "", "2"]
    assert shown["gather/product0.0"]["texts"] == ["0", "", "1", "", "", "", "3", "", "2"]


def test_the_kernel_is_drawn_where_it_is(viewer: Viewer) -> None:
    """The dashed frame: of the flipped kernel on the padded input, of the kernel on the output."""
    viewer.show(SMALL)
    padded = viewer.page.locator("#card-steps [data-plate=padded0] path.span")
    forward = viewer.page.locator("#card-forward [data-plate=forward0] path.span")
    viewer.point("layer", "y0", 5)
    assert padded.get_attribute("d") == "M50 64h90v90H50z"  # from cell (1, 1), three cells of 30
    assert forward.get_attribute("d") == ""
    viewer.point("layer", "x0", 3)
    assert forward.get_attribute("d") == "M80 94h90v90H80z"


def test_the_window_is_drawn_on_the_canvas(viewer: Viewer) -> None:
    viewer.show(SMALL)
    frame = viewer.page.locator("#card-stamp [data-plate=canvas0] path.frame").get_attribute("d")
    assert frame == "M50 64h120v120H50z"  # from cell (1, 1) to the end, with cells of 30
    roles = viewer.read()["stamp/canvas0"]["roles"]
    assert [n for n, role in enumerate(roles) if role == "cropped"] == [0, 1, 2, 3, 4, 5, 10, 15, 20]


def test_holes_are_named(viewer: Viewer) -> None:
    viewer.show(trace(Geometry(2, 3, 1, (0, -1)), [1, 2, 3], [1, -2], 5))
    shown = viewer.read()
    assert [n for n, role in enumerate(shown["layer/y0"]["roles"]) if role == "hole"] == [2, 5, 8]
    viewer.point("layer", "y0", 2)
    assert viewer.text("sum") == "y[2] = 5: nothing meets here, it holds the bias only (a hole)"
    viewer.point("layer", "y0", 1)
    assert viewer.text("sum") == "y[1] = 1*(-2) + 5 = 3"


def test_a_real_mouse(viewer: Viewer) -> None:
    viewer.show(SMALL)
    box = viewer.page.locator("#card-layer [data-plate=y0] .floor rect").nth(5).bounding_box()
    assert box
    viewer.page.mouse.move(5, 5)
    viewer.page.mouse.move(box["x"] + 9, box["y"] + 9)
    assert viewer.read()["layer/y0"]["here"] == [5] and lit(viewer, "layer/w0.0") == [0, 2, 6, 8]
