"""`show_config` says what runs."""

from __future__ import annotations

import pytest

import tconv
from tconv.config import config


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    tconv.show_config()
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: text.strip() for name, text in lines.items()} == config()
    assert config()["tconv"] == tconv.__version__
    assert f"{tconv.native.active()} (active)" in config()["kernels"]
    assert "-bit vectors" in config()["instructions"] or tconv.native.active() == "reference"
    assert config()["threads"] == str(tconv.native.num_threads())
