"""How predictions are finished: pieces, holes, flips; chosen on held-out images, recorded, and done by predict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tconv import segmentation
from tconv.arrays import Array
from tconv.segmentation import Card, palette
from tconv.segmentation.components import clean, finished, small_holes
from tconv.segmentation.refine import Finish, refine
from tconv.segmentation.train import Settings, train


def card(**finish: Any) -> Card:
    arguments = {"in_channels": 1, "out_channels": 2, "features": [4]}
    return Card("unet", arguments, ("ground", "cell"), (0, 1), palette(2), (0.0,), (1.0,), 32, finish=finish)


def field(*squares: tuple[int, int, int]) -> Array:
    """Ground, with squares of class 1: row, column, side."""
    classes = np.zeros((40, 40), np.uint8)
    for row, column, side in squares:
        classes[row : row + side, column : column + side] = 1
    return classes


def test_small_pieces_get_the_class_around_them() -> None:
    found = field((2, 2, 10), (30, 30, 2), (20, 5, 3))
    assert np.array_equal(clean(found, (0, 5)), field((2, 2, 10), (20, 5, 3)))
    assert np.array_equal(clean(found, (0, 10)), field((2, 2, 10)))
    assert np.array_equal(clean(found, (0, 0)), found) and clean(found) is not found


def test_pieces_hang_together_over_corners() -> None:
    found = field((2, 2, 2), (4, 4, 2))
    assert np.array_equal(clean(found, (0, 8)), found)


def test_holes_are_filled_unless_the_border_cuts_them() -> None:
    found = field((0, 0, 12))
    found[5:7, 5:7] = 0
    found[0, 3] = 0
    filled = clean(found, holes=(0, 4))
    assert filled[5:7, 5:7].all() and filled[0, 3] == 0
    assert not clean(found, holes=(0, 3))[5:7, 5:7].any()
    assert not small_holes(np.ones((3, 3), bool), 5).any()


def test_nothing_is_left_of_a_map_of_crumbs() -> None:
    crumbs = field((1, 1, 1), (9, 9, 1))
    assert np.array_equal(clean(crumbs, (2000, 2)), crumbs)  # all of it would go: then nothing does


def test_a_card_says_what_is_done() -> None:
    found = field((2, 2, 10), (30, 30, 2))
    assert finished(found, card()) is found
    assert np.array_equal(finished(found, card(least=[0, 5])), field((2, 2, 10)))


@dataclass
class Probe:
    """Held-out images that a network finds with some noise."""

    truths: list[Array]

    def predicted(self, model: nn.Module) -> Any:
        for truth in self.truths:
            scores = model(torch.from_numpy(truth)[None, None].float())
            yield type("View", (), {"classes": truth}), scores[0].argmax(0).numpy().astype(np.uint8)

    def every(self, step: int) -> Probe:
        return Probe(self.truths[::step])


class Crumbs(nn.Module):
    """Finds the truth, and crumbs in corners: in one, which a mirror image has elsewhere, or in all."""

    stride, reach, floats = 1, 0, 1.0

    def __init__(self, weight: float, everywhere: bool = False) -> None:
        super().__init__()
        self.weight, self.everywhere = weight, everywhere

    def forward(self, x: Tensor) -> Tensor:
        found = x.clone()
        for row, column in ((36, 36), (36, 2), (2, 36), (2, 2))[: 4 if self.everywhere else 1]:
            found[:, :, row : row + 2, column : column + 2] += self.weight
        return torch.cat((0.5 - found, found - 0.5), 1)


def test_crumbs_are_removed_and_it_is_said_what_that_gains() -> None:
    truths = [field((12, 12, 12)), field((8, 14, 14)), field((13, 12, 12))]
    refined = refine(Crumbs(1.0, everywhere=True), card(), Probe(truths))
    assert refined.finish.least[1] > 4 and refined.finish.flips == "none"
    assert refined.after == 1 > refined.before
    (line,) = refined.lines()
    assert line.startswith(f"pieces of cell below {refined.finish.least[1]} pixels removed: +0.0")
    assert line.endswith(" mean IoU on held-out images")
    assert set(refined.finish.as_dict()) == {"least", "gains"}


def test_flips_are_averaged_if_they_gain() -> None:
    truths = [field((2, 2, 3)), field((8, 4, 3))]  # too small to be told from crumbs by size
    refined = refine(Crumbs(0.9), card(), Probe(truths))
    assert refined.finish.flips == "horizontal" and refined.after > refined.before + 0.1
    assert next(iter(refined.finish.gains)) == "flips horizontal averaged"


def test_flips_are_tried_on_as_many_images_as_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    truths = [field((2, 2, 3)), field((8, 4, 3))] * 20
    seen = list[int]()

    class Counted(Probe):
        def every(self, step: int) -> Probe:
            seen.append(step)
            return super().every(step)

    ticks = iter((0.0, 1.0))  # one second for all images: 6 for the flips of all, of which there are 3
    monkeypatch.setattr("tconv.segmentation.refine.perf_counter", lambda: next(ticks))
    refined = refine(Crumbs(0.9), card(), Counted(truths), seconds=4.0)
    assert seen == [2] and refined.finish.flips == "horizontal"


def test_without_time_flips_are_not_tried() -> None:
    truths = [field((12, 12, 12)), field((8, 14, 14)), field((13, 12, 12))]
    refined = refine(Crumbs(1.0), card(), Probe(truths), seconds=0.0)
    assert refined.finish.flips == "none" and refined.finish.least[1] > 4  # sizes of pieces take no time to speak of


def test_nothing_is_done_where_nothing_gains() -> None:
    refined = refine(Crumbs(0.0), card(), Probe([field((2, 2, 12))]))
    assert refined.finish.as_dict() == {} and refined.lines() == [] and Finish().as_dict() == {}


def test_it_is_recorded_and_predict_does_it(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tconv.segmentation.refine import Refined
    from tconv.segmentation.train import loop

    chosen = Finish("horizontal", (0, 4000, 4000), (0, 0, 0), {"flips horizontal averaged": 0.1})
    monkeypatch.setattr(loop, "refine", lambda *_: Refined(chosen, 0.5, 0.6))
    settings = Settings(epochs=1, features=(4, 8), size=32, batch=2)
    train(cells, tmp_path / "run", settings)
    _, made = segmentation.load(tmp_path / "run")
    assert made.finish["flips"] == "horizontal" and made.finish["least"] == [0, 4000, 4000]
    image = sorted((cells / "images").iterdir())[0]
    from tconv import cli

    with pytest.raises(SystemExit) as left:
        cli.main(["segment", "predict", str(tmp_path / "run"), str(image), "-o", str(tmp_path / "masks")])
    assert not left.value.code
    with Image.open(tmp_path / "masks" / image.name) as mask:
        assert not np.asarray(mask).any()  # a piece of 4,000 pixels does not fit into 48 x 48
    plain = ["--flips", "none", "--no-finish", "-o", str(tmp_path / "plain")]
    with pytest.raises(SystemExit):
        cli.main(["segment", "predict", str(tmp_path / "run"), str(image), *plain])
    expected = segmentation.load(tmp_path / "run")[0]
    with Image.open(image) as opened, Image.open(tmp_path / "plain" / image.name) as mask:
        pixels = torch.from_numpy(np.asarray(opened).astype(np.float32) / 255)[None, None]
        scores = expected((pixels - made.mean[0]) / made.std[0])
        assert (np.asarray(mask) == scores[0].argmax(0).numpy()).mean() > 0.999
