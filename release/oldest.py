"""The oldest versions that pyproject.toml allows, as constraints: `python release/oldest.py EXTRA... > oldest.txt`.

What a lower bound promises is what `make test-oldest` installs: each package at exactly its bound. So a bound is the
number of a release, and every package of an extra that users install has one.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEED = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?\s*(?:>=([\w.]+))?(?:,<[\w.]+)?")


def oldest(pyproject: str, extras: list[str]) -> dict[str, str]:
    """The lower bound of each package that building tconv, tconv and these extras need; of several the highest.

    Raises:
        SystemExit: there is no such extra, or a package without a lower bound.
    """
    document = tomllib.loads(pyproject)
    project = document["project"]
    groups: dict[str, list[str]] = project["optional-dependencies"]
    bounds: dict[str, str] = {}
    open_extras, seen = list(extras), set[str]()
    needs = [*document["build-system"]["requires"], *project["dependencies"]]
    while open_extras:
        extra = open_extras.pop()
        if extra in seen:
            continue
        seen.add(extra)
        if extra not in groups:
            sys.exit(f"pyproject.toml has no extra {extra}: it has {', '.join(groups)}")
        needs += groups[extra]
        open_extras += [inner for need in groups[extra] if (found := _read(need))[0] == "tconv" for inner in found[1]]
    for name, _, bound in map(_read, needs):
        if name == "tconv":
            continue
        if bound is None:
            sys.exit(
                f"pyproject.toml gives {name} no lower bound: write the oldest release that was tried, {name}>=1.0"
            )
        bounds[name] = max(bounds.get(name, bound), bound, key=_order)
    return bounds


def _read(need: str) -> tuple[str, list[str], str | None]:
    found = NEED.fullmatch(need)
    if not found:
        sys.exit(f"pyproject.toml says {need!r}: write name[extras]>=version or name>=version,<version")
    return found[1], (found[2] or "").split(","), found[3]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def main(extras: list[str]) -> None:
    bounds = oldest((ROOT / "pyproject.toml").read_text(encoding="utf-8"), extras)
    for name, bound in sorted(bounds.items()):
        print(f"{name}=={bound}")


if __name__ == "__main__":
    main(sys.argv[1:])
