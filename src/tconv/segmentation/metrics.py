"""How good a segmentation is: one confusion matrix over all pixels of a data set, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tconv import errors
from tconv.arrays import Array
from tconv.segmentation.data.legend import IGNORED

PIECE = 2**20  # pixels that are counted at a time, as their numbers take more memory than images


@dataclass(frozen=True)
class Confusion:
    """Pixels of true class i that were taken for class j: `counts[i, j]`, (classes, classes) int64.

    Matrices of parts add up to that of the whole. A class that neither truth nor prediction holds has no IoU: it is NaN
    and left out of means.

    >>> c = Confusion.of(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), classes=3)
    >>> c.iou, round(c.mean_iou, 4)
    (array([0.5       , 0.66666667,        nan]), 0.5833)
    """

    counts: Array

    @classmethod
    def of(cls, truth: Array, prediction: Array, classes: int) -> Confusion:
        """Count pixels.

        Args:
            truth: class indices of any shape; pixels of 255 are left out.
            prediction: class indices of the same shape.
            classes: how many there are.

        Raises:
            TconvError: shapes differ, or an index that is no class.
        """
        truth, prediction = np.asarray(truth), np.asarray(prediction)
        if truth.shape != prediction.shape:
            raise errors.TconvError(f"truth has shape {truth.shape} and prediction {prediction.shape}; they must agree")
        counts = np.zeros(classes**2, np.int64)
        flat, other = truth.ravel(), prediction.ravel()
        for start in range(0, flat.size, PIECE):
            part = flat[start : start + PIECE]
            kept = part != IGNORED
            true, guessed = part[kept].astype(np.int64), other[start : start + PIECE][kept].astype(np.int64)
            for name, indices in (("truth", true), ("prediction", guessed)):
                if indices.size and (indices.min() < 0 or indices.max() >= classes):
                    raise errors.TconvError(
                        f"{name} holds {indices.min()} to {indices.max()}; the indices of {classes} classes are 0 to "
                        f"{classes - 1}"
                    )
            counts += np.bincount(true * classes + guessed, minlength=classes**2)
        return cls(counts.reshape(classes, classes))

    @classmethod
    def empty(cls, classes: int) -> Confusion:
        """Of no pixel."""
        return cls(np.zeros((classes, classes), np.int64))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)

    @property
    def iou(self) -> Array:
        """Intersection over union per class; scikit-learn's Jaccard score. NaN for an absent class."""
        return _ratio(self._hits, self._union)

    @property
    def dice(self) -> Array:
        """Dice's coefficient per class; scikit-learn's F1 score. NaN for an absent class."""
        return _ratio(2 * self._hits, self._union + self._hits)

    @property
    def precision(self) -> Array:
        """Per class: which part of what was taken for it is it; NaN where nothing was."""
        return _ratio(self._hits, self.counts.sum(axis=0))

    @property
    def recall(self) -> Array:
        """Per class: which part of it was found; NaN where there is none."""
        return _ratio(self._hits, self.counts.sum(axis=1))

    @property
    def mean_iou(self) -> float:
        """Over the classes that are present in truth or prediction; NaN if none is."""
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float:
        """Over the classes that are present in truth or prediction; NaN if none is."""
        return _mean(self.dice)

    @property
    def accuracy(self) -> float:
        """Part of the pixels that are right; NaN if there are none."""
        total = self.counts.sum()
        return float(self._hits.sum() / total) if total else float("nan")

    def absent(self, names: Sequence[str]) -> list[str]:
        """The names of the classes that means leave out."""
        return [name for name, iou in zip(names, self.iou, strict=True) if np.isnan(iou)]

    @property
    def _hits(self) -> Array:
        return np.diagonal(self.counts)

    @property
    def _union(self) -> Array:
        union: Array = self.counts.sum(axis=0) + self.counts.sum(axis=1) - self._hits
        return union


def _ratio(part: Array, whole: Array) -> Array:
    ratio: Array = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _mean(values: Array) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")
