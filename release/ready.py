"""Whether this commit may be released under a tag: `python release/ready.py v0.2.0` says in lines what is missing."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from home import home_of, relative_links

ROOT = Path(__file__).parents[1]


def missing(tag: str, version: str, changelog: str, pyproject: str, readme: str, citation: str) -> list[str]:
    """What has to be done first, as sentences.

    Args:
        tag: of the commit, as in v0.2.0.
        version: of the package.
        changelog, pyproject, readme, citation: the files' texts.
    """
    wrong = []
    if tag != f"v{version}":
        wrong.append(f"the tag is {tag} and the version {version}: tag v{version}, or change src/tconv/__init__.py")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        wrong.append(f"CHANGELOG.md has no line `## [{version}] - YYYY-MM-DD`: write one")
    unreleased = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if unreleased and unreleased[1].strip():
        wrong.append(f"CHANGELOG.md has changes under [Unreleased]: move them under [{version}]")
    home = home_of(pyproject)
    if home is None:
        wrong.append("nobody said where the repository is: python release/home.py https://github.com/OWNER/NAME")
    elif f'repository-code: "{home}"' not in citation:
        wrong.append(f"CITATION.cff does not name {home}: python release/home.py {home}")
    if links := relative_links(readme):
        wrong.append(
            f"README.md links to {', '.join(links)}, which an index cannot follow: python release/home.py ADDRESS"
        )
    return wrong


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("give the tag, as in v0.2.0")
    names = ("CHANGELOG.md", "pyproject.toml", "README.md", "CITATION.cff")
    source = (ROOT / "src/tconv/__init__.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)[0]
    wrong = missing(arguments[0], version, *((ROOT / name).read_text(encoding="utf-8") for name in names))
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main(sys.argv[1:])
