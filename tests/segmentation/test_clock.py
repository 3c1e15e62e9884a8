"""Limits of epochs and of time; longer trainings; how much time goes into anything but steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

from tconv import errors
from tconv.segmentation.data.check import check
from tconv.segmentation.train import Settings, loop, train
from tconv.segmentation.train.clock import Clock
from tconv.segmentation.train.probe import Probe
from tconv.segmentation.train.state import Progress

QUICK = Settings(epochs=2, features=(4, 8), size=32, batch=2, held_out=0.25, refine=False)


def test_parts() -> None:
    half = Progress(epoch=1, step=5)
    assert Clock(3, None, 10).part(half) == 0.5
    assert Clock(None, None, 10).part(half) == 0
    now = perf_counter()
    assert Clock(None, 100.0, 10, before=30, begun=now - 20).part(half) == pytest.approx(0.5, abs=0.01)
    assert Clock(3, 1000.0, 10, begun=now).part(half) == 0.5
    late = Clock(100, 100.0, 10, after=20, begun=now - 79)
    assert late.part(half) == pytest.approx(79 / 80, abs=0.01) and not late.over(half)
    assert Clock(100, 100.0, 10, after=99, begun=now - 76).over(half)  # no more than a quarter is kept free


def test_time_is_kept_for_measuring_and_a_little_for_choosing_how_to_predict() -> None:
    clock = Clock(None, 100.0, 10)
    clock.keep(measuring=3, refining=2)
    assert clock.after == 5
    clock.keep(measuring=3, refining=40)
    assert clock.after == 8 and clock.refining == 5
    assert Clock(3, None, 10).refining == float("inf")


def test_a_training_ends_with_its_time(cells: Path, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=None, minutes=0.06, steps=4)
    begun = perf_counter()
    result = train(cells, tmp_path / "run", settings)
    assert 1.5 < perf_counter() - begun < 12
    progress = result.progress
    assert progress.epoch >= 1 and progress.done == 1 and len(progress.history) == progress.epoch
    assert "minutes = 0.06\n" in (tmp_path / "run" / "settings.toml").read_text()
    again = train(cells, tmp_path / "run", replace(QUICK, epochs=None), resume=True)
    assert again.progress.epoch == progress.epoch  # the time is over
    more = train(cells, tmp_path / "run", replace(QUICK, epochs=progress.epoch + 2), resume=True)
    assert more.progress.epoch == progress.epoch + 2


def test_more_epochs_go_on(cells: Path, tmp_path: Path) -> None:
    train(cells, tmp_path / "run", QUICK)
    said = list[str]()
    result = train(
        cells, tmp_path / "run", replace(QUICK, epochs=3), resume=True, begin=lambda task: said.extend(task.said)
    )
    assert [row["epoch"] for row in result.progress.history] == [1, 2, 3]
    assert "goes on after epoch 2" in said
    assert "epochs = 3\n" in (tmp_path / "run" / "settings.toml").read_text()
    with pytest.raises(errors.TconvError) as raised:
        train(cells, tmp_path / "run", QUICK, resume=True)
    assert str(raised.value) == (
        f"{tmp_path / 'run'} has been trained for 3 epochs already; give --epochs above that, or leave it out"
    )


def test_a_limit_of_another_kind_takes_the_place_of_the_first() -> None:
    before = {"epochs": 5, "size": 64, "features": [4, 8], "seed": 3}
    assert Settings(minutes=2).resumed(before) == Settings(minutes=2, size=64, features=(4, 8))
    assert Settings().resumed(before) == Settings(epochs=5, size=64, features=(4, 8))


def test_what_is_measured_in_between(cells: Path) -> None:
    task = loop.prepare(check(cells), cells, QUICK)
    probe = Probe(task.held_out, 32, 2, 6000, 0)
    assert probe.part == 1 and len(probe.views) == 2
    small = Probe(task.held_out, 16, 2, 6000, 0)
    assert {view.classes.shape for view in small.views} == {(32, 32)} and small.part < 1
    again = Probe(task.held_out, 16, 2, 6000, 0)
    assert all((a.image == b.image).all() for a, b in zip(small.views, again.views, strict=True))
    assert len(small.shown(4)) == 2
