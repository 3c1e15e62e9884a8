"""Links, files and languages: what leaves the page and what comes in. Nothing that comes in is ever executed."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from explorer.browser.test_numbers import drawn, layers
from explorer.browser.viewer import TEXT, Viewer
from hypothesis import strategies as st
from PIL import Image

from tconv.explorer import explain

SVG = "{http://www.w3.org/2000/svg}"
JUNK = [
    "<script>alert(1)</script>",
    "x=<img src=x onerror=alert(1)>",
    "n=2,2&x=javascript:alert(1)",
    "n=2.5",
    "n=-3",
    "n=999999",
    "n=2,2,2,2",
    "n=2&k=3,3",
    "k=",
    "=&=&=",
    "%",
    "%E0%A4%A",
    "p=1:2:3",
    "p=a:b",
    "c=1,1",
    "c=0,1,1",
    "x=1e999,1,1,1",
    "x=NaN",
    "b=[1]",
    "view=__proto__",
    "lang=xx",
    "theme=url(http://evil)",
    "stack=1.2",
    "stack=3.2.1.0.0,x",
    "constructor=1&__proto__=2",
    "n=2,2&x=" + "1," * 5000,
]


def test_a_link_brings_the_layer_back(viewer: Viewer) -> None:
    several = drawn(st.tuples(layers(100), st.sampled_from(["all", "matrix", "undo"]), st.booleans()), 20)
    for layer, view, stacked in several:
        viewer.show(*layer)
        if view != "all":
            viewer.field("view").select_option(view)
        elif stacked:
            viewer.click("stack-add")
        link, shown, state, other = viewer.page.evaluate(
            f"""other => {{
              const found = [location.hash, ({TEXT})(), tconv.page.state];
              tconv.restore(other);
              return [...found, tconv.page.state];
            }}""",
            "n=1&k=1&s=1&p=0&op=0&d=1&c=1,1,1",
        )
        assert other != state
        again, texts = viewer.follow(link, f"[tconv.page.state, ({TEXT})()]")
        assert again == state
        live = (
            "stamp/stamp",
            "gather/met",
            "gather/product",
            "windows/slid",
        )  # they follow what is looked at, which is in no link
        assert {name: plate["texts"] for name, plate in json.loads(texts).items() if not name.startswith(live)} == {
            name: plate["texts"] for name, plate in json.loads(shown).items() if not name.startswith(live)
        }


FOUND = """{
  message: document.querySelector("#message:not([hidden])").textContent,
  inside: document.querySelectorAll("#message *").length, scripts: document.scripts.length,
  y: document.querySelectorAll("#card-layer [data-plate=y0] [role=gridcell]").length,
}"""


def test_junk_gives_a_message_and_leaves_the_page_usable(viewer: Viewer) -> None:
    """One after another on one page, which works after each of them, and as after the first opening in the end."""
    alerts: list[str] = []
    viewer.page.once("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    first = viewer.state()
    for junk in JUNK:
        found = viewer.follow(junk, FOUND)
        starts = ("This link could not be read in full", "The layer in this link breaks a law")
        assert found["message"].startswith(starts), junk
        assert (found["inside"], found["scripts"]) == (0, 2) and found["y"] and alerts == [], junk
        viewer.type("n0", 3)
        typed, after, message = viewer.page.evaluate(
            """() => {
              const typed = tconv.page.state.n[0];
              tconv.restore("");
              return [typed, tconv.page.state, document.querySelector("#message").textContent];
            }"""
        )
        assert (typed, after, message) == (3, first, ""), junk


@pytest.mark.parametrize("junk", ["n=<b>", "x=1,2", "n=2&k=3,3"])
def test_junk_in_the_first_address(viewer: Viewer, junk: str) -> None:
    viewer.open(junk)
    assert viewer.text("message").startswith("This link could not be read in full")
    assert len(viewer.y()) == 16


def test_a_link_that_breaks_a_law(viewer: Viewer) -> None:
    viewer.open("n=2&k=3&s=1&p=9&op=0&d=1&c=1,1,1")
    assert viewer.text("message") == "The layer in this link breaks a law; the one before is shown instead."
    assert len(viewer.y()) == 16


def test_copy_link(viewer: Viewer) -> None:
    viewer.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer.type("n0", 3)
    viewer.click("copy-link")
    viewer.page.locator('[name="copy-link"]', has_text="copied").wait_for()
    copied = viewer.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == viewer.page.url and "#n=3,3&k=3,3" in copied


def test_a_notebook_cell(viewer: Viewer) -> None:
    """The page in a frame of a document of its own, as `_repr_html_` gives it; it has no address to write to."""
    viewer.page.goto("about:blank")
    viewer.page.set_content(explain([1, 2, 3], [1, 2, 1], stride=2)._repr_html_())
    frame = viewer.page.frame_locator("iframe")
    frame.locator("#drawer > summary").click()
    frame.locator("[name=n0]").fill("4")
    frame.locator("[name=n0]").press("Tab")
    texts = frame.locator("#card-layer [data-plate=y0] [role=gridcell]").all_text_contents()
    assert texts == ["1", "2", "3", "4", "5", "6", "7", "8", "4"]


@pytest.mark.parametrize("card", ["layer", "stamp", "matrix", "phases", "undo"])
def test_export(viewer: Viewer, card: str, tmp_path: Path) -> None:
    viewer.field("view").select_option("stamp" if card == "layer" else card)
    with viewer.page.expect_download() as caught:
        viewer.click(f"svg-{card}")
    caught.value.save_as(tmp_path / "a.svg")
    assert caught.value.suggested_filename == f"tconv-{card}.svg"
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    plates = [plate for name, plate in viewer.read().items() if name.startswith(f"{card}/")]
    shown = [text for plate in plates if plate["roles"] for text in plate["texts"]]  # without roles: drawn as dots
    assert [each.text or "" for each in root.iter(f"{SVG}text") if each.get("role") == "gridcell"] == shown
    assert "var(" not in (root.findtext(f"{SVG}style") or "")
    with viewer.page.expect_download() as caught:
        viewer.click(f"png-{card}")
    caught.value.save_as(tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png").convert("RGB")
    assert image.size == (2 * int(root.get("width") or 0), 2 * int(root.get("height") or 0))
    assert len(image.getcolors(1 << 24) or []) > 20


def test_languages(viewer: Viewer) -> None:
    viewer.field("view").select_option("all")
    viewer.field("lang").select_option("zh")
    assert viewer.page.title() == "转置卷积探索器"
    assert viewer.page.evaluate("() => document.documentElement.lang") == "zh-Hans"
    text = viewer.page.locator("body").inner_text()
    assert all(word in text for word in ("卷积核", "步幅", "输出填充", "膨胀率", "分组", "感受野", "伪逆", "棋盘格"))
    assert viewer.page.url.endswith("lang=zh")
    viewer.field("lang").select_option("en")
    assert viewer.page.title() == "Transposed convolution explorer"


def test_every_sentence_is_there_in_both_languages() -> None:
    web = Path(explain.__code__.co_filename).parent / "web"
    words = (web / "words.js").read_text() + (web / "lessonwords.js").read_text()
    import re

    keys = set(re.findall(r"^  (\w+): \[|(?<=\], )(\w+): \[", words, re.MULTILINE))
    known = {a or b for a, b in keys}
    used = set()
    for path in (Path(explain.__code__.co_filename).parent / "web").glob("*"):
        used |= set(re.findall(r"""\bsay\("(\w+)"|data-say="(\w+)\"""", path.read_text()))
    assert {a or b for a, b in used} <= known
    for line in re.findall(r"\w+: \[(.*?)\](?:,|$)", words, re.MULTILINE):
        if '", "' in line:
            english, chinese = re.split(r'", ?\s*"', line, maxsplit=1)
            assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), line


def test_themes(viewer: Viewer) -> None:
    def paper() -> str:
        colour: str = viewer.page.evaluate("() => getComputedStyle(document.querySelector('#bar')).backgroundColor")
        return colour

    light, dark = "rgb(255, 255, 255)", "rgb(18, 22, 27)"
    assert paper() == light
    viewer.page.emulate_media(color_scheme="dark")
    assert paper() == dark
    viewer.field("theme").select_option("light")
    assert paper() == light
    viewer.field("theme").select_option("dark")
    viewer.page.emulate_media(color_scheme="light")
    assert paper() == dark and "theme=dark" in viewer.page.url
