"""Whether mirror images are as likely as others, asked of the network itself while it is trained.

A network that has only seen images as they are finds what is in their mirror images as well only if they have no left
and right: cells are found, digits are not. Once it knows something, this is measured on held-out images, and if all
is alike, crops are mirrored from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from tconv.segmentation.metrics import Confusion
from tconv.segmentation.train.probe import Probe

KNOWS = 0.35  # mean IoU from which on the answer means something
EQUAL, CLASS = 0.97, 0.9  # of the mean IoU, and of that of each class, which mirror images must reach
SEEN = 0.1  # IoU from which on a class is looked at by itself
MOVES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "horizontal": (lambda image: image.flip(-1),),
    "both": (lambda image: image.flip(-2), lambda image: image.rot90(1, (-2, -1))),
}


def mirrored(model: Any, probe: Probe, plain: Confusion, accelerator: Any = None) -> str | None:
    """How crops may be mirrored: "none", "horizontal", or "both" with quarter turns; None if it is too early to say.

    Args:
        model: that was trained without mirror images.
        probe: held-out images.
        plain: what the model reaches on them as they are.
        accelerator: as for `Probe.measure`.
    """
    if not plain.mean_iou >= KNOWS:
        return None
    answer = "none"
    for name, moves in MOVES.items():
        for move in moves:
            if not _alike(plain, probe.measure(model, len(plain.counts), accelerator, move)):
                return answer
        answer = name
    return answer


def _alike(plain: Confusion, moved: Confusion) -> bool:
    seen = np.nan_to_num(plain.iou) > SEEN
    each = np.nan_to_num(moved.iou)[seen] >= CLASS * plain.iou[seen]
    return bool(moved.mean_iou >= EQUAL * plain.mean_iou and each.all())
