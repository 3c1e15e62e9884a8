"""How a finished network predicts best, found on held-out images: flips, the smallest piece of a class, filled holes.

A choice is kept only if both halves of the images gain by it, and flips, which take time, only if they gain noticeably.
What each gained is recorded in the model's card, by which `predict` works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, inf
from time import perf_counter
from typing import Any

import numpy as np
from torch import nn

from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.components import clean, holes, pieces
from tconv.segmentation.ensemble import Ensemble
from tconv.segmentation.metrics import Confusion

WORTH = 0.002  # of mean IoU, which twice the work must gain
GAIN = 0.0005  # of mean IoU, which anything must gain
PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of a small true piece, which are tried as the least size
SMALL = 0.05  # of the true pieces are smaller than what is called small
FLIPS = 6  # predictions of an image that trying the flips takes, beside the plain one: two, and four
FEW = 8  # images, from which on a choice means something


@dataclass(frozen=True)
class Finish:
    """What becomes of a network's scores.

    Attributes:
        flips: whose average is taken: "none", "horizontal" or "both".
        least: per class, the pixels that a piece must have; empty for none.
        holes: per class, the pixels up to which holes are filled; empty for none.
        gains: mean IoU that each choice gained on held-out images, in order.
    """

    flips: str = "none"
    least: tuple[int, ...] = ()
    holes: tuple[int, ...] = ()
    gains: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As the card holds it: only what is to be done."""
        found: dict[str, Any] = {"flips": self.flips} if self.flips != "none" else {}
        found |= {name: list(sizes) for name in ("least", "holes") if any(sizes := getattr(self, name))}
        return found | ({"gains": self.gains} if self.gains else {})


@dataclass(frozen=True)
class Refined:
    """What was found: the choice, and the mean IoU before and after it on the images that it was made on."""

    finish: Finish
    before: float
    after: float

    def lines(self) -> list[str]:
        """In words, each choice with what it gained; none if nothing did."""
        return [f"{name}: {gain:+.3f} mean IoU on held-out images" for name, gain in self.finish.gains.items()]


@dataclass(frozen=True)
class Predicted:
    """An image's true classes and those that were found, both (height, width) uint8, of so many classes."""

    truth: Array
    found: Array
    count: int

    @cached_property
    def confusion(self) -> Confusion:
        """Counted once, as most images stay as they are when one class is cleaned."""
        return Confusion.of(self.truth, self.found, self.count)

    def cleaned(self, what: str, number: int, size: int) -> Predicted:
        """With pieces ("least") or holes ("holes") of one class cleaned up to a size; itself if there are none."""
        mask = self.found == number
        sizes = (pieces(mask) if what == "least" else holes(mask))[1][1:]
        if not (sizes < size if what == "least" else sizes <= size).any():
            return self
        limits = [size if n == number else 0 for n in range(self.count)]
        return replace(self, found=clean(self.found, **{what: limits}))


def refine(model: nn.Module, card: Card, probe: Any, seconds: float = inf) -> Refined:
    """Choose how to predict.

    Args:
        model: finished, in evaluation mode.
        card: its own; what it says of prediction has no effect.
        probe: held-out images, a `train.probe.Probe`.
        seconds: about how long it may take. Flips, which take most of it, are tried on as many images as that allows,
            and not at all if these are few.
    """
    plain, classes = replace(card, finish={}), len(card.classes)
    started = perf_counter()
    before = _predicted(probe, model, classes)
    spent = perf_counter() - started
    every = max(1, ceil(FLIPS * spent / max(seconds - spent, 1e-9)))
    finish = Finish()
    if every == 1 or len(before) >= FEW * every:
        finish, before, after = _flips(model, plain, probe.every(every), before[::every])
    else:
        after = before
    finish, after = _pieces(finish, after, card.classes)
    return Refined(finish, _mean_iou(before), _mean_iou(after))


def _flips(
    model: nn.Module, card: Card, probe: Any, plain: list[Predicted]
) -> tuple[Finish, list[Predicted], list[Predicted]]:
    """Whose average is worth its time, and what is predicted without and with it."""
    finish, kept, before = Finish(), plain, _mean_iou(plain)
    for flips in ("horizontal", "both"):
        tried = _predicted(probe, Ensemble([(model, card)], flips).eval(), len(card.classes))
        reached = _mean_iou(tried)
        if reached >= _mean_iou(kept) + WORTH and _both_halves_gain(kept, tried):
            # What was gained so far is gained together with what comes now.
            finish = replace(finish, flips=flips, gains={f"flips {flips} averaged": reached - before})
            kept = tried
    return finish, plain, kept


def _predicted(probe: Any, model: nn.Module, classes: int) -> list[Predicted]:
    return [Predicted(view.classes, found, classes) for view, found in probe.predicted(model)]


def _pieces(finish: Finish, images: list[Predicted], names: Sequence[str]) -> tuple[Finish, list[Predicted]]:
    """With the least size of a piece of each class, and then of the holes in it, one after the other."""
    kept = {"least": [0] * len(names), "holes": [0] * len(names)}
    said = {"least": "pieces of {} below {} pixels removed", "holes": "holes in {} up to {} pixels filled"}
    gains = dict(finish.gains)
    small = [_small([image.truth for image in images], number) for number in range(len(names))]
    for what in kept:
        for number, name in enumerate(names):
            reached = _mean_iou(images)
            best: tuple[float, int, list[Predicted]] = (GAIN, 0, images)
            for tried in sorted({int(part * small[number]) for part in PARTS} - {0, 1}):
                cleaned = [image.cleaned(what, number, tried) for image in images]
                gain = _mean_iou(cleaned) - reached
                if gain > best[0] and _both_halves_gain(images, cleaned):
                    best = gain, tried, cleaned
            if best[1]:
                gains[said[what].format(name, best[1])] = best[0]
                kept[what][number], images = best[1], best[2]
    return replace(finish, least=tuple(kept["least"]), holes=tuple(kept["holes"]), gains=gains), images


def _small(truths: Sequence[Array], number: int) -> float:
    """The pixels of a small true piece of a class; 0 where there is none."""
    sizes = [size for truth in truths for size in pieces(truth == number)[1][1:].tolist()]
    return float(np.quantile(sizes, SMALL)) if sizes else 0.0


def _mean_iou(images: Sequence[Predicted]) -> float:
    total = Confusion.empty(images[0].count)
    for image in images:
        total += image.confusion
    return total.mean_iou


def _both_halves_gain(before: Sequence[Predicted], after: Sequence[Predicted]) -> bool:
    """Whether every second image gains, and the others too; where there is one image alone, whether it does."""
    halves = [slice(start, None, 2) for start in range(min(2, len(before)))]
    return all(_mean_iou(after[half]) > _mean_iou(before[half]) for half in halves)
