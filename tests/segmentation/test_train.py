"""Training: its files, exact resume, interruption, several processes, refusals; and that it learns."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tconv import errors, segmentation
from tconv.segmentation import synthetic
from tconv.segmentation.data.check import check
from tconv.segmentation.train import Settings, loop, train
from tconv.segmentation.train.state import Progress

QUICK = Settings(epochs=2, features=(4, 8), size=32, batch=2, held_out=0.25)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "last.pt", weights_only=True)["model"]
    return state


def assert_equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], tolerance: float = 0.0) -> None:
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=tolerance, rtol=tolerance)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_run_leaves_what_it_promises(cells: Path, tmp_path: Path) -> None:
    result = train(cells, tmp_path / "run", QUICK)
    files = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert files == {
        "best.safetensors", "last.pt", "settings.toml", "metrics.csv", "curves.png", "samples/epoch_001.png",
        "samples/epoch_002.png",
    }  # fmt: skip
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"] and "iou nucleus" in rows[0]
    assert float(rows[1]["mean_iou"]) == pytest.approx(result.progress.history[1]["mean_iou"], rel=1e-4)
    for name in ("curves.png", "samples/epoch_002.png"):
        with Image.open(tmp_path / "run" / name) as image:
            assert np.asarray(image.convert("L")).std() > 5
    model, card = segmentation.load(tmp_path / "run")
    assert card.classes == ("background", "cell", "nucleus") and card.channels == 1
    assert card.metrics["mean_iou"] == pytest.approx(result.confusion.mean_iou)
    assert set(result.baselines) == {"majority", "colour"}
    assert result.baselines["majority"].iou[1] == 0
    assert not model.training


def test_resume_is_exact(cells: Path, tmp_path: Path) -> None:
    train(cells, tmp_path / "whole", replace(QUICK, accumulate=1))

    class PowerCutError(Exception):
        pass

    def cut(progress: Progress, step: int, steps: int) -> None:
        if progress.epoch == 1 and step == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train(cells, tmp_path / "cut", QUICK, tell=cut)
    train(cells, tmp_path / "cut", QUICK, resume=True)
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    ours, theirs = (segmentation.load(tmp_path / name)[0].state_dict() for name in ("cut", "whole"))
    assert_equal(ours, theirs)


def test_ctrl_c_saves_in_the_middle_of_an_epoch(cells: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress, step: int, steps: int) -> None:
        if progress.epoch == 1 and step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    train(cells, tmp_path / "whole", QUICK)
    with pytest.raises(loop.Stopped):
        train(cells, tmp_path / "cut", QUICK, tell=interrupt)
    seen = []
    train(cells, tmp_path / "cut", QUICK, resume=True, tell=lambda progress, *_: seen.append(progress.step))
    assert seen == [3, 0]
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_kill_and_resume_as_commands(cells: Path, tmp_path: Path) -> None:
    options = ["--epochs", "3", "--features", "4,8", "--size", "32", "--batch", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def command(run: str, *more: str) -> list[str]:
        start = "import sys; from tconv.cli import main; main(sys.argv[1:])"
        return [sys.executable, "-c", start, "segment", "train", str(cells), "-o", str(tmp_path / run), *more]

    subprocess.run(command("whole", *options), check=True, env=environment, capture_output=True)
    with subprocess.Popen(command("killed", *options), env=environment, stdout=subprocess.DEVNULL) as process:
        while not (tmp_path / "killed" / "last.pt").exists():
            assert process.poll() is None
        process.kill()
    done = subprocess.run(command("killed", "--resume"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_two_processes_are_one_with_the_doubled_batch(cells: Path, tmp_path: Path) -> None:
    options = ["--epochs", "2", "--features", "4,8", "--size", "32", "--weights", "balanced"]
    module = ["-m", "tconv.segmentation.train", str(cells), "-o", str(tmp_path / "two"), "--batch", "1"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *module]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*launch, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("pixels right") == 1
    one = train(cells, tmp_path / "one", replace(QUICK, held_out=0.2, weights="balanced"))
    assert_equal(weights(tmp_path / "one"), weights(tmp_path / "two"), tolerance=1e-4)
    with (tmp_path / "two" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean_iou"]) for row in rows] == pytest.approx(
        [row["mean_iou"] for row in one.progress.history], abs=1e-4
    )


def test_early_stop_and_accumulation(cells: Path, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=30, patience=1, rate=1e-9, batch=1, accumulate=2, model="fcn8s", features=(2,) * 5)
    result = train(cells, tmp_path / "run", settings)
    assert len(result.progress.history) < 30


def test_refusals(cells: Path, tmp_path: Path) -> None:
    train(cells, tmp_path / "run", replace(QUICK, epochs=1))
    with pytest.raises(errors.TconvError, match="holds a training already; go on with --resume, or"):
        train(cells, tmp_path / "run", QUICK)
    with pytest.raises(errors.TconvError, match="was trained with other settings: epochs was 1 and is 2; give"):
        train(cells, tmp_path / "run", QUICK, resume=True)
    with pytest.raises(FileNotFoundError, match="there is nothing to resume; leave --resume out"):
        train(cells, tmp_path / "none", QUICK, resume=True)
    state = tmp_path / "run" / "last.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(errors.TconvError, match=r"last\.pt is damaged or no checkpoint; take another copy"):
        train(cells, tmp_path / "run", replace(QUICK, epochs=1), resume=True)
    with pytest.raises(errors.TconvError, match="the loss is not a number in epoch 1, step"):
        train(cells, tmp_path / "nan", replace(QUICK, rate=1e30))


@pytest.mark.parametrize(("change", "message"), [
    ({"epochs": 0}, "epochs 0 must be at least 1"),
    ({"up": "magic"}, "up 'magic' is unknown; choose one of transposed, nearest, bilinear, bicubic, pixelshuffle"),
    ({"size": 3}, "size 3 is too small for 2 levels; give 4"),
    ({"features": ()}, "features () must be counts of at least 1, one per level"),
    ({"rate": 0}, "rate must be above 0; decay, patience and seed must not be negative"),
    ({"flip": "up"}, "flip 'up' is unknown; choose one of none, horizontal, both"),
])  # fmt: skip
def test_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.TconvError) as raised:
        replace(QUICK, **change)
    assert str(raised.value) == message


def test_nothing_to_learn(tmp_path: Path) -> None:
    for place in ("images", "masks"):
        (tmp_path / place).mkdir()
        for n in range(3):
            Image.fromarray(np.full((40, 40), 0 if place == "masks" else 9 * n, np.uint8)).save(
                tmp_path / place / f"{n}.png"
            )
    with pytest.raises(errors.TconvError, match="all masks hold one class only"):
        train(tmp_path, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_what_was_there(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(cells, tmp_path / "run", replace(QUICK, epochs=1))
    before = (tmp_path / "run" / "last.pt").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.ImageFileError, match="cannot be written: No space left on device; what was"):
        segmentation.save(tmp_path / "run" / "last.pt", torch.nn.Linear(1, 1), segmentation.load(tmp_path / "run")[1])
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_balanced_weights(cells: Path) -> None:
    found = check(cells)
    task = loop.prepare(found, cells, QUICK)
    weights = loop.class_weights(task.training, 3)
    assert weights[0] < weights[1] < weights[2] and weights.mean() == pytest.approx(1)
    assert loop.schedule(0) < loop.schedule(0.05) == 1 > loop.schedule(0.5) > loop.schedule(1) >= 0


@pytest.mark.slow
def test_it_overfits_four_images(tmp_path: Path) -> None:
    synthetic.write(tmp_path, "cells", 5, 64)
    settings = Settings(epochs=250, features=(16, 32), size=64, batch=4, zoom=0, turn=0, light=0, noise=0, rate=5e-3)
    train(tmp_path, tmp_path / "run", settings)
    model, card = segmentation.load_weights(segmentation.load(tmp_path / "run")[0], tmp_path / "run" / "last.pt"), None
    from tconv.segmentation.evaluate import evaluate

    task = loop.prepare(check(tmp_path), tmp_path, settings)
    assert len(task.training) == 4 and card is None
    assert evaluate(model, task.training, 3).mean_iou > 0.98
