"""For everybody: by keyboard, by screen reader, on a phone, in the dark; and fast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import axe_playwright_python
import pytest
from explorer.browser.viewer import Viewer
from playwright.sync_api import Browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
LARGE = "n=32,32&k=7,7&s=1,1&p=3,3&op=0,0&d=1,1&c=1,1,1"

MOVES = """() => {
  const views = document.querySelector("#views");
  const box = document.querySelector("#card-layer [data-plate=y0] .floor").getBoundingClientRect();
  const target = document.querySelector("#card-layer svg");
  return Array.from({length: 60}, (_, n) => {
    const at = {clientX: box.left + box.width * (0.1 + 0.013 * n), clientY: box.top + box.height * (0.2 + 0.01 * n)};
    const start = performance.now();
    target.dispatchEvent(new PointerEvent("pointermove", {...at, bubbles: true}));
    views.getBoundingClientRect();
    return performance.now() - start;
  });
}"""


def violations(viewer: Viewer) -> list[str]:
    """What axe-core finds: rule and place."""
    viewer.page.evaluate(AXE)  # not a script of the page, whose policy would forbid it
    found: Any = viewer.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(
    "text", ["", "lang=zh", "theme=dark", "view=matrix", LARGE, "n=2,2,2&k=2&s=2&p=0&op=0&d=1&c=2,2,2&b=1,2"]
)
def test_axe_finds_nothing(viewer: Viewer, text: str) -> None:
    viewer.open(text)
    viewer.page.locator("#learned").scroll_into_view_if_needed()
    viewer.page.locator("#learned figure").first.wait_for()
    assert violations(viewer) == []


def test_axe_finds_nothing_in_messages(viewer: Viewer) -> None:
    viewer.type("op0", "6.5")
    viewer.type("solve-to", 500)
    viewer.click("solve")
    assert viewer.text("problems") and viewer.text("message")
    assert violations(viewer) == []


@pytest.fixture(scope="module")
def phone(browser: Browser, address: str) -> Iterator[Viewer]:
    viewer = Viewer(browser, address, has_touch=True)
    viewer.page.set_viewport_size({"width": 360, "height": 740})
    viewer.open(settings=False)
    yield viewer
    viewer.close()


def test_phone(phone: Viewer) -> None:
    assert phone.page.evaluate("() => document.documentElement.scrollWidth") == 360
    assert not phone.field("n0").is_visible()
    phone.page.locator("#drawer > summary").tap()
    assert phone.field("n0").is_visible()
    phone.page.locator("#card-layer [data-plate=y0] .floor rect").nth(5).tap()
    assert phone.read()["layer/w0.0"]["lit"] == [0, 2, 6, 8]
    assert violations(phone) == [] and phone.complaints == []


def test_keyboard(viewer: Viewer) -> None:
    """Tab leads to the grids, arrows through their cells; what is found there is said aloud."""
    viewer.page.locator("#views").focus()
    for _ in range(4):  # the two buttons of the card, then x, then w
        viewer.page.keyboard.press("Tab")
    grid = viewer.page.locator("#card-layer [data-plate=w0\\.0] .cells")
    assert viewer.page.evaluate("() => document.activeElement.parentElement.dataset.plate") == "w0.0"
    assert grid.get_attribute("role") == "grid"
    assert (
        grid.get_attribute("aria-label")
        == "w kernel, 3 \N{MULTIPLICATION SIGN} 3. Arrow keys move, Enter changes the number."
    )
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        viewer.page.keyboard.press(key)
    assert viewer.read()["layer/w0.0"]["here"] == [6]
    active = viewer.page.locator(f"#{grid.get_attribute('aria-activedescendant')}")
    assert (active.get_attribute("role"), active.text_content()) == ("gridcell", "1")
    viewer.page.locator("#live", has_text="w[2,0] = 1 is used 4 times, for 2 cropped cells").wait_for()


def test_arrows_cross_slices(viewer: Viewer) -> None:
    viewer.restore("n=2,2,2&k=1&s=1&p=0&op=0&d=1&c=1,1,1&w=1&x=1,2,3,4,5,6,7,8")
    viewer.page.locator("#card-layer [data-plate=x0] .cells").focus()
    for _ in range(2):
        viewer.page.keyboard.press("ArrowRight")
    assert viewer.text("sum").startswith("x[1,0,0] = 5 ")


def test_pointing_repaints_within_a_frame(viewer: Viewer) -> None:
    """32 x 32 cells, kernel 7: the work of one move of the pointer, with the layout that follows."""
    viewer.open(LARGE)
    spent: list[float] = viewer.page.evaluate(MOVES)
    assert len(viewer.read()["layer/w0.0"]["lit"]) == 49
    assert median(spent) < 16


def test_loads_within_a_second(viewer: Viewer) -> None:
    loaded = []
    for _ in range(3):
        viewer.open()
        viewer.page.wait_for_load_state("load")
        loaded.append(viewer.page.evaluate("() => performance.now()"))
    assert min(loaded) < 1000
