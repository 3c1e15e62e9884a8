"""Says where the repository is published: `python release/home.py https://github.com/OWNER/NAME`.

The address is written into pyproject.toml and CITATION.cff, and README.md's links and pictures begin with it, because
an index shows that file without the others. Run it again to move: what the former address began is found.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)")
PLACEHOLDER = "# [project.urls] is written by release/home.py, before the first release: see CONTRIBUTING.md.\n"
URLS = re.compile(r"\[project\.urls\]\n(?:[^\[\n].*\n)*|" + re.escape(PLACEHOLDER))
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#:]+)(#[^)\s]*)?\)")


def home_of(pyproject: str) -> str | None:
    """The address that pyproject.toml gives; None: none yet."""
    urls: dict[str, str] = tomllib.loads(pyproject)["project"].get("urls", {})
    return urls.get("Repository")


def in_pyproject(text: str, home: str) -> str:
    """pyproject.toml with the addresses that follow from `home`."""
    owner, name = _parts(home)
    urls = {
        "Repository": home,
        "Documentation": f"https://{owner}.github.io/{name}/",
        "Changelog": f"{home}/blob/main/CHANGELOG.md",
        "Issues": f"{home}/issues",
        "Security": f"{home}/security",
    }
    table = "[project.urls]\n" + "".join(f'{key} = "{url}"\n' for key, url in urls.items())
    if not URLS.search(text):
        sys.exit("pyproject.toml has neither [project.urls] nor the comment in its place")
    return URLS.sub(table, text, count=1)


def in_readme(text: str, home: str, former: str | None) -> str:
    """README.md with whole addresses: pictures as they are, all else as the forge shows it."""
    if former:
        text = text.replace(_raw(former), "").replace(f"{former}/blob/main/", "")

    def whole(match: re.Match[str]) -> str:
        words, target, place = match[1], match[2], match[3] or ""
        start = _raw(home) if words.startswith("!") else f"{home}/blob/main/"
        return f"{words}({start}{target}{place})"

    return LINK.sub(whole, text)


def in_citation(text: str, home: str) -> str:
    """CITATION.cff with the address."""
    kept = [line for line in text.splitlines() if not line.startswith("repository-code:")]
    return "\n".join([*kept, f'repository-code: "{home}"']) + "\n"


def relative_links(readme: str) -> list[str]:
    """Links and pictures of README.md that an index could not follow."""
    return [match[2] for match in LINK.finditer(readme)]


def _parts(home: str) -> tuple[str, str]:
    found = PLACE.fullmatch(home)
    if not found:
        sys.exit(f"{home} is no address of a repository: write https://github.com/OWNER/NAME")
    return found[1], found[2]


def _raw(home: str) -> str:
    owner, name = _parts(home)
    return f"https://raw.githubusercontent.com/{owner}/{name}/main/"


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("give one address: https://github.com/OWNER/NAME")
    home = arguments[0].removesuffix("/").removesuffix(".git")
    _parts(home)
    former = home_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    changes: dict[str, Callable[[str], str]] = {
        "README.md": lambda text: in_readme(text, home, former),
        "CITATION.cff": lambda text: in_citation(text, home),
        "pyproject.toml": lambda text: in_pyproject(text, home),
    }
    for name, change in changes.items():
        path = ROOT / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
