"""Training: its files, exact resume, interruption, several processes, refusals; and that it learns."""

from __future__ import annotations

import csv
import os
import resource
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

from tconv import errors, extras, segmentation
from tconv.segmentation import synthetic
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Normal, Samples
from tconv.segmentation.data.legend import Legend
from tconv.segmentation.evaluate import evaluate
from tconv.segmentation.train import Settings, loop, train
from tconv.segmentation.train.state import Progress

QUICK = Settings(epochs=2, features=(4, 8), size=32, batch=2, held_out=0.25)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "last.pt", weights_only=True)["model"]
    return state


def read_history(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


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

    before = signal.getsignal(signal.SIGINT)  # SIG_IGN in a job that a shell started in the background
    train(cells, tmp_path / "whole", QUICK)
    with pytest.raises(loop.Stopped):
        train(cells, tmp_path / "cut", QUICK, tell=interrupt)
    seen = []
    train(cells, tmp_path / "cut", QUICK, resume=True, tell=lambda progress, *_: seen.append(progress.step))
    assert seen == [3, 0]
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert signal.getsignal(signal.SIGINT) is before


def python(code: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)


@pytest.mark.slow
def test_kill_and_resume_as_commands(cells: Path, tmp_path: Path) -> None:
    dying = """if True:
        import os, signal, sys
        from pathlib import Path
        from tconv.segmentation.train import Settings, train

        def tell(progress, step, steps):
            if progress.epoch == 1 and step == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        train(Path(sys.argv[1]), Path(sys.argv[2]), Settings(epochs=3, features=(4, 8), size=32, batch=2), tell=tell)
        """
    command = "import sys; from tconv.cli import main; main(['segment', 'train', *sys.argv[1:]])"
    options = ["--epochs", 3, "--features", "4,8", "--size", 32, "--batch", 2]
    python(command, cells, "-o", tmp_path / "whole", *options)
    assert python(dying, cells, tmp_path / "killed", check=False).returncode == -signal.SIGKILL
    said = python(command, cells, "-o", tmp_path / "killed", "--resume").stdout
    assert "epoch 1: loss" not in said and "epoch 2: loss" in said and "epoch 3: loss" in said
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# What `accelerate launch` runs; the command itself imports timm, and with it torchvision, where they are installed.
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines",
              "1", "--mixed_precision", "no", "--dynamo_backend", "no"]  # fmt: skip


@pytest.mark.parametrize("launcher", [TORCHRUN, pytest.param(ACCELERATE, marks=pytest.mark.slow)])
def test_two_processes_are_one_with_the_doubled_batch(cells: Path, tmp_path: Path, launcher: list[str]) -> None:
    options = ["--epochs", "2", "--features", "4,8", "--size", "32", "--weights", "balanced"]
    module = ["-m", "tconv.segmentation.train", str(cells), "-o", str(tmp_path / "two"), "--batch", "1"]
    launch = [sys.executable, "-m", *launcher, *module]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*launch, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("processes: 2, crops per step and process: 1\n") == 1
    assert done.stdout.count("epoch 2: loss") == done.stdout.count("pixels right") == 1
    one = train(cells, tmp_path / "one", replace(QUICK, held_out=0.2, weights="balanced"))
    assert_equal(weights(tmp_path / "one"), weights(tmp_path / "two"), tolerance=1e-4)
    assert [row["mean_iou"] for row in read_history(tmp_path / "two")] == pytest.approx(
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
    with pytest.raises(
        errors.TconvError, match="was trained with other settings: batch was 2 and is 4; give the same ones, or"
    ):
        train(cells, tmp_path / "run", replace(QUICK, batch=4), resume=True)
    with pytest.raises(FileNotFoundError, match="there is nothing to resume; leave --resume out"):
        train(cells, tmp_path / "none", QUICK, resume=True)
    state = tmp_path / "run" / "last.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(errors.TconvError, match=r"last\.pt is damaged or no checkpoint; take another copy"):
        train(cells, tmp_path / "run", replace(QUICK, epochs=1), resume=True)
    with pytest.raises(
        errors.TconvError, match=r"not a number in epoch 1, step .*; give a smaller --rate than 1e\+30$"
    ):
        train(cells, tmp_path / "nan", replace(QUICK, rate=1e30))


@pytest.mark.parametrize(("change", "message"), [
    ({"epochs": 0}, "epochs 0 must be at least 1"),
    ({"up": "magic"}, "up 'magic' is unknown; choose one of transposed, nearest, bilinear, bicubic, pixelshuffle"),
    ({"size": 3}, "size 3 is too small for 2 levels; give 4"),
    ({"features": ()}, "features () must be counts of at least 1, one per level"),
    ({"rate": 0}, "rate must be above 0; decay, patience and seed must not be negative"),
    ({"flip": "up"}, "flip 'up' is unknown; choose one of auto, none, horizontal, both"),
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
    values = np.arange(1600, dtype=np.uint16).reshape(40, 40).repeat(2, axis=0).repeat(2, axis=1)
    for n in range(3):
        Image.fromarray(np.full((80, 80), 9 * n, np.uint8)).save(tmp_path / "images" / f"{n}.png")
        Image.fromarray(values % 300).save(tmp_path / "masks" / f"{n}.png")
    with pytest.raises(errors.TconvError, match="the masks hold 299 values, and a mask of classes at most 255; write"):
        train(tmp_path, tmp_path / "run", QUICK)
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    with pytest.raises(errors.TconvError, match="holds no image; put some into it"):
        train(tmp_path, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_what_was_there(cells: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def fill(progress: Progress, step: int, steps: int) -> None:
        if progress.epoch == 1 and step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, ((run / "last.pt").stat().st_size - 1000, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(errors.ImageFileError, match=r"last\.pt cannot be written: File too large; what was there"):
            train(cells, run, QUICK, tell=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in run.iterdir() if path.name.startswith(".")]
    train(cells, run, QUICK, resume=True)
    train(cells, tmp_path / "whole", QUICK)
    assert_equal(weights(run), weights(tmp_path / "whole"))


def test_half_precision(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(cells, tmp_path / "full", QUICK)
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    result = train(cells, tmp_path / "half", replace(QUICK, precision="bf16"))
    full, half = weights(tmp_path / "full"), weights(tmp_path / "half")
    assert all(half[name].dtype == full[name].dtype for name in full)
    assert any((half[name] != full[name]).any() for name in full)
    assert result.progress.history[0]["loss"] == pytest.approx(read_history(tmp_path / "full")[0]["loss"], rel=0.05)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(errors.TconvError, match=r"^--precision fp16 is for GPUs; on a CPU give bf16, or no$"):
        train(cells, tmp_path / "none", replace(QUICK, precision="fp16"))


def test_tensorboard(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(cells, tmp_path / "run", QUICK, tensorboard=True)
    events: Any = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert {"loss", "mean_iou", "iou/nucleus"} <= set(events.Tags()["scalars"])
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (row["epoch"], pytest.approx(row["loss"])) for row in result.progress.history
    ]
    assert len(events.Images("samples")) == 2
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(errors.TconvError) as raised:
        train(cells, tmp_path / "none", QUICK, tensorboard=True)
    assert str(raised.value) == f"--tensorboard needs tensorboard: {extras.cure('tensorboard')}"
    train(cells, tmp_path / "plain", replace(QUICK, epochs=1))


def test_balanced_weights(cells: Path) -> None:
    found = check(cells)
    task = loop.prepare(found, cells, QUICK)
    weights = loop.class_weights(task.training)
    assert weights[0] < weights[1] < weights[2] and weights.mean() == pytest.approx(1)
    assert loop.schedule(0) < loop.schedule(0.05) == 1 > loop.schedule(0.5) > loop.schedule(1) >= 0


@pytest.mark.slow
def test_it_overfits_four_images(tmp_path: Path) -> None:
    synthetic.write(tmp_path, "cells", 5, 64)
    settings = Settings(epochs=250, features=(16, 32), size=64, batch=4, zoom=0, turn=0, light=0, noise=0, rate=5e-3,
                        flip="none")  # fmt: skip
    train(tmp_path, tmp_path / "run", settings)
    model = segmentation.load_weights(segmentation.load(tmp_path / "run")[0], tmp_path / "run" / "last.pt")
    task = loop.prepare(check(tmp_path), tmp_path, settings)
    assert len(task.training) == 4
    assert evaluate(model, task.training, 3).mean_iou > 0.98


@pytest.mark.slow
def test_it_reads_handwriting_that_it_has_not_seen(tmp_path: Path) -> None:
    """The README's training: 5 minutes on two cores."""
    torch.set_num_threads(2)
    synthetic.write(tmp_path / "data", "digits", 1000)
    synthetic.write(tmp_path / "unseen", "digits", 100, part="test")
    result = train(tmp_path / "data", tmp_path / "run", Settings(epochs=12, features=(16, 32, 64), size=96))
    assert result.confusion.mean_iou >= 0.85
    assert all(baseline.mean_iou < 0.5 for baseline in result.baselines.values())
    assert np.median([row["waiting"] for row in result.progress.history]) < 0.05
    model, card = segmentation.load(tmp_path / "run")
    legend, normal = Legend(card.values, card.classes, card.ignore), Normal(card.mean, card.std)
    unseen = Samples(check(tmp_path / "unseen").items, legend, normal)
    assert evaluate(model, unseen, len(card.classes)).mean_iou >= 0.85
