from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tconv.segmentation import synthetic
from tconv.segmentation.train import Settings

# Small, quick and noisy: what is tested is what happens, not how good the model gets.
QUICK = Settings(epochs=2, features=(4, 8), size=32, batch=2, held_out=0.25)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 8 small images of cells; not to be changed."""
    folder = tmp_path_factory.mktemp("cells")
    synthetic.write(folder, "cells", 8, 48)
    return folder


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Accelerate writes into the environment; what follows must not see it."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
