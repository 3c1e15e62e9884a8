"""The README's first commands, in an environment that has an installed tconv: `python release/first_steps.py`.

Nothing but that and NumPy is imported, so that it runs where there are no test tools and no compiler. The commands of a
shell run where the extra `explain` is installed; elsewhere the sentence that names it is looked at.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import tconv

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of code in README.md, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def in_python() -> None:
    """The first block, and what runs here."""
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    tconv.show_config()


def on_many_threads() -> None:
    """One layer, called on eight threads, gives the same bits; where Python has no lock, tconv brings none back."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        print("without Python's global lock")
    elif sysconfig.get_config_var("Py_GIL_DISABLED"):
        sys.exit("this Python is free-threaded, but importing tconv turned its global lock on")
    weight = np.random.rand(16, 8, 3, 3).astype(np.float32)
    geometry = tconv.Geometry((3, 3), stride=2)
    layer = tconv.prepare(weight, geometry=geometry)
    inputs = [np.random.rand(1, 16, 4 + n % 5, 9).astype(np.float32) for n in range(200)]
    expected = [layer(x) for x in inputs]
    again = tconv.prepare(weight, geometry=geometry)  # its packs and plans are made by the threads
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(again, inputs))
    if not all(map(np.array_equal, expected, found)):
        sys.exit("calls on many threads gave other results than one after the other")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`tconv ARGUMENTS` in the present folder."""
    return subprocess.run([sys.executable, "-m", "tconv", *arguments], capture_output=True, text=True, check=False)


def in_a_shell() -> None:
    """Every line of the first block with commands of tconv, in a folder of its own."""
    lines = next(lines for lines in blocks("bash") if "\ntconv " in f"\n{lines}").splitlines()
    for line in lines:
        done = command(*shlex.split(line, comments=True)[1:])
        if done.returncode or done.stderr:
            sys.exit(f"{line}\n{done.stdout}{done.stderr}")
    print(f"{len(lines)} commands ran")


def without_the_command_line() -> None:
    """It is one sentence that names a command."""
    done = command("size")
    if done.returncode != 2 or not re.fullmatch(r"tconv: the command line needs \w+: pip install \S+\n", done.stderr):
        sys.exit(f"`tconv size` without its packages said: {done.stdout}{done.stderr}")
    print(done.stderr.strip())


def main() -> None:
    if Path(tconv.__file__).is_relative_to(ROOT / "src"):
        sys.exit(f"this is the checkout's tconv, not an installed one: {tconv.__file__}")
    in_python()
    on_many_threads()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        if find_spec("cyclopts"):
            in_a_shell()
        else:
            without_the_command_line()


if __name__ == "__main__":
    main()
