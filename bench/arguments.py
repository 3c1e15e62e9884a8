"""What the benchmarks refuse on their command lines, and why."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tconv.benchmark.suite import Case, select
from tconv.errors import TconvError


def check(parser: argparse.ArgumentParser, options: argparse.Namespace, **least: int) -> None:
    """Numbers that are too small, and a folder in place of the file that is to be written."""
    for name, number in least.items():
        if (given := getattr(options, name)) < number:
            parser.error(f"--{name.replace('_', '-')} {given} must be at least {number}")
    if (out := getattr(options, "out", None)) and out.is_dir():
        parser.error(f"-o {out} is a folder: name the Markdown file that is to be written")


def layers(parser: argparse.ArgumentParser, only: Sequence[str]) -> tuple[Case, ...]:
    """The published layers that are asked for by parts of their names; all without any."""
    try:
        return select(only)
    except TconvError as error:
        parser.error(str(error))
