"""A model measured on labelled images: each is predicted whole, and all pixels go into one confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tconv.segmentation.data.dataset import Samples
from tconv.segmentation.metrics import Confusion
from tconv.segmentation.predict.tiles import scores


def evaluate(model: nn.Module, samples: Samples, classes: int, accelerator: Any = None) -> Confusion:
    """The confusion matrix over all samples.

    Args:
        model: scores (batch, classes, height, width); put into evaluation mode.
        samples: labelled images.
        classes: how many there are.
        accelerator: of Accelerate, where several processes share the work; every image is measured once.
    """
    model.eval()
    rank, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    device = accelerator.device if accelerator else torch.device("cpu")
    plain = accelerator.unwrap_model(model) if accelerator else model
    found = Confusion.empty(classes)
    for n in range(rank, len(samples), processes):
        image, truth = samples.whole(n)
        predicted = scores(plain, image.to(device)).argmax(dim=0)
        found += Confusion.of(truth.numpy(), predicted.cpu().numpy(), classes)
    if processes > 1:
        counts = accelerator.reduce(torch.from_numpy(found.counts.copy()).to(device), "sum")
        found = Confusion(np.asarray(counts.cpu()))
    return found
