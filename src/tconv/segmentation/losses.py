"""What training makes small: cross-entropy, Dice, focal, or cross-entropy and Dice together.

Sums go over all processes of a training, so that a batch in parts has the loss of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tconv import errors
from tconv.segmentation import shared
from tconv.segmentation.data.legend import IGNORED

LOSSES = ("combined", "cross-entropy", "dice", "focal")


@dataclass(frozen=True)
class Loss:
    """A loss over all pixels of a batch that are not ignored.

    Attributes:
        name: "combined" (cross-entropy + Dice), "cross-entropy", "dice" or "focal".
        weights: per class, (classes,), or None for equal ones.
        gamma: of the focal loss: how much pixels that are right already count less.

    Raises:
        TconvError: an unknown name.

    Source: Milletari et al., "V-Net", arXiv:1606.04797 (Dice); Lin et al., "Focal loss for dense object detection",
    arXiv:1708.02002.
    """

    name: str = "combined"
    weights: Tensor | None = None
    gamma: float = 2.0

    def __post_init__(self) -> None:
        if self.name not in LOSSES:
            raise errors.TconvError(f"loss {self.name!r} is unknown; choose one of {', '.join(LOSSES)}")

    def __call__(self, scores: Tensor, classes: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            scores: (batch, classes, *size), before softmax.
            classes: (batch, *size), int64; 255 is left out.
        """
        scores = scores.float()
        if self.name == "cross-entropy":
            return self.cross_entropy(scores, classes)
        if self.name == "dice":
            return self.dice(scores, classes)
        if self.name == "focal":
            return self.focal(scores, classes)
        return self.cross_entropy(scores, classes) + self.dice(scores, classes)

    def cross_entropy(self, scores: Tensor, classes: Tensor) -> Tensor:
        """Mean over the pixels, by the weights of their classes."""
        total = F.cross_entropy(scores, classes, self._weights(), ignore_index=IGNORED, reduction="sum")
        return shared.total(total) / self._mass(classes)

    def focal(self, scores: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropy in which a pixel counts (1 - p)**gamma, where p is what its class gets."""
        plain = F.cross_entropy(scores, classes, ignore_index=IGNORED, reduction="none")
        weighted = F.cross_entropy(scores, classes, self._weights(), ignore_index=IGNORED, reduction="none")
        return shared.total(((1 - torch.exp(-plain)) ** self.gamma * weighted).sum()) / self._mass(classes)

    def dice(self, scores: Tensor, classes: Tensor) -> Tensor:
        """1 - the mean over the batch's classes of 2 |P T| / (|P| + |T|), with probabilities P and truth T."""
        kept = (classes != IGNORED)[:, None]
        truth = F.one_hot(classes.where(kept[:, 0], 0), scores.shape[1]).movedim(-1, 1) * kept
        probabilities = scores.softmax(dim=1) * kept
        axes = [0, *range(2, scores.dim())]
        overlap = shared.total((probabilities * truth).sum(axes))
        sizes = shared.total(probabilities.sum(axes) + truth.sum(axes))
        present = shared.total(truth.sum(axes).float()) > 0
        dice = 2 * overlap / sizes.clamp(min=1e-6)
        of_classes = self._weights()
        weights = present.to(dice.dtype) if of_classes is None else present * of_classes
        return 1 - (dice * weights).sum() / weights.sum().clamp(min=1e-6) if present.any() else scores.sum() * 0

    def _mass(self, classes: Tensor) -> Tensor:
        """Pixels that count in all processes, by weight; never 0."""
        kept, weights = classes[classes != IGNORED], self._weights()
        mass = kept.new_tensor(kept.numel(), dtype=torch.float32) if weights is None else weights[kept].sum()
        return shared.total(mass).clamp(min=1e-6)

    def _weights(self) -> Tensor | None:
        """As scores are: sums of them are larger than half precision can hold."""
        return None if self.weights is None else self.weights.float()
