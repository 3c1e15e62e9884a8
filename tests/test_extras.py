"""Where a package is missing, the command that is named is right for the way in which tconv was installed."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import pytest

from tconv import extras

ROOT = Path(__file__).parents[1]
URL = "https://git.example/tconv"


def installed(monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None) -> None:
    """As if `pip install` had recorded this origin."""

    class Installed(metadata.PathDistribution):
        def read_text(self, filename: str | Path) -> str | None:
            assert filename == "direct_url.json"
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(Path(name)))


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'tconv[torch]'"),
        ({"url": "{file}", "dir_info": {"editable": True}}, "pip install --editable '{path}[torch]'"),
        ({"url": "{file}", "dir_info": {}}, "pip install '{path}[torch]'"),
        ({"url": "{file}/a%20b.whl", "archive_info": {"hash": "sha256=0"}}, "pip install '{path}/a b.whl[torch]'"),
        (
            {"url": URL, "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "c0ffee"}},
            f"pip install 'tconv[torch] @ git+{URL}@c0ffee'",
        ),
        ({"url": f"{URL}/t.whl", "archive_info": {}}, f"pip install 'tconv[torch] @ {URL}/t.whl'"),
        ({"url": "{file}/gone", "dir_info": {}}, "in a checkout of tconv, pip install '.[torch]'"),
        ({}, "in a checkout of tconv, pip install '.[torch]'"),
    ],
)
def test_cure(origin: dict[str, Any] | None, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b.whl").touch()
    if origin and "url" in origin:
        origin = {**origin, "url": origin["url"].replace("{file}", tmp_path.as_uri())}
    installed(monkeypatch, origin)
    assert extras.cure("torch") == command.replace("{path}", str(tmp_path))


def test_sources_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    monkeypatch.setattr(extras, "_SOURCES", ROOT)
    assert extras.cure("dask") == f"pip install --editable '{ROOT}[dask]'"


def test_every_extra_exists() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(get_args(extras.Extra)) <= set(declared)


def test_no_other_message_says_how_to_install() -> None:
    """The words stand in one module; all others ask it."""
    asking = 0
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        asking += len(re.findall(r"extras\.cure\(", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and path.name != "extras.py":
                assert "pip install" not in node.value and "tconv[" not in node.value, f"{path}:{node.lineno}"
    assert asking >= 15
