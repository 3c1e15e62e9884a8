from __future__ import annotations

import pytest

from tconv.nn import functional


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine alone: no fallback, and gradients of small calls too."""
    monkeypatch.setenv("TCONV_STRICT", "1")
    monkeypatch.setattr(functional, "SMALL", 0)
