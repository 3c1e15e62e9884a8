"""How a finished network predicts best, found on held-out images: flips, the smallest piece of a class, filled holes.

A choice is kept only if both halves of the images gain by it, and flips, which take time, only if they gain noticeably.
What each gained is recorded in the model's card, by which `predict` works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import nn

from tconv.arrays import Array
from tconv.segmentation.card import Card
from tconv.segmentation.components import clean, pieces
from tconv.segmentation.ensemble import Ensemble
from tconv.segmentation.metrics import Confusion

WORTH = 0.002  # of mean IoU, which twice the work must gain
GAIN = 0.0005  # of mean IoU, which anything must gain
PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of a small true piece, which are tried as the least size
SMALL = 0.05  # of the true pieces are smaller than what is called small

Pair = tuple[Array, Array]  # truth and prediction


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


def refine(model: nn.Module, card: Card, probe: Any) -> Refined:
    """Choose how to predict.

    Args:
        model: finished, in evaluation mode.
        card: its own; what it says of prediction has no effect.
        probe: held-out images, a `train.probe.Probe`.
    """
    plain = replace(card, finish={})
    classes = len(card.classes)
    pairs = _predicted(probe, model)
    before = _confusion(pairs, classes).mean_iou
    finish, best = Finish(), before
    for flips in ("horizontal", "both"):
        tried = _predicted(probe, Ensemble([(model, plain)], flips).eval())
        reached = _confusion(tried, classes).mean_iou
        if reached >= best + WORTH and _both_halves_gain(pairs, tried, classes):
            # What was gained so far is gained together with what comes now.
            finish = replace(finish, flips=flips, gains={f"flips {flips} averaged": reached - before})
            pairs, best = tried, reached
    finish = _pieces(finish, pairs, card.classes)
    after = _confusion([(truth, clean(found, finish.least, finish.holes)) for truth, found in pairs], classes).mean_iou
    return Refined(finish, before, after)


def _predicted(probe: Any, model: nn.Module) -> list[Pair]:
    return [(view.classes, found) for view, found in probe.predicted(model)]


def _pieces(finish: Finish, pairs: Sequence[Pair], names: Sequence[str]) -> Finish:
    """With the least size of a piece of each class, and then of the holes in it, one after the other."""
    kept = {"least": [0] * len(names), "holes": [0] * len(names)}
    said = {"least": "pieces of {} below {} pixels removed", "holes": "holes in {} up to {} pixels filled"}
    gains = dict(finish.gains)
    small = [_small([truth for truth, _ in pairs], number) for number in range(len(names))]
    for what in kept:
        for number, name in enumerate(names):
            reached = _confusion(pairs, len(names)).mean_iou
            best: tuple[float, int, Sequence[Pair]] = (GAIN, 0, pairs)
            for tried in sorted({int(part * small[number]) for part in PARTS} - {0, 1}):
                sizes = [tried if n == number else 0 for n in range(len(names))]
                cleaned = [(truth, clean(found, **{what: sizes})) for truth, found in pairs]
                gain = _confusion(cleaned, len(names)).mean_iou - reached
                if gain > best[0] and _both_halves_gain(pairs, cleaned, len(names)):
                    best = gain, tried, cleaned
            if best[1]:
                gains[said[what].format(name, best[1])] = best[0]
                kept[what][number], pairs = best[1], best[2]
    return replace(finish, least=tuple(kept["least"]), holes=tuple(kept["holes"]), gains=gains)


def _small(truths: Sequence[Array], number: int) -> float:
    """The pixels of a small true piece of a class; 0 where there is none."""
    sizes = [size for truth in truths for size in pieces(truth == number)[1][1:].tolist()]
    return float(np.quantile(sizes, SMALL)) if sizes else 0.0


def _confusion(pairs: Sequence[Pair], classes: int) -> Confusion:
    total = Confusion.empty(classes)
    for truth, found in pairs:
        total += Confusion.of(truth, found, classes)
    return total


def _both_halves_gain(before: Sequence[Pair], after: Sequence[Pair], classes: int) -> bool:
    """Whether every second image gains, and the others too; where there is one image alone, whether it does."""
    halves = [slice(start, None, 2) for start in range(min(2, len(before)))]
    return all(
        _confusion(after[half], classes).mean_iou > _confusion(before[half], classes).mean_iou for half in halves
    )
