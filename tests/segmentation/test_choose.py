"""What a training chooses by itself, and why; what is given stays."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tconv import errors
from tconv.segmentation.data.check import Item
from tconv.segmentation.data.pairs import Pair
from tconv.segmentation.train import Settings, train
from tconv.segmentation.train.choose import Choice, Machine, choose, this_machine

TWO_CORES = Machine(cores=2, memory=8 * 2**30)


def items(count: int, height: int, width: int, counts: dict[int, int] | None = None) -> list[Item]:
    pair = Pair("a", Path("a.png"), Path("m.png"))
    return [Item(pair, (height, width, 3), str(n), counts or {0: height * width // 2, 1: height * width // 2})
            for n in range(count)]  # fmt: skip


def chosen(
    wanted: Settings, found: list[Item], machine: Machine = TWO_CORES, start: dict[str, Any] | None = None
) -> Choice:
    return choose(wanted, found, 2, 3, start or {}, machine)


def test_nothing_is_said() -> None:
    choice = chosen(Settings(), items(60, 96, 128))
    settings = choice.settings
    assert (settings.model, settings.up, settings.rate) == ("unet", "transposed", 2e-3)
    assert (settings.size, settings.features, settings.batch) == (96, (16, 32, 64), 4)
    assert (settings.minutes, settings.steps, settings.epochs) == (10, 48, 63)
    assert list(choice.reasons) == [
        "size 96: the shorter side of most images has 96 pixels or more",
        "features 16,32,64: a crop of 96 has 12 pixels left at the bottom, and 2 cores compute",
        "batch 4: 4 crops of 96 x 96 are about 36,864 pixels a step",
        "steps 48 per epoch: so that measuring takes little of the time",
        "minutes 10, or 63 epochs of 192 crops if they are done before: as nothing else was asked for by --minutes or "
        "--epochs",
    ]


def test_what_is_given_stays() -> None:
    wanted = Settings(epochs=3, features=(4, 8), size=32, batch=2, up="nearest", rate=1e-2)
    choice = chosen(wanted, items(5, 48, 48))
    assert choice.reasons == ()
    assert all(getattr(choice.settings, name) == value for name, value in vars(wanted).items() if value is not None)
    assert choice.settings.minutes is None and choice.settings.steps is None


def test_minutes_are_the_only_limit_if_they_are_given() -> None:
    settings = chosen(Settings(minutes=2), items(600, 96, 96)).settings
    assert (settings.minutes, settings.epochs, settings.steps) == (2, None, 120)
    both = chosen(Settings(minutes=2, epochs=5), items(600, 96, 96)).settings
    assert (both.minutes, both.epochs, both.steps) == (2, 5, None)


@pytest.mark.parametrize(("height", "width", "size", "levels", "batch"), [
    (48, 48, 48, 2, 16), (70, 300, 64, 2, 10), (200, 180, 176, 4, 2), (4000, 6000, 256, 4, 2), (20, 20, 16, 1, 16),
])  # fmt: skip
def test_sizes(height: int, width: int, size: int, levels: int, batch: int) -> None:
    settings = chosen(Settings(), items(8, height, width)).settings
    assert (settings.size, len(settings.features), settings.batch) == (size, levels, batch)


def test_more_cores_time_and_memory() -> None:
    found = items(100, 512, 512)
    assert chosen(Settings(minutes=30), found, Machine(16, 2**36)).settings.features == (32, 64, 128, 256)
    assert chosen(Settings(), found, Machine(4, 2**36, accelerator=True)).settings.features[0] == 32
    little = chosen(Settings(size=256, features=(64, 128)), found, Machine(2, 2**30))
    assert little.settings.batch == 1
    assert "batch 1: a quarter of the memory, 1 GiB, holds no more" in little.reasons
    assert chosen(Settings(model="fcn8s"), found).settings.features == (16, 32, 64, 128, 256)


def test_remarks() -> None:
    found = items(4, 96, 96, {0: 10_000, 1: 50}) + items(1, 2000, 2000, {0: 10_000, 1: 50})
    said = "\n".join(chosen(Settings(), found, Machine(2, 2**33, halves=True)).reasons)
    assert "note: images differ in size, from 9,216 to 4,000,000 pixels; each counts alike" in said
    assert "note: rare values in the masks (1) weigh more in the loss, by --weights balanced" in said
    assert "note: this processor computes with bfloat16; --precision bf16 may be faster" in said


def test_the_model_that_it_starts_from_is_kept() -> None:
    start = {"model": "unet", "features": [8, 16], "up": "nearest"}
    choice = chosen(Settings(), items(9, 96, 96), start=start)
    assert (choice.settings.features, choice.settings.up, choice.settings.rate) == ((8, 16), "nearest", 1e-3)
    assert choice.reasons[0] == "model unet, features 8,16, up nearest: as in the model that it starts from"
    assert choice.reasons[1] == "rate 0.001: half of the usual, as weights that have learned change less"
    other = chosen(Settings(model="fcn8s"), items(9, 96, 96), start=start).settings
    assert (other.model, other.up) == ("fcn8s", "transposed") and len(other.features) == 5


def test_this_machine() -> None:
    machine = this_machine()
    assert machine.cores >= 1 and machine.memory > 2**28


def test_it_is_written_into_the_run_with_its_reasons(cells: Path, tmp_path: Path) -> None:
    result = train(cells, tmp_path / "run", Settings(epochs=1, features=(4, 8), refine=False))
    assert result.progress.epoch == 1
    text = (tmp_path / "run" / "settings.toml").read_text()
    assert "# size 48: the shorter side of most images has 48 pixels or more\n" in text
    written = tomllib.loads(text)
    assert (written["size"], written["batch"], written["epochs"]) == (48, 16, 1) and "minutes" not in written


@pytest.mark.parametrize(("change", "message"), [
    ({"minutes": 0.0}, "minutes 0 must be above 0, as in 10"),
    ({"steps": 0}, "steps 0 must be at least 1"),
    ({"folds": 0}, "folds 0 must be at least 1"),
    ({"folds": 3, "fold": 4}, "fold 4 must be one of the 3 folds, or 0 for all"),
    ({"encoder": "resnet18", "model": "fcn8s"}, "encoder 'resnet18' is for a U-Net; leave --model fcn8s out"),
])  # fmt: skip
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.TconvError) as raised:
        Settings(**change)
    assert str(raised.value) == message
