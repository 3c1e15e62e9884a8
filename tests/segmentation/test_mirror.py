"""Whether crops are mirrored: found out by what a network sees in mirror images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tconv.segmentation.metrics import Confusion
from tconv.segmentation.train import Settings, train
from tconv.segmentation.train import trainer as trainers
from tconv.segmentation.train.mirror import mirrored
from tconv.segmentation.train.state import Progress
from tconv.segmentation.train.trainer import Trainer

GOOD = Confusion(np.array([[90, 10], [10, 90]]))
WORSE = Confusion(np.array([[90, 10], [25, 75]]))
POOR = Confusion(np.array([[90, 10], [100, 0]]))


class Probe:
    """Answers as it was told, by where a bright corner went."""

    def __init__(self, horizontal: Confusion, vertical: Confusion, turned: Confusion) -> None:
        self.answers = {(0, 1): horizontal, (1, 0): vertical}
        self.turned = turned

    def measure(self, model: Any, classes: int, accelerator: Any, move: Callable[[Any], Any]) -> Confusion:
        image = torch.zeros(2, 3)
        image[0, 0] = 1
        moved = move(image)
        if moved.shape != image.shape:
            return self.turned
        row, column = np.argwhere(moved.numpy())[0]
        return self.answers[(int(row), int(column > 0))]


@pytest.mark.parametrize(("answers", "plain", "expected"), [
    ((GOOD, GOOD, GOOD), GOOD, "both"), ((GOOD, GOOD, WORSE), GOOD, "horizontal"),
    ((GOOD, WORSE, GOOD), GOOD, "horizontal"),
    ((WORSE, GOOD, GOOD), GOOD, "none"), ((POOR, POOR, POOR), POOR, None),
])  # fmt: skip
def test_what_is_found_decides(answers: tuple[Confusion, ...], plain: Confusion, expected: str | None) -> None:
    probe: Any = Probe(*answers)
    assert mirrored(None, probe, plain) == expected


def test_it_is_said_and_kept_when_the_training_goes_on(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str]()
    steps = Trainer._steps

    def watched(self: Trainer) -> Any:
        seen.append(self.batches.augmentation.flip)
        return steps(self)

    monkeypatch.setattr(Trainer, "_steps", watched)
    monkeypatch.setattr(trainers, "mirrored", lambda *_: "both")
    settings = Settings(epochs=2, features=(4, 8), size=32, batch=2, refine=False)
    result = train(cells, tmp_path / "run", settings)
    assert seen == ["none", "both"] and result.progress.flip == "both"
    assert result.progress.history[0]["note"] == "crops are mirrored from now on: both"
    assert "note" not in result.progress.history[1] and "note" not in (tmp_path / "run" / "metrics.csv").read_text()
    train(cells, tmp_path / "run", replace(settings, epochs=3), resume=True)
    assert seen == ["none", "both", "both"]
    assert Progress().flip == ""
