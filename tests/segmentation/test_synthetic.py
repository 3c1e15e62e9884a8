"""Sets with exact masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tconv import errors
from tconv.segmentation import synthetic


@pytest.mark.parametrize(("kind", "channels", "classes"), [("digits", 3, 11), ("cells", 1, 3), ("fabric", 3, 5)])
def test_synthetic_sets(kind: str, channels: int, classes: int) -> None:
    make, names = synthetic.SETS[kind]
    parts = {part: list(make(16, 96, 0, part)) for part in synthetic.PARTS}
    for samples in parts.values():
        for image, mask in samples:
            assert image.shape == (96, 96, channels) and image.dtype == mask.dtype == np.uint8
        assert len({int(v) for _, mask in samples for v in np.unique(mask)}) == classes == len(names)
    again = next(make(1, 96, 0, "train"))
    assert np.array_equal(again[0], parts["train"][0][0]) and np.array_equal(again[1], parts["train"][0][1])
    assert not np.array_equal(parts["train"][0][1], parts["test"][0][1])


def test_synthetic_refusals(tmp_path: Path) -> None:
    with pytest.raises(errors.TconvError, match="faces train is no synthetic set; choose of digits, cells, fabric and"):
        synthetic.write(tmp_path, "faces", 1)
    with pytest.raises(errors.TconvError, match="1 images of 8 pixels: there must be at least 1, of at least 48"):
        synthetic.write(tmp_path, "cells", 1, 8)
