"""What a person meets while using the explorer: nothing is lost, nothing is silent, and one sees what one has done."""

from __future__ import annotations

import pytest
from explorer.browser.viewer import VIEWS, Viewer
from playwright.sync_api import expect

IN_VIEW = """selector => {
  const box = document.querySelector(selector).getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
}"""


def in_view(viewer: Viewer, selector: str) -> bool:
    seen: bool = viewer.page.evaluate(IN_VIEW, selector)
    return seen


def test_the_skip_link_keeps_the_layer(viewer: Viewer) -> None:
    viewer.type("n0", 4)
    viewer.type("k0", 5)
    before = viewer.state()
    viewer.page.locator(".skip").focus()
    viewer.page.keyboard.press("Enter")
    viewer.page.wait_for_timeout(50)
    assert viewer.state() == before and viewer.page.locator("#message").is_hidden()
    assert viewer.page.evaluate("() => document.activeElement.id") == "views"


def test_same_for_all_axes_can_be_switched_on_again(viewer: Viewer) -> None:
    viewer.field("link").uncheck()
    viewer.type("n1", 5)
    assert viewer.state()["n"] == [2, 5]
    viewer.field("link").check()
    assert viewer.state()["n"] == [2, 2] and viewer.field("n1").count() == 0


def test_a_layer_that_does_not_work_is_seen_and_kept(viewer: Viewer) -> None:
    """The complaint is beside the settings, what is drawn is marked as old, and a reload brings the entry back."""
    viewer.type("op0", 5)
    assert in_view(viewer, "#problems .problem")
    assert "op=5,5" in viewer.page.url
    viewer.page.reload()
    assert "The layer in this link breaks a law" in viewer.text("message")
    assert viewer.page.locator("#problems .problem").count() == 1 and len(viewer.y()) == 16
    viewer.page.locator("#problems button", has_text="set output_padding to 1").click()
    assert viewer.state()["op"] == [1, 1] and viewer.text("problems") == ""


def test_messages_are_in_view(viewer: Viewer) -> None:
    viewer.field("view").select_option("all")
    viewer.page.locator("#settings summary").click()
    viewer.page.evaluate("() => scrollTo(0, 200)")
    viewer.field("paste").fill("junk")
    viewer.click("into-x")
    viewer.page.evaluate("() => scrollTo(0, 1500)")
    assert in_view(viewer, "#message")


def test_the_step_key_steps_where_a_grid_has_the_focus(viewer: Viewer) -> None:
    viewer.page.locator("#card-layer [data-plate=x0] .cells").focus()
    viewer.page.keyboard.press(" ")
    expect(viewer.field("play")).to_contain_text("pause")
    viewer.page.keyboard.press(".")
    assert viewer.field("cell").count() == 0
    expect(viewer.field("play")).to_contain_text("play")
    viewer.page.keyboard.press(" ")
    viewer.page.keyboard.press("4")
    assert viewer.field("cell").input_value() == "4"
    expect(viewer.field("play")).to_contain_text("play")  # nothing moves while somebody types
    assert "space plays, period and comma step" in viewer.text("explorer")


def test_the_solver_says_what_it_loads(viewer: Viewer) -> None:
    for name, value in (("from", 64), ("to", 128), ("k", 4)):
        viewer.type(f"solve-{name}", value)
    viewer.click("solve")
    viewer.page.locator(".solutions button").first.click()
    assert viewer.state()["n"] == [32, 32]
    said = viewer.text("message")
    assert "Loaded on every axis: kernel 4, stride 2, padding 1, output_padding 0, from 32 to 64." in said
    assert "An input of 64 is more than this page draws, so the input is 32 here" in said
    assert in_view(viewer, "#message") and viewer.page.evaluate("() => scrollY") == 0


def test_the_solver_has_the_textbook_first(viewer: Viewer) -> None:
    """6 to 12 with kernel 3: no layer that cuts inputs off comes before (3, 2, 1, 1)."""
    cells = viewer.page.locator(".solutions tbody tr").first.locator("td").all_inner_texts()
    assert cells[:4] == ["3", "2", "1", "1"] and cells[6] == ""
    heads = viewer.page.locator(".solutions th").all_inner_texts()
    assert "MACs on one axis" in heads


def test_one_solution_is_one_layer(viewer: Viewer) -> None:
    for name, value in (("from", 8), ("to", 37), ("k", 7)):
        viewer.type(f"solve-{name}", value)
    viewer.click("solve")
    rows = viewer.page.locator(".solutions tbody tr").count()
    assert (rows == 1) == ("One layer leads from 8 to 37" in viewer.text("solver"))


def test_groups_are_explained(viewer: Viewer) -> None:
    viewer.restore("n=2&k=2&s=2&p=0&op=0&d=1&c=2,2,2&x=1,2,3,4&w=1,2,3,4")
    titles = {name: plate["title"] for name, plate in viewer.read().items()}
    assert titles["stamp/stamp0"] == "stamp of x[0,0] → y[0]"
    assert titles["stamp/stamp1"] == "x[0,0] is in another group: no stamp on y[1]"
    assert titles["layer/w1.1"] == "w[1,0] kernel (x[1] → y[1])"
    viewer.restore("n=2&k=3&s=1&p=1&op=0&d=1&c=2,2,2&x=1,2,3,4&w=1,2,3,4,5,6")
    viewer.point("stamp", "canvas1", 0)
    assert viewer.text("sum").startswith("canvas[1,0] = 3*4 = 12")


def test_the_bias_comes_after_the_window(viewer: Viewer) -> None:
    legend = viewer.text("legend")
    assert "bias only" not in legend and "nothing meets" in legend
    viewer.field("bias").check()
    assert "bias only" in viewer.text("legend")
    notes = viewer.page.locator("#card-stamp .notes").inner_text()
    assert "The bias is added after the window is cut out" in notes
    shown = viewer.read()
    assert int(shown["layer/y0"]["texts"][5]) == int(shown["stamp/canvas0"]["texts"][12]) + 1


def test_cards_stand_in_the_order_of_tab(viewer: Viewer) -> None:
    """Whatever the numbers, by eye and by Tab, alone and all together."""
    for text in ("", "view=all", "view=all&n=2,2&x=123456789,1,1,1"):
        viewer.open(text)
        places = viewer.page.eval_on_selector_all(
            ".card[id]", "all => all.map((each) => each.getBoundingClientRect()).map((box) => [box.top, box.left])"
        )
        lines = [(round(top), left) for top, left in places]
        assert lines == sorted(lines, key=lambda place: (place[0], place[1])), text


def test_no_view_is_endless(viewer: Viewer) -> None:
    viewer.restore("n=12,12&k=5,5&s=3,3&p=0&op=0&d=1&c=1,1,1&view=all")
    assert viewer.page.evaluate("() => document.documentElement.scrollHeight") < 11000
    viewer.restore("n=12,12&k=5,5&s=3,3&p=0&op=0&d=1&c=1,1,1")
    assert viewer.page.evaluate("() => document.documentElement.scrollHeight") < 4000


def test_numbers_outlive_a_change_of_axes(viewer: Viewer) -> None:
    viewer.restore("n=2,2&k=2,2&s=2&p=0&op=0&d=1&c=1,1,1&x=5,6,7,8&w=1,2,3,4")
    viewer.field("axes").select_option("1")
    assert (viewer.state()["x"], viewer.state()["w"]) == ([5, 6], [1, 2])
    viewer.field("axes").select_option("2")
    assert (viewer.state()["x"], viewer.state()["w"]) == ([5, 6, 7, 8], [1, 2, 3, 4])


def test_sizes_are_said_of_each_axis(viewer: Viewer) -> None:
    viewer.restore("n=2,2&k=7,3&s=3,2&p=0&op=0&d=1&c=1,1,1")
    sizes = viewer.text("sizes")
    assert "height: output_padding 0 to 2 chooses from the sizes 10 to 12." in sizes
    assert "width: output_padding 0 to 1 chooses from the sizes 5 to 6." in sizes
    assert "An output cell sees 2x2 input cells at most." in sizes
    viewer.restore("n=2&k=3&s=2&p=1&op=1&d=1&c=1,1,1")
    assert "2*(2-1) + 1*(3-1) + 1 - 1 - 1 + 1 = 4" in viewer.text("sizes")


@pytest.mark.parametrize("typed", ["abc", "1/2"])
def test_what_is_no_number_is_said(viewer: Viewer, typed: str) -> None:
    before = viewer.state()
    viewer.page.locator("#card-layer [data-plate=x0] .floor rect").nth(1).dblclick()
    viewer.field("cell").fill(typed)
    viewer.field("cell").press("Enter")
    assert viewer.text("message") == f"“{typed}” is not a number; write it as -2, 0.5 or 1e3."
    assert viewer.state() == before


@pytest.mark.parametrize(
    ("name", "typed", "says", "value"),
    [
        ("n0", "100", "input size: 100 was set to 32; this page takes whole numbers from 1 to 32.", 32),
        ("k0", "20", "kernel: 20 was set to 9; this page takes whole numbers from 1 to 9.", 9),
        ("k0", "2.5", "kernel: 2.5 was set to 3; this page takes whole numbers from 1 to 9.", 3),
        ("s0", "0", "stride: 0 was set to 1; this page takes whole numbers from 1 to 8.", 1),
    ],
)
def test_a_number_that_is_not_taken_is_said(viewer: Viewer, name: str, typed: str, says: str, value: int) -> None:
    viewer.type("op0", 0)
    viewer.type(name, typed)
    assert viewer.text("message") == says
    assert viewer.state()[name[0]] == [value, value]
    viewer.type(name, 2)
    assert viewer.page.locator("#message").is_hidden()


def test_pointing_stops_the_walk(viewer: Viewer) -> None:
    viewer.click("play")
    viewer.point("layer", "y0", 5)
    expect(viewer.field("play")).to_contain_text("play")
    assert viewer.text("sum").startswith("y[1,1] = ")


def test_the_output_grows_while_stamps_are_made(viewer: Viewer) -> None:
    """While one steps through the inputs, y holds what has been added so far, and in the end all of it."""
    done = viewer.y()
    viewer.click("step")
    assert viewer.y() != done and viewer.read()["layer/y0"]["texts"][0] == "2"
    viewer.click("whole")
    assert viewer.y() == done


def test_the_settings_are_one_line_that_opens(viewer: Viewer) -> None:
    viewer.page.reload()
    assert not viewer.field("s0").is_visible()
    line = viewer.page.locator("#line")
    size = "input 2\N{MULTIPLICATION SIGN}2"
    rest = ["kernel 3", "stride 2", "padding 1", "output_padding 1", "dilation 1", "1 → 1 channels"]
    assert line.inner_text().split("\n") == ["2-D", size, *rest]
    line.locator(".part", has_text="stride").click()
    expect(viewer.field("s0")).to_be_focused()
    assert "How far apart neighbouring inputs stamp." in viewer.text("hint") and "1 to 8" in viewer.text("hint")
    viewer.type("s0", 3)
    assert line.locator(".part.new").all_inner_texts() == ["stride 3"]


def test_beginnings(viewer: Viewer) -> None:
    for name, size in (("crop_none", 5), ("crop_1", 3), ("crop_1_back", 4)):
        viewer.click(name)
        assert len(viewer.y()) == size**2


def test_what_changed_is_marked(viewer: Viewer) -> None:
    viewer.page.locator("#card-layer [data-plate=x0] .floor rect").nth(0).dblclick()
    viewer.field("cell").fill("9")
    viewer.field("cell").press("Enter")
    paths = viewer.page.eval_on_selector_all(
        "#card-layer path.changed", "all => all.map((each) => (each.getAttribute('d').match(/M/g) ?? []).length)"
    )
    assert paths[:2] == [1, 0]
    assert viewer.page.locator("#card-steps path.changed").first.get_attribute("d")
    viewer.page.wait_for_timeout(2000)
    assert not viewer.page.locator("#card-layer path.changed").first.get_attribute("d")


def test_a_large_matrix_is_dots_until_one_zooms_in(viewer: Viewer) -> None:
    viewer.field("view").select_option("matrix")
    square = viewer.page.locator("#card-matrix [data-plate=ctc]")
    assert square.locator("rect").count() == 0 and square.locator("image").count() == 1
    square.locator(".cells").focus()
    viewer.page.keyboard.press("Enter")
    assert square.locator(".floor rect").count() == 256
    viewer.page.keyboard.press("Enter")
    assert square.locator("image").count() == 1
    square.locator("image").dblclick()
    assert square.locator(".floor rect").count() == 256


def test_small_views_react(viewer: Viewer) -> None:
    viewer.point("layer", "y0", 5)
    lit = viewer.page.locator("#card-steps [data-plate=convolved0] path.lit")
    expect(lit).to_have_attribute("d", "M50 64h30v30h-30z")  # with the next frame
    small = viewer.page.locator("#card-matrix.small-card")
    assert small.locator(".picture").evaluate("each => each.inert") is True
    assert small.locator("[tabindex='0']").count() == 0


@pytest.mark.parametrize("width", [375, 1440])
def test_pictures_fit(viewer: Viewer, width: int) -> None:
    """No picture is wider than its card, and on a wide screen none is lost in a card that is mostly empty."""
    viewer.page.set_viewport_size({"width": width, "height": 900})
    viewer.open()
    for view in VIEWS:
        viewer.restore(f"view={view}")
        for card in ("layer", view):
            box = viewer.page.locator(f"#card-{card} .picture").evaluate(
                "each => [each.scrollWidth, each.clientWidth, each.firstChild.getBoundingClientRect().width]"
            )
            assert box[0] <= box[1] + 1, (view, card, box)
            assert width < 1000 or box[2] > box[1] * 0.3, (view, card, box)
        assert viewer.page.evaluate("() => document.documentElement.scrollWidth") <= width, view
    viewer.page.set_viewport_size({"width": 1400, "height": 1000})


# The share of every card's height at which nothing stands, neither text nor a picture.
EMPTY = """() => [...document.querySelectorAll("#explorer .card:not(.small-card)")].map((card) => {
  const parts = [...card.querySelectorAll("*")];
  const all = parts.filter((each) => !each.children.length || each.matches("svg, p, li, .cells_"));
  const shown = all.map((each) => each.getBoundingClientRect()).filter(({height}) => height > 0);
  const boxes = shown.sort((a, b) => a.top - b.top);
  let [free, end] = [0, card.getBoundingClientRect().top];
  for (const box of boxes) { free += Math.max(0, box.top - end); end = Math.max(end, box.bottom); }
  const {bottom, height} = card.getBoundingClientRect();
  return [card.querySelector("h2").textContent, (free + Math.max(0, bottom - end)) / height];
})"""


@pytest.mark.parametrize("width", [1440, 1920])
def test_no_card_is_half_empty(viewer: Viewer, width: int) -> None:
    viewer.page.set_viewport_size({"width": width, "height": 900})
    viewer.open(settings=False)
    viewer.page.locator("#learned").scroll_into_view_if_needed()
    viewer.page.locator("#learned figure").first.wait_for()
    for view in VIEWS:
        viewer.restore(f"view={view}")
        for framework in ("PyTorch", "ONNX"):
            viewer.click(f"code-{framework}")
            found = viewer.page.evaluate(EMPTY)
            assert len(found) >= 7 and max(share for _, share in found) < 0.5, (view, framework, found)
    viewer.page.set_viewport_size({"width": 1400, "height": 1000})


def test_settings_on_a_phone_leave_the_picture_in_sight(viewer: Viewer) -> None:
    viewer.page.set_viewport_size({"width": 375, "height": 740})
    viewer.open()
    viewer.page.wait_for_function("() => scrollY > 0")
    assert in_view(viewer, "#card-layer h2")
    sheet = viewer.page.locator("#settings").bounding_box()
    assert sheet and sheet["y"] >= 740 * 0.5 and sheet["y"] + sheet["height"] <= 741
    viewer.click("done")
    assert not viewer.field("n0").is_visible()
    viewer.page.set_viewport_size({"width": 1400, "height": 1000})
