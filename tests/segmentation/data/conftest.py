"""A folder of data that a test may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tconv.segmentation import synthetic


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    synthetic.write(tmp_path / "data", "cells", 6, 48)
    return tmp_path / "data"
