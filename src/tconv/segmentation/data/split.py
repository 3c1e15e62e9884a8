"""Which images are held out: by a seed, and never one image on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tconv import errors
from tconv.segmentation.data.findings import Item


def split(
    items: Sequence[Item], fraction: float = 0.2, seed: int = 0, folds: int = 1, fold: int = 1
) -> tuple[list[Item], list[Item]]:
    """Training and held-out items, each by name.

    Args:
        items: with at least two different images.
        fraction: of the different images to hold out; one at least. Without effect where there are folds.
        seed: of the choice.
        folds: 1, or parts of nearly equal size, each of which is held out once.
        fold: which of them, from 1.

    Raises:
        TconvError: fewer different images than two or than folds, or a fraction outside 0 to 1.
    """
    if not 0 < fraction < 1:
        raise errors.TconvError(f"the held-out fraction {fraction} must lie between 0 and 1, as in 0.2")
    digests = sorted({item.digest for item in items})
    if len(digests) < 2:
        raise errors.TconvError(f"{len(digests)} different images are too few: one must be held out; add more pairs")
    if len(digests) < folds:
        raise errors.TconvError(
            f"{folds} folds need at least {folds} different images, and there are {len(digests)}; give --folds "
            f"{len(digests)} or fewer"
        )
    count = min(max(1, round(fraction * len(digests))), len(digests) - 1)
    order = np.random.default_rng(seed).permutation(digests).tolist()
    held = set(order[:count] if folds == 1 else order[fold - 1 :: folds])
    return [item for item in items if item.digest not in held], [item for item in items if item.digest in held]
