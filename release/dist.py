"""Looks through what is to be published: `python release/dist.py dist`.

It runs in an environment with abi3audit, check-wheel-contents and twine, and says how large everything is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

BIN = Path(sys.executable).parent
MEGABYTE = 1e6
LARGEST = {".gz": 3 * MEGABYTE, ".whl": 3 * MEGABYTE}
NEVER = ("docs/gallery/", "bench/results/", ".github/")  # in an sdist
ALWAYS = (
    "CMakeLists.txt",
    "LICENSE",
    "cmake/compiler.cmake",
    "cmake/notices.cmake",
    "cpp/bind.cpp",
    "src/tconv/__init__.py",
)


def judge_sdist(names: Iterable[str], size: int) -> list[str]:
    """What is wrong with a source distribution, by its files below its one folder, and its size in bytes."""
    names = list(names)
    wrong = [f"has {name}" for name in names if name.startswith(NEVER)]
    wrong += [f"lacks {name}" for name in ALWAYS if name not in names]
    return wrong + _too_large(".gz", size)


def judge_wheel(names: Iterable[str], size: int, label: str) -> list[str]:
    """The same for a wheel, by its files, its size and its name."""
    names = list(names)
    cores = [name for name in names if name.startswith("tconv/native/_core.") and name.endswith(".so")]
    wrong = [] if len(cores) == 1 else [f"has {len(cores)} compiled cores, not 1"]
    wrong += [f"has {core}, which is no stable ABI" for core in cores if "-abi3-" in label and ".abi3." not in core]
    wrong += [f"lacks {name}" for name in ("tconv/py.typed", "tconv/native/_core.pyi") if name not in names]
    notices = {name.rpartition("/")[2] for name in names if ".dist-info/licenses/" in name}
    wrong += [
        f"lacks the licence {name}" for name in ("LICENSE", "nanobind.txt", "robin-map.txt") if name not in notices
    ]
    if "-linux_" in label:
        wrong += ["is not repaired by auditwheel"]
    return wrong + _too_large(".whl", size)


def _too_large(suffix: str, size: int) -> list[str]:
    most = LARGEST[suffix]
    return [f"has {size / MEGABYTE:.1f} MB, and {most / MEGABYTE:.0f} are the most"] if size > most else []


def judged(path: Path) -> list[str]:
    """What is wrong with a file."""
    size = path.stat().st_size
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return judge_wheel(wheel.namelist(), size, path.name)
    with tarfile.open(path) as archive:
        return judge_sdist((name.partition("/")[2] for name in archive.getnames()), size)


def main(folder: Path) -> None:
    """Judge every file; then let the tools do so."""
    files = sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])
    wheels = [path for path in files if path.suffix == ".whl"]
    failed = not files
    for path in files:
        print(f"{path.stat().st_size / MEGABYTE:6.2f} MB  {path.name}")
        for words in judged(path):
            print(f"           {words}")
            failed = True
    stable = [path for path in wheels if "-abi3-" in path.name]
    commands = [["twine", "check", "--strict", *files], ["check-wheel-contents", *wheels]]
    commands += [["abi3audit", "--strict", path] for path in stable]
    for command in commands:
        path = os.pathsep.join([str(BIN), os.environ["PATH"]])
        failed |= subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode != 0
    sys.exit(f"{folder} is not fit to be published" if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
