from __future__ import annotations

import pytest

from tconv.nn import functional


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine alone: no fallback, and all calls with gradients too."""
    monkeypatch.setenv("TCONV_STRICT", "1")
    monkeypatch.setattr(functional, "pays", lambda *_: True)
