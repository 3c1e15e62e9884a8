"""The documentation site: it builds without a warning, its links lead somewhere, and it needs no network."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from cli.calling import called
from playwright.sync_api import Browser
from skimage import data
from skimage.io import imsave

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "site" / "pages").rglob("*.md"))
# Pages about packages that the tests do not bring; `make docs-models` runs them where those are.
RELEASED = {"speed-up-segmentation", "speed-up-diffusion", "speed-up-speech"}
# Pages with commands that need what an earlier one made, in that order.
COMMANDED = ("first-segmentation", "see", "decompose", "find-a-layer", "show-it")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it; it fails where a link is broken."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "site" / "assemble.py", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def addresses(text: str) -> Iterator[tuple[str, str]]:
    """What a page fetches (src, stylesheets) or leads to (href)."""
    for tag, name, address in re.findall(r'<(\w+)[^>]*?\s(src|href)="([^"]*)"', text):
        yield ("fetched" if name == "src" or tag == "link" else "linked"), address


def test_everything_is_there_and_nothing_is_fetched(html: Path) -> None:
    pages = list(html.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        for kind, address in addresses(page.read_text(encoding="utf-8")):
            if re.match(r"(https?:)?//", address):
                assert kind == "linked", (page.name, address)
                continue
            target = unquote(address.partition("#")[0])
            if target and not target.startswith(("mailto:", "data:", "javascript:")) and page.name != "404.html":
                found = page.parent / target
                assert found.exists(), (page.relative_to(html), address)


def test_notebooks_run(html: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How-tos are notebooks as well; every cell of them runs, in order."""
    notebooks = sorted(html.rglob("*.ipynb"))
    names_of = {path.stem for path in notebooks}
    assert names_of >= {"find-a-layer", "other-frameworks", "show-it", "first-segmentation", "see", "decompose"}
    for path in notebooks:
        if path.stem in RELEASED:
            continue
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert notebook["nbformat"] == 4 and notebook["cells"][0]["source"][0].startswith("# ")
        names: dict[str, object] = {}
        for cell in notebook["cells"]:
            assert cell["cell_type"] in ("code", "markdown")
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
        assert names
    assert "kernel 4, stride 2, padding 1" in capsys.readouterr().out


def test_the_explorer_is_an_element(html: Path, browser: Browser) -> None:
    """`<tconv-explorer>` in a page of one's own."""
    script = (html / "assets" / "tconv-explorer.js").as_uri()
    page_file = html / "own.html"
    page_file.write_text(
        f'<script src="{script}"></script><tconv-explorer show="lesson=4" height="700"></tconv-explorer>'
    )
    page = browser.new_page()
    page.goto(page_file.as_uri())
    frame = page.frame_locator("tconv-explorer iframe")
    assert frame.locator("#step-4-title").inner_text() == "What does output_padding do?"
    assert page.locator("iframe").evaluate("each => each.getBoundingClientRect().height") == 700
    page.close()
    page_file.unlink()


def test_it_works_from_a_folder(html: Path, browser: Browser) -> None:
    """Opened as files: the lesson in its frame, the reference, and the search, without a request to anywhere."""
    asked: list[str] = []
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.on("request", lambda each: asked.append(each.url))
    page.on("pageerror", lambda error: asked.append(f"http error: {error}"))
    page.goto((html / "index.html").as_uri())
    assert page.frame_locator("iframe.whole").locator("#step-4-title").inner_text() == "What does output_padding do?"
    tabs = page.locator("nav.md-tabs a")  # the front page has no other way on
    assert {"Lesson", "Understand", "How to", "Reference"} <= {text.strip() for text in tabs.all_inner_texts()}
    tabs.filter(has_text="How to").click()
    assert page.locator("article h1").inner_text().startswith("Speed up my model")
    page.goto((html / "explorer.html").as_uri())
    page.frame_locator("iframe.whole").locator("#card-layer").wait_for()
    page.goto((html / "reference" / "tconv.html").as_uri())
    assert "output_size" in page.locator("article").inner_text()
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Search").fill("checkerboard")
    page.get_by_text("results", exact=False).first.wait_for()
    page.close()
    assert [url for url in asked if url.startswith("http")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_says_in_python_runs(page: Path, tmp_path: Path) -> None:
    """The blocks of a page, one after another, as a reader would paste them."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        compile(block, page.name, "exec")
    if page.stem in RELEASED:
        assert {path.stem for path in page.parent.glob("speed-up-*.md")} == RELEASED  # what try_models.py runs
        return
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    runpy.run_path(str(script))


def test_commands_of_the_how_tos_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every `tconv` line of a block, in the order of the pages, in one folder with two photographs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for n, image in enumerate((data.astronaut()[:64, 200:264], data.chelsea()[100:164, 100:164])):
        imsave(tmp_path / "photos" / f"{n}.png", image)
    pages = {page.stem: page.read_text(encoding="utf-8") for page in PAGES if page.parent.name == "how-to"}
    blocks = {stem: re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for stem, text in pages.items()}
    assert {stem for stem, found in blocks.items() if found} == set(COMMANDED) - {"find-a-layer"}
    lines = [line for stem in COMMANDED for block in blocks[stem] for line in block.splitlines()]
    lines += re.findall(r"`(tconv [^`]*)`", pages["find-a-layer"])
    assert len(lines) > 15
    for line in lines:
        program, *arguments = shlex.split(line, comments=True)
        assert program in ("tconv", "cairosvg"), line
        if program == "tconv":
            status, out, err = called(arguments, capsys)
            assert status == 0 and out, (line, err)


def test_environment_variables_are_all_there() -> None:
    """Those that the sources read, and no other."""
    read = set()
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "cpp").rglob("*.cpp"), *(ROOT / "tests").rglob("conftest.py")]:
        read |= set(re.findall(r"environ[^\n]*[\"'](TCONV_[A-Z]+)|getenv\(\"(TCONV_[A-Z]+)", path.read_text()))
    said = set(re.findall(r"`(TCONV_[A-Z]+)`", (ROOT / "site/pages/reference/environment.md").read_text()))
    assert said == {name for pair in read for name in pair if name}
