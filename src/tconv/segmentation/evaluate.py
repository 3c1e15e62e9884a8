"""A model measured on labelled images, by the same way as it predicts: in tiles where an image is large.

All pixels go into one confusion matrix. What it takes does not grow with the images, beside the images themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tconv.arrays import Array
from tconv.segmentation.data.dataset import Normal, Samples
from tconv.segmentation.memory import budget
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.predict.tiles import Tiling, as_classes, image_scores, tiling_of


def evaluate(
    model: Any,
    samples: Samples,
    classes: int,
    accelerator: Any = None,
    memory: int | None = None,
    finish: Callable[[Array], Array] | None = None,
) -> Confusion:
    """The confusion matrix over all samples.

    Args:
        model: scores (batch, classes, height, width); put into evaluation mode.
        samples: labelled images.
        classes: how many there are.
        accelerator: of Accelerate, where several processes share the work; every image is measured once.
        memory: bytes that a tile may take; default a quarter of the machine's.
        finish: what is done with a class map before it is compared, as `components.finished`; default nothing.
    """
    model.eval()
    rank, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    plain = accelerator.unwrap_model(model) if accelerator else model
    tiling = tiling_of(plain, memory=memory or budget())
    found = Confusion.empty(classes)
    for n in range(rank, len(samples), processes):
        image, truth = samples[n]
        predicted = classes_of(plain, image, samples.normal, tiling)
        found += Confusion.of(truth, finish(predicted) if finish else predicted, classes)
    if processes > 1:
        counts = accelerator.reduce(torch.from_numpy(found.counts.copy()).to(accelerator.device), "sum")
        found = Confusion(np.asarray(counts.cpu()))
    return found


def classes_of(model: Any, image: Array, normal: Normal, tiling: Tiling) -> Array:
    """The classes of an image (height, width, channels) as it was read: (height, width) uint8."""
    shape = (image.shape[0], image.shape[1])
    found: Array = image_scores(
        model, lambda rows, columns: normal(image[rows, columns]), shape, tiling, as_classes
    ).numpy()
    return found
