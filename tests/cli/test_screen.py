"""What is shown while a command works."""

from __future__ import annotations

import pytest

from tconv.cli.screen import waiting


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_is_told_what_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    monkeypatch.setenv("TERM", "xterm")
    with waiting("measuring [b]a.onnx"):
        pass
    said = capsys.readouterr()
    assert ("measuring [b]a.onnx" in said.err) == terminal
    assert said.out == ""
