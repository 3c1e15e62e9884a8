"""The lesson: every step by keyboard alone, with the numbers of tconv, in both languages, on any screen and paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explorer.browser.test_access import violations
from explorer.browser.viewer import Viewer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, expect

import tconv
from tconv import Geometry
from tconv.explorer import Trace, explain, trace

SETTINGS = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.lists(st.integers(-9, 9), min_size=3, max_size=3)
X, W = [2, 3, 1], [1, 2, 3]

# What the tables of a step say, row by row: its label, and the cells that are not empty.
ROWS = """n => [...document.querySelectorAll(`#step-${n} .strips`)].map((table) => [...table.tBodies[0].rows]
  .filter((row) => !row.classList.contains("spans"))
  .map((row) => [row.cells[0].textContent, [...row.cells].slice(1).map((cell) => cell.textContent)]))"""


@pytest.fixture(scope="module")
def open_lesson(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    path: Path = tmp_path_factory.mktemp("lesson") / "page.html"
    path.write_text(explain(stride=2, padding=1, output_padding=1).html(lesson=True), encoding="utf-8")
    viewer = Viewer(browser, path.as_uri(), reduced_motion="reduce")
    yield viewer
    viewer.close()


@pytest.fixture
def lesson(open_lesson: Viewer) -> Iterator[Viewer]:
    open_lesson.page.set_viewport_size({"width": 1400, "height": 1000})
    open_lesson.open()
    yield open_lesson
    assert open_lesson.complaints == []


def rows(lesson: Viewer, step: int) -> list[list[Any]]:
    """The tables of a step."""
    found: list[list[Any]] = lesson.page.evaluate(ROWS, step)
    return found


def seen(x: list[int], w: list[int], stride: int, padding: int = 0, output_padding: int = 0) -> Trace:
    return trace(Geometry.from_torch(len(w), stride, padding, output_padding), x, w)


def answers(x: list[int], w: list[int]) -> dict[str, list[Any]]:
    """What each task wants, computed by tconv: numbers to type, or the button to press."""
    overlap, up, bigger = seen(x, w, 2), seen(x, w, 2, 1), seen(x, w, 2, 1, 1)
    gathered = [any(p.i == (i,) for p in sums_of(bigger, 3)) for i in range(3)]
    back = tconv.undo(up.geometry, np.array([x]), np.reshape(w, (1, 1, 3))).transposed[0]
    return {
        "stamp": [x[1] * v for v in w],
        "overlap": [int(overlap.canvas[0][2])],
        "padding": ["3"],
        "op": [int(bigger.y[0][-1])],
        "gather": [str(i) for i, needed in enumerate(gathered) if needed],
        "steps": ["1"],
        "matrix": [int(v) for v in up.matrix[1]],
        "inverse": ["0" if np.array_equal(back, x) else "1"],
    }


def sums_of(layer: Trace, o: int) -> tuple[Any, ...]:
    return next(s for s in layer.sums if s.o == (o,)).products


def actions(x: list[int], w: list[int]) -> list[tuple[str, str, str]]:
    """What answers every question: what to do, to which field, with which value."""
    found: list[tuple[str, str, str]] = []
    for step, want in answers(x, w).items():
        if step in ("padding", "steps", "inverse"):
            found.append(("click", f"l-{step}-{want[0]}", ""))
        elif step == "gather":
            found += [("check", f"l-gather-{i}", "") for i in want] + [("click", "l-gather-check", "")]
        else:
            found += [("fill", f"l-{step}-{n}", str(value)) for n, value in enumerate(want)]
            found.append(("click", f"l-{step}-check", ""))
    found += [("slide", "l-checkers-k", "4"), ("slide", "l-fit-k", "4"), ("slide", "l-fit-p", "1")]
    return [*found, ("click", "l-fit-again-1", "")]


def solve(lesson: Viewer) -> None:
    """Answer every question, with the pointer."""
    for kind, name, value in actions(X, W):
        if kind == "click":
            lesson.click(name)
        elif kind == "check":
            lesson.field(name).check()
        elif kind == "fill":
            lesson.field(name).fill(value)
        else:
            slide(lesson, name, int(value))


AT_ONCE = """actions => {
  for (const [kind, name, value] of actions) {
    const field = document.querySelector(`[name="${name}"]`);
    if (kind === "click" || kind === "check") field.click();
    else { field.value = value; field.dispatchEvent(new Event("input", {bubbles: true})); }
  }
}"""


def solve_at_once(lesson: Viewer, x: list[int] = X, w: list[int] = W) -> None:
    """The same in one visit, by events; for reader's numbers that are typed first."""
    numbers = [
        ("fill", f"l{array}{at}-1", str(v)) for array, values in (("x", x), ("w", w)) for at, v in enumerate(values)
    ]
    lesson.page.evaluate(AT_ONCE, numbers)
    check_hidden(lesson)
    lesson.page.evaluate(AT_ONCE, actions(x, w))


def slide(lesson: Viewer, name: str, value: int) -> None:
    lesson.field(name).evaluate("(field, v) => { field.value = v; field.dispatchEvent(new Event('input')); }", value)


def solved(lesson: Viewer) -> list[str]:
    names: list[str] = lesson.page.eval_on_selector_all(".task.solved", "all => all.map((each) => each.name)")
    return names


STEPS = ["stamp", "overlap", "padding", "op", "gather", "steps", "matrix", "inverse", "checkers", "fit", "fit-again"]
TASKS = [f"l-{step}" for step in STEPS]


def test_it_is_what_the_page_opens_with(lesson: Viewer) -> None:
    assert lesson.page.locator("#lesson").is_visible() and lesson.page.locator("#explorer").is_hidden()
    assert lesson.page.locator("#lesson .step[id]").count() == 11
    assert solved(lesson) == []
    lesson.page.locator("#modes a", has_text="Explorer").click()
    assert lesson.page.locator("#explorer").is_visible() and len(lesson.y()) == 16
    lesson.page.go_back()
    expect(lesson.page.locator("#lesson")).to_be_visible()


def test_every_question_can_be_answered(lesson: Viewer) -> None:
    solve(lesson)
    assert solved(lesson) == TASKS
    assert lesson.page.locator(".progress a.solved").count() == 10
    assert all(text.startswith("✓ ") for text in lesson.page.locator(".verdict").all_inner_texts())


@SETTINGS
@given(NUMBERS, NUMBERS)
def test_its_numbers_are_those_of_tconv(lesson: Viewer, x: list[int], w: list[int]) -> None:
    """Every table, for whatever numbers a reader types."""
    lesson.open()
    solve_at_once(lesson, x, w)
    assert solved(lesson) == TASKS
    for step, layer in ((1, seen(x, w, 3)), (2, seen(x, w, 2)), (3, seen(x, w, 2, 1)), (5, seen(x, w, 2, 1, 1))):
        check_stamps(rows(lesson, step)[0], layer, x)
    check_stamps(rows(lesson, 4)[1], seen(x, w, 2, 1, 1), x)
    check_rest(lesson, x, w)


def check_hidden(lesson: Viewer) -> None:
    """An answer is not in the picture before it was given."""
    for step, count in ((1, 3), (2, 1), (4, 1), (6, 6), (7, 3), (8, 3)):
        marks = [text for table in rows(lesson, step) for _, texts in table for text in texts if text == "?"]
        assert len(marks) >= count, step


def check_stamps(table: list[Any], layer: Trace, x: list[int]) -> None:
    """One row per stamp, each in its place, and their sum."""
    for i, (label, texts) in enumerate(table[:3]):
        assert label == f"x[{i}] = {x[i]}"
        place = layer.stamps[i].slices[0]
        assert [text for text in texts[place] if text] == [str(v) for v in layer.stamps[i].values[0]]
        assert not any(texts[: place.start]) and not any(texts[place.stop :])
    if len(table) > 3:
        full = [str(v) for v in layer.canvas[0]]
        assert [text for text in table[3][1] if text][: len(full)] == full


def check_rest(lesson: Viewer, x: list[int], w: list[int]) -> None:
    up, bigger = seen(x, w, 2, 1), seen(x, w, 2, 1, 1)
    padded, flipped, products, y = (texts for _, texts in rows(lesson, 6)[0])
    assert padded == [str(v) for v in bigger.steps.padded[0]]
    assert [text for text in flipped if text] == [str(v) for v in bigger.steps.flipped[0, 0]]
    assert sum(int(text) for text in products if text) == bigger.y[0][1]
    assert [text for text in y if text] == [str(v) for v in bigger.y[0]]
    matrix = [[int(text or 0) for text in texts] for _, texts in rows(lesson, 7)[0]]
    assert np.array_equal(np.array(matrix)[:, :3], up.matrix) and [row[3] for row in matrix] == up.y[0].tolist()
    answer = tconv.undo(up.geometry, np.array([x]), np.reshape(w, (1, 1, 3)))
    _, _, back, recovered = (texts for _, texts in rows(lesson, 8)[0])
    assert [float(text) for text in back if text] == answer.transposed[0].tolist()
    np.testing.assert_allclose([float(text) for text in recovered if text], answer.recovered[0], rtol=2e-3, atol=1e-6)
    counted = Geometry.from_torch(4, 2).coverage(6)
    assert rows(lesson, 9)[0][0][1] == [str(counted.count_at((o,))) for o in range(14)]


WRONG_NUMBERS = [
    ("stamp", ["2", "6", "9"], "Multiply each kernel number (1, 2, 3) by 3."),
    ("overlap", ["6"], "add what stands there: 6 and 3."),
    ("op", ["0"], "The name suggests a zero. But the stamp of x[2] reaches this cell"),
    ("op", ["9"], "It is the last cell of the last stamp: x[2] = 1 times the last kernel number, 3."),
    ("matrix", ["1", "2", "3"], "; x[2]: 2 \N{MINUS SIGN} 2·2 = -2; there are numbers 0 to 2."),
    ("matrix", ["", "2", "3"], "Type a number into every field first."),
]
WRONG_CHOICES = [
    ("l-padding-0", "In a convolution padding adds cells. This layer goes the other way"),
    ("l-padding-1", "Something does change."),
    ("l-padding-2", "Padding works at both ends, not at one."),
    ("l-steps-0", "In step 5, y[1] was x[0]·w[2] and x[1]·w[0]."),
    ("l-inverse-0", "Compute the first one: 2·4 + 3·9 = 35, and x[0] = 2."),
    ("l-inverse-2", "the convolution makes 3 numbers again"),
    ("l-gather-check", "Look at the column of y[3]"),
    ("l-fit-again-0", "Remember step 4: the new cell held 3, from the last stamp."),
    ("l-fit-again-2", "Those zeros came from stride and padding, in step 6."),
]


def test_whatever_is_wrong_gets_a_reason(lesson: Viewer) -> None:
    """Wrong numbers and wrong choices, one after another; none of them counts as an answer."""
    for task, answer, says in WRONG_NUMBERS:
        for n, value in enumerate(answer):
            lesson.field(f"l-{task}-{n}").fill(value)
        lesson.click(f"l-{task}-check")
        assert says in lesson.page.locator(f'form[name="l-{task}"] .verdict').inner_text(), task
    for button, says in WRONG_CHOICES:
        lesson.click(button)
        assert says in " ".join(lesson.page.locator(".verdict").all_inner_texts()), button
    assert solved(lesson) == []


def test_an_answer_can_be_shown(lesson: Viewer) -> None:
    lesson.click("l-matrix-show")
    assert [lesson.field(f"l-matrix-{n}").input_value() for n in range(3)] == ["3", "1", "0"]
    assert solved(lesson) == ["l-matrix"]


def test_output_padding_says_why_it_exists(lesson: Viewer) -> None:
    """The sizes that a convolution maps to 3, as the sentence has them, are those of the forward geometry."""
    forward = tconv.geometry.Forward(Geometry.from_torch(3, 2, 1))
    to_three = [m for m in range(1, 12) if forward.output_size(m) == (3,)]
    assert to_three == [5, 6] and forward.output_size(7) == (4,)
    says = lesson.page.locator("#step-4 figcaption")
    assert "back to 5 cells, the smaller of the sizes that become 3 (5 to 6; 7 becomes 4)" in says.inner_text()
    slide(lesson, "l-op-op", 1)
    assert "back to 6 cells" in says.inner_text() and "output_padding stays below the stride, 2" in says.inner_text()


def test_sliders_move_the_pictures(lesson: Viewer) -> None:
    for stride in (1, 2, 3, 4):
        slide(lesson, "l-overlap-s", stride)
        layer = seen(X, W, stride)
        assert f"{len(layer.canvas[0])} cells" in lesson.page.locator("#step-2 figcaption").inner_text()
        lesson.click("l-overlap-show")
        check_stamps(rows(lesson, 2)[0], layer, X)
    for padding in (0, 1, 2):
        slide(lesson, "l-padding-p", padding)
        out = len(seen(X, W, 2, padding).y[0])
        assert f"= {out} cells remain" in lesson.page.locator("#step-3 figcaption").inner_text()


def test_open_in_the_explorer(lesson: Viewer) -> None:
    """Each step's layer, with the view that belongs to it."""
    views = ["stamp"] * 4 + ["gather", "steps", "matrix", "undo", "coverage", "phases"]
    for n, view in enumerate(views, 1):
        lesson.open(f"lesson={n}")
        lesson.click(f"l-open-{n}")
        state = lesson.state()
        assert (state["view"], state["lesson"]) == (view, 0) and len(state["n"]) == 1
        geometry = Geometry.from_torch(state["k"], state["s"], state["lo"], state["op"])
        assert lesson.y() == [str(v) for v in trace(geometry, state["x"], state["w"]).y[0]]
        lesson.page.go_back()
        expect(lesson.page.locator("#lesson")).to_be_visible()


def tab_to(lesson: Viewer, name: str) -> None:
    """Tab on until the field or button of that name has the focus."""
    for _ in range(60):
        lesson.page.keyboard.press("Tab")
        if lesson.page.evaluate("() => document.activeElement.name ?? ''") == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_by_keyboard_alone(lesson: Viewer) -> None:
    press, write = lesson.page.keyboard.press, lesson.page.keyboard.type
    tab_to(lesson, "l-begin")
    press("Enter")
    assert lesson.page.evaluate("() => document.activeElement.id") == "step-1-title"
    for step, want in answers(X, W).items():
        if step in ("padding", "steps", "inverse"):
            tab_to(lesson, f"l-{step}-{want[0]}")
            press("Enter")
        elif step == "gather":
            for i in want:
                tab_to(lesson, f"l-gather-{i}")
                press("Space")
            press("Enter")
        else:
            for n, value in enumerate(want):
                tab_to(lesson, f"l-{step}-{n}")
                write(str(value))
            press("Enter")
        assert solved(lesson)[-1] == f"l-{step}"
    tab_to(lesson, "l-checkers-k")
    press("ArrowRight")
    tab_to(lesson, "l-fit-k")
    press("ArrowRight")
    tab_to(lesson, "l-fit-p")
    press("ArrowRight")
    tab_to(lesson, "l-fit-again-1")
    press("Enter")
    assert solved(lesson) == TASKS


def test_axe_finds_nothing(lesson: Viewer) -> None:
    """Unanswered and answered, both in both languages and both themes."""
    for answered in (False, True):
        if answered:
            solve_at_once(lesson)
        for theme, language in product(("light", "dark"), ("en", "zh")):
            lesson.field("theme").select_option(theme)
            lesson.field("lang").select_option(language)
            assert violations(lesson) == [], (theme, language, answered)


SIDEWAYS = """() => [...document.querySelectorAll("main *")]
  .filter((each) => ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
  .filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.className || each.tagName)"""


@pytest.mark.parametrize("width", [320, 375, 768, 1024, 1440, 1920])
def test_nothing_scrolls_sideways(lesson: Viewer, width: int) -> None:
    lesson.page.set_viewport_size({"width": width, "height": 800})
    for text in ("", "lang=zh", "lesson=0", "lesson=0&lang=zh"):
        lesson.open(text)
        if text.startswith("lesson=0"):
            lesson.page.locator("#learned").scroll_into_view_if_needed()
            lesson.page.locator("#learned figure").first.wait_for()
        assert lesson.page.evaluate("() => document.documentElement.scrollWidth") <= width, text
        assert lesson.page.evaluate(SIDEWAYS) == [], text


def test_both_languages_are_complete(lesson: Viewer) -> None:
    """No key and no placeholder is left, and in Chinese no sentence is in English; answers outlive the change."""
    solve_at_once(lesson)
    english = lesson.page.locator("#lesson").inner_text()
    lesson.field("lang").select_option("zh")
    chinese = lesson.page.locator("#lesson").inner_text()
    for text in (english, chinese):
        assert not re.search(r"\bl_\w+|\{\w+\}|undefined|NaN", text)
    left = [line for line in chinese.splitlines() if re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", line)]
    assert left == [] and "第 4 步" in chinese and "输出填充" in chinese
    assert solved(lesson) == TASKS


def test_reduced_motion(lesson: Viewer) -> None:
    smooth = "() => getComputedStyle(document.documentElement).scrollBehavior"
    assert lesson.page.evaluate(smooth) == "auto"
    lesson.page.emulate_media(reduced_motion="no-preference")
    assert lesson.page.evaluate(smooth) == "smooth"
    lesson.page.emulate_media(reduced_motion="reduce")


def test_on_paper(lesson: Viewer) -> None:
    pdf = lesson.page.pdf(format="A4")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert pdf.startswith(b"%PDF") and 4 <= pages <= 12
    lesson.page.emulate_media(media="print")
    assert lesson.field("l-padding-3").is_visible() and lesson.field("l-stamp-0").is_visible()  # what is to be answered
    assert not lesson.field("l-stamp-check").is_visible() and not lesson.page.locator(".progress").is_visible()
    lesson.page.emulate_media(media="screen")


def test_a_link_to_a_step(lesson: Viewer) -> None:
    lesson.open("lesson=7&lang=zh")
    top = lesson.page.evaluate("() => document.querySelector('#step-7').getBoundingClientRect().top")
    assert abs(top) < 120
    assert "lesson=7" in lesson.page.url and lesson.page.locator("html").get_attribute("lang") == "zh-Hans"
    assert lesson.page.locator('.progress a[aria-current="step"]').inner_text() == "7"
