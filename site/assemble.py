"""Gathers the pages of the documentation site in one folder, and builds it: `python site/assemble.py build/docs`.

The pages of `site/pages` are only here; those of `docs/`, the architecture and the tables of `bench/results` stay where
they are read on the forge, and are copied. The page with lesson and explorer is made anew. Broken links fail.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from os.path import relpath
from pathlib import Path

from tconv.explorer import gallery

ROOT = Path(__file__).parents[1]
COPIED = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/results")
SHIM = (
    "https://unpkg.com/iframe-worker/shim"  # what Zensical would fetch for a search without a server; ours is at hand
)
OUTSIDE = re.compile(r"\]\(\.\./")  # in docs/, a link to what stands beside docs/


def assemble(folder: Path) -> None:
    """Write the site's configuration and its pages into a folder, which is emptied first."""
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    for path in pages.glob("*.md"):  # they move up by one folder, beside what they link to
        path.write_text(OUTSIDE.sub("](", path.read_text(encoding="utf-8")), encoding="utf-8")
    for name in COPIED:
        source, target = ROOT / name, pages / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    beside_docs(pages)
    shutil.copytree(ROOT / "site" / "pages", pages, dirs_exist_ok=True)
    for path in pages.glob("how-to/*.md"):
        offer_notebook(path)
    (pages / "page.html").write_text(gallery.explorer(), encoding="utf-8")
    (pages / "gallery" / "explorer.html").unlink(missing_ok=True)
    shutil.copy(ROOT / "site" / "zensical.toml", folder)


def offer_notebook(path: Path) -> None:
    """A how-to with Python in it as a notebook too, its words and code cell by cell, and a link to it at the end."""
    text = path.read_text(encoding="utf-8")
    if "```python" not in text:
        return
    cells = [cell(part) for part in re.split(r"(```python\n.*?```)", text, flags=re.DOTALL) if part.strip()]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    path.with_suffix(".ipynb").write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    path.write_text(f"{text}\n[This page as a notebook]({path.stem}.ipynb)\n", encoding="utf-8")


def cell(part: str) -> dict[str, object]:
    """A block of Python as a cell that runs, anything else as words."""
    code = re.fullmatch(r"```python\n(.*?)\n?```", part, re.DOTALL)
    source = (code[1] if code else part.strip()).splitlines(keepends=True)
    made: dict[str, object] = {"metadata": {}, "source": source}
    if code:
        return {"cell_type": "code", "execution_count": None, "outputs": [], **made}
    return {"cell_type": "markdown", **made}


def beside_docs(pages: Path) -> None:
    """Links to docs/ lose that folder; links to what the site does not have are only words."""
    for path in [*(pages / name for name in COPIED if name.endswith(".md")), *(pages / "bench").rglob("*.md")]:
        text = path.read_text(encoding="utf-8").replace("](docs/", "](")
        path.write_text(re.sub(r"\[([^\]]+)\]\(([^):#]+)\)", partial(kept, path), text), encoding="utf-8")


def kept(path: Path, link: re.Match[str]) -> str:
    """A link as it is if it leads somewhere, else its words."""
    return link[0] if (path.parent / link[2]).exists() else link[1]


def build(folder: Path) -> Path:
    """Assemble and build the site; returns the folder to be published, which works from anywhere, without a network."""
    assemble(folder)
    subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=folder, check=True)
    html = folder / "html"
    for path in html.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(SHIM, relpath(html / "assets" / "worker.js", path.parent)), encoding="utf-8")
    return html


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
