"""Segmentation from Python: `train` gives a run, `predict` a mask; how they show themselves in notebooks; folds."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tconv
from tconv import errors, segmentation
from tconv.segmentation import Run, Settings

QUICK = Settings(epochs=1, features=(4, 8), size=32, batch=2, refine=False)


@pytest.fixture(scope="module")
def run(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tconv.segmentation.train(cells, tmp_path_factory.mktemp("runs") / "run", QUICK, quiet=True)


def test_a_run_has_metrics_and_figures(run: Run) -> None:
    assert run.classes == ("background", "cell", "nucleus")
    assert set(run.metrics) >= {"mean_iou", "epoch", "iou"} and len(run.metrics["iou"]) == 3
    assert run.history[0]["epoch"] == 1 and run.history[0]["mean_iou"] == pytest.approx(
        run.metrics["mean_iou"], abs=1e-5
    )
    assert set(run.figures) == {"curves", "samples"} and run.figures["curves"].width > 400
    assert repr(run) == f"Run({str(run.path)!r}: unet, 3 classes, mean IoU {run.metrics['mean_iou']:.3f})"
    page = run._repr_html_()
    assert "nucleus" in page and "data:image/png;base64," in page


def test_the_mask_of_a_path_an_array_and_a_picture(run: Run, cells: Path) -> None:
    path = sorted((cells / "images").iterdir())[0]
    mask = tconv.segmentation.predict(path, run)
    assert isinstance(mask, np.ndarray) and mask.shape == (48, 48) and mask.dtype == np.uint8
    with Image.open(path) as image:
        pixels = np.asarray(image)
        for same in (str(path), image, pixels, pixels[..., None], pixels.repeat(3).reshape(48, 48, 3)):
            assert np.array_equal(run.predict(same), mask)
    assert np.array_equal(segmentation.predict(path, str(run.path)), mask)
    assert np.array_equal(segmentation.predict(path, [run, run.path]), mask)
    png = mask._repr_png_()
    assert png is not None
    with Image.open(io.BytesIO(png)) as shown:
        assert shown.mode == "P" and np.array_equal(np.asarray(shown), mask)
    assert (mask == 1)._repr_png_() is None and mask.sum()._repr_png_() is None


def test_flips_change_what_is_averaged(run: Run, cells: Path) -> None:
    path = sorted((cells / "images").iterdir())[0]
    with Image.open(path) as image:
        pixels = np.asarray(image)
    mirrored = segmentation.predict(pixels[:, ::-1].copy(), run, flips="horizontal")
    assert (segmentation.predict(pixels, run, flips="horizontal") == mirrored[:, ::-1]).mean() > 0.99


@pytest.mark.parametrize(("image", "kind", "message"), [
    (np.zeros((4, 4, 5), np.uint8), errors.ImageFileError, "the image has 5 channels and the model takes 1; give it"),
    (np.zeros((4, 4), np.int64), errors.ArgumentTypeError, "the image has dtype int64; give uint8, uint16, flo"),
    (np.zeros(4, np.uint8), errors.RankError, "the image has shape (4,); give (height, width) or (height, width, ch"),
    ("none.png", FileNotFoundError, "none.png"),
])  # fmt: skip
def test_what_is_no_image(run: Run, image: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as raised:
        run.predict(image)
    assert message in str(raised.value)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        Run(tmp_path)
    assert str(raised.value) == f"{tmp_path}: there is no run; give a folder that `train` wrote to"
    with pytest.raises(errors.ArgumentTypeError, match=r"^run is a int; give a Run, a path, or a list of them$"):
        segmentation.predict(np.zeros((4, 4), np.uint8), 3)


def test_it_says_what_it_does_and_starts_from_a_run(
    run: Run, cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tconv.segmentation.train(cells, tmp_path / "next", replace(QUICK, features=None), start=run)
    said = capsys.readouterr().out
    assert "6 images to learn from, 2 held out" in said and "epoch 1: loss" in said
    assert f"from {run.path}: " in said and "features 4,8" in said


def test_it_goes_on_as_it_was(cells: Path, tmp_path: Path) -> None:
    tconv.segmentation.train(cells, tmp_path / "run", replace(QUICK, seed=3), quiet=True)
    longer = tconv.segmentation.train(cells, tmp_path / "run", resume=True, minutes=0.03, quiet=True)
    assert "seed = 3\n" in (longer.path / "settings.toml").read_text() and len(longer.history) >= 2


def test_folds(cells: Path, tmp_path: Path) -> None:
    from tconv.segmentation.train import folds

    settings = replace(QUICK, folds=3)
    whole = folds.cross_validate(cells, tmp_path / "run", settings)
    assert len(whole.results) == 3
    assert whole.confusion.counts.sum() == 8 * 48 * 48  # every pixel once
    lines = whole.lines()
    assert lines[0].split() == ["held", "out", "mean", "IoU", "accuracy"] and lines[1].startswith("fold 1")
    assert lines[4].startswith("all images") and lines[-1].startswith("mean IoU of the folds: ")
    found = Run(tmp_path / "run")
    assert len(found.parts) == 3 and found.predict(np.zeros((48, 48), np.uint8)).shape == (48, 48)
    with pytest.raises(errors.TconvError) as raised:
        folds.cross_validate(cells, tmp_path / "run", settings)
    assert str(raised.value) == (f"{tmp_path / 'run'} holds folds already; go on with --resume, or give another folder")
    before = (tmp_path / "run" / "fold_2" / "metrics.csv").read_text()
    folds.cross_validate(cells, tmp_path / "run", settings, resume=True)
    assert (tmp_path / "run" / "fold_2" / "metrics.csv").read_text() == before
    with pytest.raises(errors.TconvError) as raised:
        segmentation.train(cells, tmp_path / "many", replace(settings, folds=20), quiet=True)
    assert str(raised.value) == ("20 folds need at least 20 different images, and there are 8; give --folds 8 or fewer")
