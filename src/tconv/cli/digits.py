"""The demo's network: a U-Net learns to read digits in two minutes, and is tried on handwriting it has not seen."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.table import Table

from tconv.cli.segment.train import watched
from tconv.insight import Sheet, sheet, top_activations
from tconv.segmentation import Card, load, synthetic
from tconv.segmentation.checkpoint import BEST
from tconv.segmentation.data.check import check
from tconv.segmentation.data.dataset import Normal, Samples
from tconv.segmentation.evaluate import evaluate
from tconv.segmentation.train import Settings, train
from tconv.segmentation.train.record import samples_picture

if TYPE_CHECKING:
    from torch import nn

IMAGES, UNSEEN = 1000, 60
SHOWN = 4  # channels per level that are drawn, beside the ten digits at the end
SETTINGS = Settings(epochs=8, features=(16, 32, 64), size=96, batch=4, flip="none", refine=False)


def digits(out: Path) -> Table:
    """Train, write digits.png, features.png and digits.safetensors to `out`, and compare the network with baselines.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing is kept.
    """
    with TemporaryDirectory() as place:
        data, unseen, run = (Path(place) / name for name in ("data", "unseen", "run"))
        synthetic.write(data, "digits", IMAGES)
        synthetic.write(unseen, "digits", UNSEEN, part="test")
        with watched() as (begin, tell):
            result = train(data, run, SETTINGS, begin=begin, tell=tell)
        model, card = load(run)
        samples = Samples(check(unseen).items, card.legend, Normal(card.mean, card.std))
        reached = evaluate(model, samples, len(card.classes)).mean_iou
        title = f"Handwriting that the network has not seen: mean IoU {reached:.2f}"
        samples_picture(model, samples, card, title).save(out / "digits.png")
        features(model, card, unseen / "images").save(out / "features.png")
        shutil.copy(run / BEST, out / "digits.safetensors")
    table = Table("mean IoU of 11 classes", "", box=None)
    table.add_row("U-Net, on handwriting that it has not seen", f"{reached:.3f}")
    table.add_row("U-Net, on images that were held out", f"{result.confusion.mean_iou:.3f}")
    table.add_row("each pixel by its colour", f"{result.baselines['colour'].mean_iou:.3f}")
    table.add_row("always the most frequent class", f"{result.baselines['majority'].mean_iou:.3f}")
    return table


def features(model: nn.Module, card: Card, images: Path) -> Sheet:
    """What the levels of the network see in images: edges first, then strokes, and digits at the end."""
    levels = {f"downs.{n}": range(SHOWN) for n in range(len(SETTINGS.features or ()))} | {"final_conv": range(1, 11)}
    found = [
        top_activations(model, images, layer, channels, mean=card.mean, std=card.std)
        for layer, channels in levels.items()
    ]
    found[-1] = found[-1].focused()  # it sees all of the image, and uses a digit's surroundings
    return sheet(*found, title="What a U-Net sees in handwriting: edges, strokes, digits")
