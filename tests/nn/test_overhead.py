"""bench/overhead.py runs, and refuses what it cannot do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, BENCH / script, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_overhead() -> None:
    done = run("overhead.py", "--rounds", "1")
    rows = re.findall(r"^\| ([^|]+) \|((?: -?[\d.]+ \|){4})$", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows[:3]] == ["native call", "Layer", "function"] and len(rows) == 7
    assert rows[0][1].split(" | ")[2:] == ["0.00", "0.00 |"] and done.returncode == 0


@pytest.mark.parametrize(
    ("script", "option", "number", "least"),
    [("overhead.py", "--rounds", 0, 1), ("models.py", "--threads", 0, 1), ("folds.py", "--in-turns", -1, 0)],
)
def test_numbers_that_are_too_small(script: str, option: str, number: int, least: int) -> None:
    done = run(script, option, str(number))
    assert done.returncode == 2 and f"error: {option} {number} must be at least {least}\n" in done.stderr
