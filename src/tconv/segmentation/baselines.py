"""What one gets without seeing shapes: always the most frequent class, or a judgement of each pixel's colour alone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.arrays import Array
from tconv.segmentation.data.dataset import Samples
from tconv.segmentation.data.masks import IGNORED
from tconv.segmentation.metrics import Confusion

PIXELS = 20_000  # that the colours are learned from
STEPS = 60


def baselines(training: Samples, held_out: Samples, classes: int) -> dict[str, Confusion]:
    """The confusion of each baseline on the held-out images.

    "majority": the class with the most training pixels. "colour": multinomial logistic regression, fitted by L-BFGS on
    20,000 random training pixels, on the channels, their squares and products.
    """
    colours, labels = _pixels(training)
    frequent = int(np.bincount(labels, minlength=classes).argmax())
    weight = _fit(_features(colours), torch.from_numpy(labels), classes)
    result = {"majority": Confusion.empty(classes), "colour": Confusion.empty(classes)}
    for n in range(len(held_out)):
        image, truth = held_out.whole(n)
        flat = image.reshape(len(image), -1).T.numpy()
        found = (_features(flat) @ weight).argmax(dim=1).numpy().reshape(truth.shape)
        result["majority"] += Confusion.of(truth.numpy(), np.full(truth.shape, frequent), classes)
        result["colour"] += Confusion.of(truth.numpy(), found, classes)
    return result


def _pixels(samples: Samples) -> tuple[Array, Array]:
    """(n, channels) float32 and (n,) int64, from all images alike."""
    rng = np.random.default_rng(0)
    share = -(-PIXELS // len(samples))
    colours, labels = [], []
    for n in range(len(samples)):
        image, classes = samples.whole(n)
        kept = np.flatnonzero(classes.numpy().ravel() != IGNORED)
        chosen = rng.choice(kept, min(share, len(kept)), replace=False) if len(kept) else kept
        colours.append(image.reshape(len(image), -1).T.numpy()[chosen])
        labels.append(classes.numpy().ravel()[chosen])
    return np.concatenate(colours), np.concatenate(labels)


def _features(colours: Array) -> Tensor:
    """(n, channels) -> (n, 1 + channels + channels*(channels + 1)/2)."""
    x = torch.from_numpy(np.ascontiguousarray(colours))
    first, second = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat((torch.ones(len(x), 1), x, x[:, first] * x[:, second]), dim=1)


def _fit(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Weights (features, classes) of least cross-entropy."""
    weight = torch.zeros(features.shape[1], classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        value = F.cross_entropy(features @ weight, labels) + 1e-4 * weight.square().sum()
        value.backward()
        return float(value.detach())

    optimiser.step(loss)
    return weight.detach()
