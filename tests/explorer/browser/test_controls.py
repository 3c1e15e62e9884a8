"""Every control does what it says, within the limits of the geometry's laws; what breaks a law is explained."""

from __future__ import annotations

import re

import numpy as np
import pytest
from explorer.browser.viewer import VIEWS, Viewer
from playwright.sync_api import expect

import tconv
from tconv import Geometry
from tconv.explorer import trace

LINE = "n=3&k=3&s=2&p=1&op=1&d=1&c=1,1,1&x=1,2,3&w=1,2,1"


@pytest.mark.parametrize(
    ("name", "value", "size"),
    [("n0", 4, "8x8"), ("k0", 5, "6x6"), ("s0", 3, "5x5"), ("lo0", 0, "6x6"), ("op0", 0, "3x3"), ("d0", 2, "6x6")],
)
def test_numbers_set_the_geometry(viewer: Viewer, name: str, value: int, size: str) -> None:
    viewer.type(name, value)
    state = viewer.state()
    padding = list(zip(state["lo"], state["hi"], strict=True))
    geometry = Geometry.from_torch(state["k"], state["s"], padding, state["op"], state["d"])
    assert "x".join(map(str, geometry.output_size(state["n"]))) == size
    assert len(viewer.y()) == eval(size.replace("x", "*"))
    x, w = np.reshape(state["x"], (1, 1, *state["n"])), np.reshape(state["w"], (1, 1, *state["k"]))
    assert viewer.y() == [str(v) for v in tconv.forms.FORMS["gather"](geometry, x, w).ravel()]


def test_limits_follow_the_laws(viewer: Viewer) -> None:
    """Input 2, kernel 3, stride 2, padding 1, output_padding 1: an output of 4."""
    limits = {
        name: [int(viewer.field(f"{name}0").get_attribute(end) or "") for end in ("min", "max")]
        for name in ("n", "k", "s", "lo", "op", "d")
    }
    assert limits == {"n": [1, 32], "k": [1, 9], "s": [1, 8], "lo": [-32, 4], "op": [0, 1], "d": [1, 8]}
    viewer.type("s0", 5)
    assert viewer.field("op0").get_attribute("max") == "4"


@pytest.mark.parametrize(
    ("name", "value", "law", "repair", "state"),
    [
        (
            "op0",
            3,
            "height and width: output_padding 3 must be smaller than max(stride 2, dilation 1). It only "
            "chooses among the sizes that one stride leaves open.",
            "set output_padding to 1",
            {"op": [1, 1]},
        ),
        ("op0", 3, "height and width: output_padding 3 must be", "set stride to 4", {"s": [4, 4]}),
        (
            "lo0",
            9,
            "height and width: the output would have -12 cells, 2*(2-1) + 1*(3-1) + 1 - 9 - 9 + 1; it must "
            "have at least 1.",
            "set padding to 2",
            {"lo": [2, 2], "hi": [2, 2]},
        ),
        ("g", 2, "groups 2 must divide the 1 input channels and the 1 output channels.", "set groups to 1", {"g": 1}),
        ("g", 2, "groups 2 must divide", "set both channel counts to 2", {"ci": 2, "co": 2}),
    ],
)
def test_a_broken_law_is_explained_and_repaired(
    viewer: Viewer, name: str, value: int, law: str, repair: str, state: dict[str, object]
) -> None:
    before = viewer.y()
    viewer.type(name, value)
    assert law in viewer.text("problems")
    assert "Shown below is the last layer that works." in viewer.text("problems")
    assert viewer.y() == before
    stale = viewer.page.locator("#explorer.stale")
    assert viewer.page.locator("#problems .problem").count() == stale.count() == 1
    viewer.page.locator("#problems button", has_text=repair).click()  # both axes at once
    assert viewer.text("problems") == "" and stale.count() == 0
    assert viewer.field("link").is_checked() or name == "g"
    assert state.items() <= viewer.state().items()


def test_a_layer_too_large_to_draw(viewer: Viewer) -> None:
    viewer.type("s0", 8)
    viewer.type("n0", 32)
    assert "more than this page draws" in viewer.text("problems")
    viewer.page.locator("#problems button", has_text="set stride to 1").click()
    assert viewer.text("problems") == "" and viewer.state()["n"] == [32, 32]


def test_axes(viewer: Viewer) -> None:
    for axes, shape in (("1", [4]), ("3", [4, 4, 4]), ("2", [4, 4])):
        viewer.field("axes").select_option(axes)
        assert len(viewer.state()["n"]) == len(shape)
        assert len(viewer.y()) == np.prod(shape)


def test_axes_apart_and_asymmetric_padding(viewer: Viewer) -> None:
    viewer.field("link").uncheck()
    viewer.type("n1", 3)
    assert viewer.state()["n"] == [2, 3]
    viewer.field("asymmetric").check()
    viewer.type("hi0", 0)
    assert (viewer.state()["lo"], viewer.state()["hi"]) == ([1, 1], [0, 1])
    assert len(viewer.y()) == 5 * 6
    viewer.type("lo1", -1)
    assert len(viewer.y()) == 5 * 8
    viewer.field("asymmetric").uncheck()
    assert viewer.state()["hi"] == [1, -1]


def test_channels_groups_and_bias(viewer: Viewer) -> None:
    viewer.restore("n=2&k=2&s=2&p=0&op=0&d=1&c=2,2,1&x=1,2,3,4&w=1,1,1,1,1,1,1,1")
    assert viewer.read()["layer/y1"]["texts"] == ["4", "4", "6", "6"]
    viewer.type("g", 2)
    assert {name for name in viewer.read() if name.startswith("layer/w")} == {"layer/w0.0", "layer/w1.1"}
    assert viewer.y() == ["1", "1", "2", "2"]
    viewer.field("bias").check()
    viewer.type("b0", -3)
    assert viewer.y() == ["-2", "-2", "-1", "-1"]
    viewer.field("bias").uncheck()
    assert viewer.state()["b"] is None


def test_presets(viewer: Viewer) -> None:
    viewer.click("x-ones")
    assert viewer.state()["x"] == [1, 1, 1, 1]
    viewer.click("x-impulse")
    assert viewer.state()["x"] == [0, 0, 0, 1]
    viewer.click("x-ramp")
    assert viewer.state()["x"] == [1, 2, 3, 4]
    viewer.click("x-random")
    viewer.click("w-random")
    assert all(0 <= v <= 9 for v in viewer.state()["x"]) and all(-4 <= v <= 5 for v in viewer.state()["w"])
    viewer.type("n0", 32)
    viewer.click("x-image")
    assert len(set(viewer.state()["x"])) == 10
    viewer.restore("n=4&k=4&s=2&p=1&op=0&d=1&c=1,1,1")
    viewer.click("w-bilinear")
    assert viewer.state()["w"] == [0.25, 0.75, 0.75, 0.25]


@pytest.mark.parametrize(
    ("text", "x"),
    [("[[5, 6], [7, 8]]", [5, 6, 7, 8]), ("5\t6\n7\t8", [5, 6, 7, 8]), ("-1.5 2e1\n.5, 0", [-1.5, 20, 0.5, 0])],
)
def test_paste(viewer: Viewer, text: str, x: list[float]) -> None:
    viewer.page.locator("#settings summary").click()
    viewer.field("paste").fill(text)
    viewer.click("into-x")
    assert viewer.state()["x"] == x and viewer.page.locator("#message").is_hidden()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "3 numbers were pasted, and 4 are wanted; change the size first, or paste as many."),
        ("one two", "That is not a list of numbers; write them as in 1, 2, 3."),
        ("", "That is not a list of numbers; write them as in 1, 2, 3."),
        ("1 2 3 1e400", "That is not a list of numbers; write them as in 1, 2, 3."),
        ("<img src=x onerror=alert(1)>", "That is not a list of numbers; write them as in 1, 2, 3."),
    ],
)
def test_pasted_junk_gives_a_message(viewer: Viewer, text: str, message: str) -> None:
    before = viewer.state()
    viewer.page.locator("#settings summary").click()
    viewer.field("paste").fill(text)
    viewer.click("into-x")
    assert viewer.text("message") == message
    assert viewer.state() == before and len(viewer.y()) == 16


def test_cells_are_edited_by_mouse_and_by_keyboard(viewer: Viewer) -> None:
    viewer.restore(LINE)
    cells = viewer.page.locator("#card-layer [data-plate=x0] .floor rect")
    cells.nth(1).dblclick()
    viewer.field("cell").fill("-2.5")
    viewer.field("cell").press("Enter")
    assert viewer.state()["x"] == [1, -2.5, 3]
    viewer.page.keyboard.press("ArrowRight")  # the grid has the focus again, at the cell that was edited
    viewer.page.keyboard.press("7")
    viewer.field("cell").press("Enter")
    assert viewer.state()["x"] == [1, -2.5, 7]
    viewer.page.keyboard.press("Enter")
    viewer.field("cell").fill("8")
    viewer.field("cell").press("Escape")
    assert viewer.state()["x"] == [1, -2.5, 7]
    viewer.page.keyboard.press("Enter")
    viewer.field("cell").fill("<b>8</b>")
    viewer.field("cell").press("Enter")
    assert viewer.state()["x"] == [1, -2.5, 7]
    seen = trace(Geometry.from_torch(3, 2, 1, 1), [1, -2.5, 7], [1, 2, 1])
    assert [float(text) for text in viewer.y()] == seen.y.ravel().tolist()


def test_player(viewer: Viewer) -> None:
    """The canvas after every step is the sum of the stamps so far."""
    viewer.restore(LINE)
    seen = trace(Geometry.from_torch(3, 2, 1, 1), [1, 2, 3], [1, 2, 1])

    def canvas() -> list[str]:
        texts: list[str] = viewer.read()["stamp/canvas0"]["texts"]
        return texts

    def after(stamps: tuple[object, ...], count: int) -> list[str]:
        total = np.zeros_like(seen.canvas[0])
        for stamp in stamps[:count]:
            total[stamp.slices] += stamp.values[0]
        return [str(v) for v in total]

    for order, stamps in (("x", seen.stamps), ("w", seen.taps)):
        viewer.field("by").select_option(order)
        for step in range(3):
            viewer.click("step")
            assert canvas() == after(stamps, step + 1), (order, step)
        viewer.click("back")
        assert canvas() == after(stamps, 2)
        viewer.field("scrub").fill("0")
        assert canvas() == after(stamps, 1)
        viewer.click("whole")
        assert canvas() == [str(v) for v in seen.canvas[0]]
    viewer.field("by").select_option("p")
    viewer.click("step")
    viewer.click("step")
    assert canvas() == ["0", *[str(v) for v in seen.y[0, :2]], *["0"] * 4]
    assert viewer.text("sum").startswith("y[1] = ")


def test_play_and_pause(viewer: Viewer) -> None:
    viewer.field("speed").select_option(index=3)
    viewer.click("play")
    expect(viewer.field("play")).to_contain_text("pause")
    expect(viewer.page.locator("#sum")).to_contain_text("x[1,1]")
    expect(viewer.field("play")).to_contain_text("play")  # it ends with the whole, and does not begin again
    assert viewer.field("scrub").input_value() == viewer.field("scrub").get_attribute("max") == "4"
    viewer.field("speed").select_option(index=0)
    viewer.page.locator("#explorer h1").click()
    viewer.page.keyboard.press(" ")
    expect(viewer.field("play")).to_contain_text("pause")
    viewer.page.keyboard.press(".")
    expect(viewer.field("play")).to_contain_text("play")
    now = viewer.text("sum")
    viewer.page.wait_for_timeout(400)
    assert viewer.text("sum") == now


def test_views(viewer: Viewer) -> None:
    """One view is large beside the layer, all others are small and can be chosen; or all are large."""
    large, small = viewer.page.locator(".stage .card[id]"), viewer.page.locator(".small-card[id]")
    for view in reversed(VIEWS):
        viewer.click(f"open-{view}") if view != "undo" else viewer.field("view").select_option(view)
        assert [each.get_attribute("id") for each in large.all()] == ["card-layer", f"card-{view}"]
        assert [each.get_attribute("id") for each in small.all()] == [f"card-{v}" for v in VIEWS if v != view]
        assert viewer.state()["view"] == viewer.field("view").input_value() == view
    viewer.field("view").select_option("all")
    assert (large.count(), small.count()) == (12, 0)


def test_stack_buttons(viewer: Viewer) -> None:
    viewer.field("view").select_option("coverage")
    viewer.click("stack-add")
    viewer.click("stack-add")
    assert viewer.read()["coverage/stacked"]["title"] == "stack of 2 layers, 2 → 4 → 8"
    viewer.click("stack-clear")
    assert "coverage/stacked" not in viewer.read()


@pytest.mark.parametrize(("size", "out", "kernel"), [(6, 12, 3), (6, 12, None), (1, 3, None), (5, 8, 4), (7, 28, None)])
def test_shape_solver(viewer: Viewer, size: int, out: int, kernel: int | None) -> None:
    viewer.type("solve-from", size)
    viewer.type("solve-to", out)
    viewer.type("solve-k", kernel or "")
    viewer.click("solve")
    options = {} if kernel is None else {"kernel": kernel}
    chains = tconv.solve(size, out, **options)[0]
    said = "One layer leads" if len(chains) == 1 else f"{len(chains)} layers lead"
    assert f"{said} from {size} to {out}" in viewer.text("solver")
    waste_last = sorted(chains, key=lambda chain: chain.wasteful)
    rows = [re.split(r"\t", row.inner_text()) for row in viewer.page.locator(".solutions tbody tr").all()]
    listed = [(*chain[0][:4], chain.macs(size), "uneven" if chain.uneven else "even") for chain in waste_last[:12]]
    assert [(*map(int, row[:5]), row[5]) for row in rows] == listed
    viewer.page.locator(".solutions button").first.click()
    assert (viewer.state()["n"], len(viewer.y())) == ([size] * 2, out**2)


def test_shape_solver_says_what_is_near(viewer: Viewer) -> None:
    viewer.type("solve-to", 200)
    viewer.type("solve-k", "")
    viewer.click("solve")
    assert "No layer leads from 6 to 200" in viewer.text("solver")
    assert "The nearest are 30 (kernel 7, stride 4" in viewer.text("solver")
