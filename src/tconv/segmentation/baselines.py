"""What one gets without seeing shapes: always the most frequent class, or a judgement of each pixel's colour alone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tconv.arrays import Array
from tconv.segmentation.data.dataset import Samples
from tconv.segmentation.data.legend import IGNORED
from tconv.segmentation.metrics import Confusion

PIXELS = 20_000  # that the colours are learned from
STEPS = 60
BAND = 2**18  # pixels whose features are computed at a time


def baselines(training: Samples, held_out: Samples, classes: int) -> dict[str, Confusion]:
    """The confusion of each baseline on the held-out images.

    "majority": the class with the most training pixels. "colour": multinomial logistic regression, fitted by L-BFGS on
    20,000 random training pixels, on the channels, their squares and products.
    """
    colours, labels = _pixels(training)
    weight = _fit(_features(colours), torch.from_numpy(labels), classes)
    by_colour = Confusion.empty(classes)
    for n in range(len(held_out)):
        image, truth = held_out[n]
        rows = max(1, BAND // image.shape[1])
        for top in range(0, len(image), rows):
            flat = _colours(held_out, image[top : top + rows])
            found = (_features(flat) @ weight).argmax(dim=1).numpy().reshape(-1, image.shape[1])
            by_colour += Confusion.of(truth[top : top + rows], found, classes)
    return {"majority": majority(training, held_out), "colour": by_colour}


def majority(training: Samples, held_out: Samples) -> Confusion:
    """What comes out if every pixel is called what most training pixels are; known without reading an image."""
    truth = held_out.pixels()
    counts = np.zeros((len(truth), len(truth)), np.int64)
    counts[:, int(training.pixels().argmax())] = truth
    return Confusion(counts)


def _pixels(samples: Samples) -> tuple[Array, Array]:
    """(n, channels) float32 and (n,) int64, from all images alike."""
    rng = np.random.default_rng(0)
    share = -(-PIXELS // len(samples))
    colours, labels = [], []
    for n in range(len(samples)):
        image, classes = samples[n]
        kept = np.flatnonzero(classes.ravel() != IGNORED)
        chosen = rng.choice(kept, min(share, len(kept)), replace=False) if len(kept) else kept
        colours.append(_colours(samples, image.reshape(1, -1, image.shape[2])[:, chosen]))
        labels.append(classes.ravel()[chosen].astype(np.int64))
    return np.concatenate(colours), np.concatenate(labels)


def _colours(samples: Samples, pixels: Array) -> Array:
    """(rows, columns, channels) as read -> (n, channels) float32, normalised."""
    flat: Array = samples.normal(pixels).reshape(pixels.shape[2], -1).T.numpy()
    return flat


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
