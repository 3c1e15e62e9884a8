"""Run a command in this process, as a terminal would."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tconv import cli


def called(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit status of `tconv ARGUMENTS`, what it printed, and what it said on standard error."""
    with pytest.raises(SystemExit) as left:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    status = left.value.code or 0
    assert isinstance(status, int)
    return status, printed.out, printed.err
