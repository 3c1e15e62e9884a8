"""The trace as text: golden files at 80 columns, and what must hold at any width."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO

import numpy as np
import pytest
from explorer.layers import cases
from hypothesis import given, settings
from rich.console import Console

from tconv import Geometry, errors
from tconv.explorer import Trace, trace
from tconv.explorer.scenes import SCENES
from tconv.explorer.sections import SECTIONS
from tconv.explorer.text import text
from tconv.explorer.words import number
from tconv.forms import FORMS

W = [[0, 1, 1], [0, 1, 0], [1, 0, 1]]
CASES: dict[str, tuple[Callable[[], Trace], str]] = {
    "worked_example": (lambda: trace(Geometry((3, 3)), [[2, 3], [1, 3]], W), "all"),
    "stride_2_cropped": (
        lambda: trace(Geometry.from_torch(3, 2, 1, 1, ndim=2), [[2, 3], [1, 3]], W),
        "all",
    ),
    "one_axis": (lambda: trace(Geometry.from_torch(3, 2, 1, 1), [1, 2, 3], [1, 2, 3]), "all"),
    "holes_and_bias": (lambda: trace(Geometry(2, 3, 1, (0, -1)), [1, 2, 3], [1, -2], 5), "all"),
    "beyond_the_canvas": (
        lambda: trace(
            Geometry((2, 3), (2, 1), (2, 1), ((1, -1), (0, 0))), [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [-4, 5, 6]]
        ),
        "scatter",
    ),
    "channels_and_floats": (
        lambda: trace(Geometry(3, 2), [[1, 2, 3], [0.5, 0.25, 1 / 3]], np.arange(12).reshape(2, 2, 3) - 4, [1, 0.5]),
        "all",
    ),
    "too_wide": (lambda: trace(Geometry(3, 2), np.arange(30), [1, 2, 1]), "scatter"),
    "many": (lambda: trace(Geometry((3, 3), 2), np.ones((4, 4), int), W), "all"),
}


def printed(seen: Trace, form: str = "all", width: int = 80, colour: bool = False) -> str:
    console = Console(
        file=StringIO(),
        width=width,
        highlight=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    with console.capture() as captured:
        console.print(text(seen, form))
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    case, form = CASES[name]
    golden(name, printed(case(), form))


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", CASES)
def test_fits_the_page(name: str, width: int) -> None:
    case, form = CASES[name]
    assert max(map(len, printed(case(), form, width).splitlines())) <= width


def test_every_form_has_a_section() -> None:
    assert list(SECTIONS) == [*SCENES, "agreement"] and set(FORMS) <= set(SECTIONS)


@pytest.mark.parametrize("form", SECTIONS)
def test_one_section_alone(form: str) -> None:
    seen = CASES["one_axis"][0]()
    alone = printed(seen, form.replace("_", "-"))
    whole = printed(seen)
    assert alone.count("─ ") == 0
    assert f"\n{form}: " in alone and f"\n{form}: " in whole
    assert [other for other in SECTIONS if f"\n{other}: " in alone] == [form]


def test_unknown_form() -> None:
    with pytest.raises(errors.TconvError) as caught:
        text(CASES["one_axis"][0](), "fft")
    assert str(caught.value) == (
        "form 'fft' is unknown; choose all or one of scatter, gather, taps, zero_insert, matrix, col2im, phases, "
        "adjoint, forward, window, coverage, windows, neurons, undoing, agreement"
    )


def test_three_axes_do_not_fit() -> None:
    with pytest.raises(errors.RankError) as caught:
        text(trace(Geometry((1, 1, 1)), np.ones((2, 2, 2)), np.ones((1, 1, 1))))
    assert str(caught.value) == (
        "3 spatial axes do not fit into text; explain a layer with 1 or 2 (each axis works alike), or draw this one: "
        "svg() or html()"
    )


def test_only_connected_channels_have_a_kernel() -> None:
    seen = trace(Geometry(2, 2), np.ones((2, 2), int), np.ones((2, 1, 2), int), groups=2)
    assert "w[0,0]" in printed(seen, "phases") and "w[0,1]" not in printed(seen, "phases")


def test_plain_text_has_no_colour_and_the_terminal_has() -> None:
    seen = CASES["holes_and_bias"][0]()
    assert "\x1b" not in printed(seen)
    assert "\x1b[31m5°" in printed(seen, colour=True).replace("  ", "").replace(" ", "")


def test_long_lists_are_cut_in_all_and_whole_alone() -> None:
    seen = CASES["many"][0]()
    assert "... and 41 more; --form gather shows them all" in printed(seen)
    assert "more; --form" not in printed(seen, "gather")
    assert printed(seen, "gather").count("y[") == 81


def test_disagreement_stands_out() -> None:
    right = CASES["one_axis"][0]()
    wrong = Trace(right.geometry, right.x, right.weight, None, right.y + 1)
    assert "These do not compute the y above: scatter, " in printed(wrong, "agreement")
    assert "✗ gather differs by 1" in printed(wrong, "agreement")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
def test_neurons_list_every_edge(seen: Trace) -> None:
    """As many edges as C^T has entries, under the input that they leave, with the number that they carry."""
    said = " ".join(printed(seen, "neurons", 200).split())
    assert len(re.findall(r"w\[[\d,]+\] \(?-?[\d.]+\)? to y\[", said)) == seen.connected.sum()
    full, sparse = seen.matrix.size, seen.connected.sum()
    assert said.endswith(f"Fully connected {full} weights, sparse {sparse}, shared {seen.weight.size}.")
    assert said.count("no edge: all are cropped") == (~seen.connected.any(0)).sum()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
def test_windows_give_the_output(seen: Trace) -> None:
    """Each slid kernel says the sum that it gives: the output of the first connected channels."""
    one = trace(seen.geometry, seen.x[:1], seen.weight[:1, :1])
    said = printed(one, "windows", 160)
    assert re.findall(r"y\[[\d,]+\] = (\S+)", said) == [number(value) for value in one.linear.ravel()]
    assert said.count(" of C ") + said.count(" of C\n") >= one.x.size


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
def test_forward_writes_out_its_sums(seen: Trace) -> None:
    if len(seen.x) > 1 or len(seen.y) > 1:
        return
    said = printed(seen, "forward", 400)
    sums = re.findall(r"C y\[[\d,]+\] = (.*?) = (\S+)", said)
    assert [value for _, value in sums] == [number(value) for value in seen.pairing.back.ravel()]
    for products, value in sums:
        assert np.isclose(eval(products), float(value), rtol=2e-3, atol=1e-3)


def test_window_and_coverage_say_their_numbers() -> None:
    said = printed(CASES["stride_2_cropped"][0](), "window")
    assert "canvas 5, 1 cut off at the start, 0 cut off at the end: output 4" in said
    said = printed(CASES["holes_and_bias"][0](), "window")
    assert "canvas 8, 0 cut off at the start, 1 added at the end: output 9" in said
    said = printed(CASES["holes_and_bias"][0](), "coverage")
    assert "1  1  0°  1  1  0°  1  1  0°" in re.sub(r" {2,}", "  ", said) and "nothing meets at 3 cells" in said


def test_undoing_asks_whether_there_is_a_way_back() -> None:
    said = " ".join(printed(CASES["one_axis"][0](), "undoing").split())
    assert "Is A^g A = I? yes. A^g A is the identity, rank 3 of 3: every B = A^g + W (I - A A^g) gives every x" in said
    lost = trace(Geometry.from_torch(2, padding=1), [1, 2, 3], [1, -1])
    said = " ".join(printed(lost, "undoing").split())
    assert "Is A^g A = I? no. A^g A is not the identity: A is 2x3 with rank 2, inputs are lost, and no B" in said
    assert "B A" not in said.partition("Is A^g A")[2]
    square = trace(Geometry(1), [1, 2], [2])
    assert "exactly one gives every x back" in " ".join(printed(square, "undoing").split())
