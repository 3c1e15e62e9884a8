"""Metrics are scikit-learn's; losses and baselines do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from tconv import errors
from tconv.segmentation.losses import LOSSES, Loss
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.report import class_table, remarks


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, 4, (2, 3, 20, 17))
    found = Confusion.of(truth, guess, 5)
    flat = truth.ravel(), guess.ravel()
    assert np.array_equal(found.counts, confusion_matrix(*flat, labels=range(5)))
    np.testing.assert_allclose(found.iou[:4], jaccard_score(*flat, labels=range(4), average=None))
    np.testing.assert_allclose(found.dice[:4], f1_score(*flat, labels=range(4), average=None))
    assert np.isnan(found.iou[4]) and np.isnan(found.dice[4])
    assert found.mean_iou == pytest.approx(jaccard_score(*flat, average="macro"))
    assert found.mean_dice == pytest.approx(f1_score(*flat, average="macro"))
    assert found.absent("abcde") == ["e"]


def test_ignored_pixels_and_parts() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 3, (2, 100))
    kept = rng.random(100) < 0.7
    whole = Confusion.of(np.where(kept, truth, 255), guess, 3)
    assert np.array_equal(whole.counts, Confusion.of(truth[kept], guess[kept], 3).counts)
    parts = Confusion.of(truth[:40], guess[:40], 3) + Confusion.of(truth[40:], guess[40:], 3)
    assert np.array_equal(parts.counts, Confusion.of(truth, guess, 3).counts)
    empty = Confusion.empty(3)
    assert np.isnan(empty.mean_iou) and np.isnan(empty.accuracy)


def test_refusals() -> None:
    with pytest.raises(errors.TconvError, match=r"truth has shape \(2,\) and prediction \(3,\); they must agree"):
        Confusion.of(np.zeros(2, int), np.zeros(3, int), 2)
    with pytest.raises(errors.TconvError, match="prediction holds 0 to 2; the indices of 2 classes are 0 to 1"):
        Confusion.of(np.zeros(2, int), np.array([0, 2]), 2)
    with pytest.raises(errors.TconvError, match="loss 'mse' is unknown; choose one of combined, cross-entropy, dice"):
        Loss("mse")


def test_the_table_says_what_is_absent() -> None:
    found = Confusion.of(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    heads, rows = class_table("abc", found, {"majority": found})
    assert heads[-1] == "IoU majority" and rows[2][1] == "-" and rows[3][:2] == ["mean", "0.333"]
    assert "absent from truth and prediction, and so left out of the mean: c" in remarks("abc", found)
    assert any("every pixel was given the same class" in line for line in remarks("abc", found))


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    truth = torch.randint(0, 3, (2, 8, 8))
    right = torch.nn.functional.one_hot(truth, 3).movedim(-1, 1) * 40.0
    assert Loss(name)(right, truth) < 1e-4
    scores = torch.randn(2, 3, 8, 8, requires_grad=True)
    ignored = truth.clone()
    ignored[:, :4] = 255
    changed = scores.detach().clone()
    changed[:, :, :4] += 5 * torch.randn(2, 3, 4, 8)
    torch.testing.assert_close(Loss(name)(scores, ignored), Loss(name)(changed, ignored))
    Loss(name)(scores, ignored).backward()
    assert scores.grad is not None and scores.grad[:, :, :4].abs().max() == 0 < scores.grad[:, :, 4:].abs().min()
    nothing = Loss(name)(scores, torch.full_like(truth, 255))
    assert nothing.isfinite() and float(nothing.detach()) == 0


def test_cross_entropy_and_focal_are_the_known_ones() -> None:
    scores, truth = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = torch.nn.functional.cross_entropy(scores, truth, weights)
    torch.testing.assert_close(Loss("cross-entropy", weights)(scores, truth), expected)
    plain = Loss("cross-entropy")(scores, truth)
    torch.testing.assert_close(Loss("focal", gamma=0.0)(scores, truth), plain)
    assert Loss("focal")(scores, truth) < plain
