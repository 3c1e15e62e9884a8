"""What is released, and how: addresses, versions, lower bounds, files; the scripts in `release/`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import dist
import home
import oldest
import pytest
import ready

import tconv

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
HERE = "https://github.com/somebody/tconv"
RAW = "https://raw.githubusercontent.com/somebody/tconv/main/"


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads(PYPROJECT)
    assert project["project"]["dynamic"] == ["version"]
    source = ROOT / project["tool"]["scikit-build"]["metadata"]["version"]["input"]
    assert f'\n__version__ = "{tconv.__version__}"\n' in source.read_text()
    assert re.search(rf"^## \[{re.escape(tconv.__version__)}\] - ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert "version" not in (ROOT / "CITATION.cff").read_text().replace("cff-version", "")


def test_typed() -> None:
    assert resources.files("tconv").joinpath("py.typed").is_file()


def test_home_is_the_same_everywhere() -> None:
    """Before it is known, nowhere."""
    address = home.home_of(PYPROJECT)
    citation = (ROOT / "CITATION.cff").read_text()
    links = home.relative_links((ROOT / "README.md").read_text())
    if address is None:
        assert home.PLACEHOLDER in PYPROJECT and "repository-code" not in citation and links
    else:
        assert f'repository-code: "{address}"' in citation and not links


def test_home_in_pyproject() -> None:
    assert home.home_of("[project]\n") is None
    text = "[project]\nname = 'x'\n\n[tool.x]\na = 1\n".replace("\n\n", f"\n\n{home.PLACEHOLDER}\n")
    written = home.in_pyproject(text, HERE)
    assert tomllib.loads(written)["project"]["urls"] == {
        "Repository": HERE,
        "Documentation": "https://somebody.github.io/tconv/",
        "Changelog": f"{HERE}/blob/main/CHANGELOG.md",
        "Issues": f"{HERE}/issues",
        "Security": f"{HERE}/security",
    }
    assert tomllib.loads(written)["tool"] == {"x": {"a": 1}}
    moved = home.in_pyproject(written, "https://github.com/other/name")
    assert home.home_of(moved) == "https://github.com/other/name" and HERE not in moved
    assert home.in_pyproject(moved, HERE) == written
    assert home.home_of(home.in_pyproject(PYPROJECT, HERE)) == HERE


def test_home_in_readme() -> None:
    text = "![a](docs/a.png) [b](docs/b.md#c) [d](https://e.example/f) [g](#h) `x[i](j)`\n"
    whole = home.in_readme(text.replace(" `x[i](j)`", ""), HERE, None)
    assert whole == f"![a]({RAW}docs/a.png) [b]({HERE}/blob/main/docs/b.md#c) [d](https://e.example/f) [g](#h)\n"
    assert home.relative_links(text) == ["docs/a.png", "docs/b.md", "j"] and not home.relative_links(whole)
    moved = home.in_readme(whole, "https://github.com/other/name", HERE)
    assert "somebody" not in moved and home.in_readme(moved, HERE, "https://github.com/other/name") == whole


def test_home_in_citation() -> None:
    once = home.in_citation("title: x\n", HERE)
    assert once == f'title: x\nrepository-code: "{HERE}"\n' == home.in_citation(once, HERE)


@pytest.mark.parametrize("address", ["https://example.org/tconv", "github.com/a/b", "https://github.com/a"])
def test_no_home(address: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "release/home.py", address], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"{address} is no address of a repository: write https://github.com/OWNER/NAME\n"


def test_ready() -> None:
    pyproject = home.in_pyproject(PYPROJECT, HERE)
    changelog = "## [Unreleased]\n\n## [1.2.0] - 2030-01-02\n### Added\n- all\n"
    citation = f'repository-code: "{HERE}"\n'
    assert not ready.missing("v1.2.0", "1.2.0", changelog, pyproject, "[a](https://b.example)", citation)
    assert ready.missing("v1.2.0", "1.2.1", changelog.replace("\n\n", "\n- new\n\n", 1), pyproject, "[a](b)", "") == [
        "the tag is v1.2.0 and the version 1.2.1: tag v1.2.1, or change src/tconv/__init__.py",
        "CHANGELOG.md has no line `## [1.2.1] - YYYY-MM-DD`: write one",
        "CHANGELOG.md has changes under [Unreleased]: move them under [1.2.1]",
        f"CITATION.cff does not name {HERE}: python release/home.py {HERE}",
        "README.md links to b, which an index cannot follow: python release/home.py ADDRESS",
    ]
    assert ready.missing("v1.2.0", "1.2.0", changelog, "[project]\n", "", "") == [
        "nobody said where the repository is: python release/home.py https://github.com/OWNER/NAME"
    ]


def test_oldest() -> None:
    text = """
    [build-system]
    requires = ["maker>=0.11"]
    [project]
    dependencies = ["numpy>=1.26"]
    [project.optional-dependencies]
    a = ["x-y>=2.1,<3"]
    b = ["tconv[a,c]", "x-y>=2.9"]
    c = ["tconv[a]", "x-y>=2.10", "z[w]>=1"]
    d = ["unbound"]
    e = ["odd!=3"]
    """
    assert oldest.oldest(text, ["b"]) == {"maker": "0.11", "numpy": "1.26", "x-y": "2.10", "z": "1"}
    assert oldest.oldest(text, []) == {"maker": "0.11", "numpy": "1.26"}
    for extra, words in {
        "d": "pyproject.toml gives unbound no lower bound: write the oldest release that was tried, unbound>=1.0",
        "e": "pyproject.toml says 'odd!=3': write name[extras]>=version or name>=version,<version",
        "f": "pyproject.toml has no extra f: it has a, b, c, d, e",
    }.items():
        with pytest.raises(SystemExit) as left:
            oldest.oldest(text, [extra])
        assert str(left.value) == words


def test_oldest_of_what_is_tested() -> None:
    """Every extra of `make test-oldest` has bounds, and each is the number of a release, which pip takes exactly."""
    extras = re.findall(r"^RELEASED_EXTRAS = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
    bounds = oldest.oldest(PYPROJECT, extras)
    assert {"torch", "numpy", "scipy", "zarr", "cyclopts"} <= set(bounds)


WHEEL = ["tconv/native/_core.abi3.so", "tconv/py.typed", "tconv/native/_core.pyi",
         *(f"tconv-1.dist-info/licenses/{name}" for name in ("LICENSE", "nanobind.txt", "robin-map.txt"))]  # fmt: skip


def test_judged_wheels() -> None:
    label = "tconv-1-cp312-abi3-manylinux_2_28_x86_64.whl"
    assert not dist.judge_wheel(WHEEL, 2_000_000, label)
    other = [name.replace("abi3", "cpython-312-x86_64-linux-gnu") for name in WHEEL]
    assert dist.judge_wheel(other, 1, label) == [
        "has tconv/native/_core.cpython-312-x86_64-linux-gnu.so, which is no stable ABI"
    ]
    assert not dist.judge_wheel(other, 1, label.replace("abi3", "cp312"))
    assert dist.judge_wheel(WHEEL[:3] * 2, 4_000_000, "tconv-1-cp311-cp311-linux_x86_64.whl") == [
        "has 2 compiled cores, not 1",
        "lacks the licence LICENSE",
        "lacks the licence nanobind.txt",
        "lacks the licence robin-map.txt",
        "is not repaired by auditwheel",
        "has 4.0 MB, and 3 are the most",
    ]


def test_judged_sdists() -> None:
    assert not dist.judge_sdist(dist.ALWAYS, 1)
    assert all((ROOT / name).is_file() for name in dist.ALWAYS)
    assert dist.judge_sdist(["docs/gallery/a.gif", *dist.ALWAYS[1:]], 3_100_000) == [
        "has docs/gallery/a.gif",
        "lacks CMakeLists.txt",
        "has 3.1 MB, and 3 are the most",
    ]


def test_workflows_run_what_there_is() -> None:
    """Every script and target that a workflow names exists, and the Pythons of the classifiers are those it tries."""
    workflows = {path.name: path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    text = "".join(workflows.values())
    for script in re.findall(r"\b(release/\w+\.py)", text + PYPROJECT):
        assert (ROOT / script).is_file(), script
    targets = re.findall(r"\bmake ([\w-]+)", text)
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    assert {"test", "check-dist", "docs"} <= set(targets)
    tried = re.findall(r'python: \["(.*)"\]', workflows["wheels.yml"])[0].split('", "')
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert set(classified) <= set(tried)


def test_issue_forms_ask_for_the_configuration() -> None:
    forms = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) >= 3
    for path in forms:
        assert "`tconv show-config`" in path.read_text(), path.name
