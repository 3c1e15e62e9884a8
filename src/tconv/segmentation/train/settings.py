"""What a training does, as one value that can be written down and compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tconv import errors
from tconv.segmentation.blocks import UPS
from tconv.segmentation.card import MODELS
from tconv.segmentation.data.augment import Augmentation
from tconv.segmentation.data.tiff import check_axes
from tconv.segmentation.losses import LOSSES, Loss
from tconv.segmentation.wholly import wholly

PRECISIONS = ("no", "bf16", "fp16")
WEIGHTINGS = ("none", "balanced")


@dataclass(frozen=True)
class Settings:
    """How to train; every field is an option of the command line and a key of a TOML file."""

    epochs: int = 40
    """Passes over the training images."""

    model: str = "unet"
    """unet, fcn32s, fcn16s or fcn8s."""

    features: tuple[int, ...] = (32, 64, 128, 256)
    """Channels per level, the full resolution first; more are slower and learn more."""

    up: str = "transposed"
    """How a U-Net's maps grow: transposed, nearest, bilinear, bicubic or pixelshuffle."""

    size: int = 256
    """Pixels per side of the crops that are learned from."""

    batch: int = 4
    """Crops per step, and per process where there are several."""

    accumulate: int = 1
    """Steps whose gradients are added up before the weights change."""

    rate: float = 3e-3
    """Learning rate at its highest: it rises for the first twentieth, and falls as a cosine."""

    decay: float = 1e-2
    """Weight decay of AdamW."""

    loss: str = "combined"
    """combined (cross-entropy + Dice), cross-entropy, dice or focal."""

    weights: str = "balanced"
    """Class weights: balanced, the rarer a class the heavier, by the square root; or none."""

    precision: str = "no"
    """Mixed precision: no, bf16 or fp16."""

    held_out: float = 0.2
    """Part of the images that is not learned from, but measured on."""

    patience: int = 0
    """Stop after so many epochs without a better mean IoU; 0 never stops early."""

    flip: str = "none"
    """Mirror crops: none, horizontal, or both with quarter turns; not for text, digits or left and right."""

    zoom: float = 0.15
    """Scale crops by up to this part."""

    turn: float = 8.0
    """Turn crops by up to so many degrees."""

    light: float = 0.2
    """Change contrast and brightness by up to this part."""

    noise: float = 0.02
    """Add noise of up to so many standard deviations of the images."""

    seed: int = 0
    """Of the split, the first weights, the order and the crops."""

    axes: str = ""
    """What the axes of TIFF images are, in their order, as in CYX; default what they say."""

    colors: str = ""
    """Table of colours, lines of NAME,RED,GREEN,BLUE, if it does not lie in the folder."""

    def __post_init__(self) -> None:
        choices = {"model": MODELS, "up": UPS, "loss": LOSSES, "weights": WEIGHTINGS, "precision": PRECISIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise errors.TconvError(f"{name} {getattr(self, name)!r} is unknown; choose one of {', '.join(known)}")
        for name in ("epochs", "size", "batch", "accumulate"):
            if getattr(self, name) < 1:
                raise errors.TconvError(f"{name} {getattr(self, name)} must be at least 1")
        if not self.features or min(self.features) < 1:
            raise errors.TconvError(f"features {self.features} must be counts of at least 1, one per level")
        least = 2 ** len(self.features) if self.model == "unet" else 1
        if self.size < least:
            raise errors.TconvError(f"size {self.size} is too small for {len(self.features)} levels; give {least}")
        if not (self.rate > 0 and self.decay >= 0 and self.patience >= 0 and self.seed >= 0):
            raise errors.TconvError("rate must be above 0; decay, patience and seed must not be negative")
        Loss(self.loss)
        self.augmentation()
        check_axes(self.axes)

    def augmentation(self) -> Augmentation:
        """How crops differ from the images."""
        return Augmentation(self.size, self.zoom, self.turn, self.flip, self.light, self.noise)

    def write(self, path: Path) -> None:
        """As TOML, which `--config` reads."""
        with wholly(path) as part:
            lines = [f"{name} = {json.dumps(value)}\n" for name, value in asdict(self).items()]
            part.write_text("".join(lines), encoding="utf-8")

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Where settings that were written before are others."""
        found = []
        for name in (field.name for field in fields(self)):
            before = getattr(DEFAULTS, name)  # of what a training of an older version did not know
            mine, theirs = json.loads(json.dumps(getattr(self, name))), other.get(name, before)
            if mine != theirs:
                found.append(f"{name} was {theirs} and is {mine}")
        return found


DEFAULTS = Settings()
