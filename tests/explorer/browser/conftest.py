"""One real browser for all tests of the page; layers are set by a call on the page that is open.

Chromium is Debian's, or what TCONV_CHROMIUM names. Where there is none these tests fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from explorer.browser.viewer import Viewer
from playwright.sync_api import Browser, sync_playwright

from tconv.explorer import explain


def chromium() -> str | None:
    names = [os.environ.get("TCONV_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.fail("no chromium: apt-get install chromium, or name one in TCONV_CHROMIUM")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the worked example at stride 2, as a file."""
    path: Path = tmp_path_factory.mktemp("page") / "explorer.html"
    explain(stride=2, padding=1, output_padding=1).save(path)
    return path.as_uri()


@pytest.fixture(scope="module")
def shared(browser: Browser, address: str) -> Iterator[Viewer]:
    viewer = Viewer(browser, address)
    yield viewer
    viewer.close()


@pytest.fixture
def viewer(shared: Viewer) -> Iterator[Viewer]:
    """The page as it was opened; whatever a test does, nothing may be wrong in the console."""
    shared.open()
    yield shared
    assert shared.complaints == []
