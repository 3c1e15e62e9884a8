"""What a training does, as one value that can be written down and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any

from tconv import errors
from tconv.outputs import write
from tconv.segmentation.blocks import UPS
from tconv.segmentation.card import MODELS
from tconv.segmentation.data.augment import FLIPS, Augmentation
from tconv.segmentation.data.tiff import check_axes
from tconv.segmentation.losses import LOSSES, Loss

PRECISIONS = ("no", "bf16", "fp16")
WEIGHTINGS = ("none", "balanced")
AUTO = "auto"
ENDS = ("epochs", "minutes", "patience", "refine")  # may change when a training goes on


@dataclass(frozen=True)
class Settings:
    """How to train; every field is an option of the command line and a key of a TOML file.

    What is None is chosen when a training begins, from the data and the machine: see `choose`.
    """

    minutes: float | None = None
    """Minutes that the whole may take, reading and measuring included; if neither this nor --epochs is given, 10."""

    epochs: int | None = None
    """Passes over the training images; if not given, as many as fit into the minutes."""

    model: str | None = None
    """unet, fcn32s, fcn16s or fcn8s; if not given, that of --from, or unet."""

    encoder: str | None = None
    """A timm encoder as a U-Net's way down, as in resnet18, or smp:mit_b0; its weights where they are cached."""

    features: tuple[int, ...] | None = None
    """Channels per level, the full resolution first; more learn more, slower. Chosen from crops and time."""

    up: str | None = None
    """How a U-Net's maps grow: transposed, nearest, bilinear, bicubic or pixelshuffle; if not given, transposed."""

    size: int | None = None
    """Pixels per side of the crops that are learned from. Chosen from the images' sizes."""

    batch: int | None = None
    """Crops per step, and per process where there are several. Chosen from the crops' size and the memory."""

    steps: int | None = None
    """Steps per epoch; if not given, one pass over the images, at least 48 where minutes are the limit."""

    accumulate: int = 1
    """Steps whose gradients are added up before the weights change."""

    rate: float | None = None
    """Learning rate at its highest; it falls as a cosine. If not given, 0.002; 0.001 with --from or --encoder."""

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

    flip: str = AUTO
    """Mirror crops: none, horizontal, both (with quarter turns), or auto, which finds out what images allow."""

    zoom: float = 0.15
    """Scale crops by up to this part; this and the next three begin when images have been seen five times."""

    turn: float = 8.0
    """Turn crops by up to so many degrees."""

    light: float = 0.2
    """Change contrast and brightness by up to this part."""

    noise: float = 0.02
    """Add noise of up to so many standard deviations of the images."""

    folds: int = 1
    """Train so many networks, each with another part held out; `predict` then uses all of them."""

    fold: int = 0
    """Which of the folds to train alone, from 1; 0 trains all."""

    refine: bool = True
    """Choose flips, smallest pieces and holes for prediction by what they gain on held-out images."""

    seed: int = 0
    """Of the split, the first weights, the order and the crops."""

    axes: str = ""
    """What the axes of TIFF images are, in their order, as in CYX; default what they say."""

    colors: str = ""
    """Table of colours, lines of NAME,RED,GREEN,BLUE, if it does not lie in the folder."""

    def __post_init__(self) -> None:
        choices = {
            "model": MODELS,
            "up": UPS,
            "loss": LOSSES,
            "weights": WEIGHTINGS,
            "precision": PRECISIONS,
            "flip": (AUTO, *FLIPS),
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                raise errors.TconvError(f"{name} {value!r} is unknown; choose one of {', '.join(known)}")
        for name in ("epochs", "size", "batch", "steps", "accumulate", "folds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise errors.TconvError(f"{name} {value} must be at least 1")
        if self.minutes is not None and not 0 < self.minutes < inf:
            raise errors.TconvError(f"minutes {self.minutes:g} must be above 0, as in 10")
        if self.features is not None and (not self.features or min(self.features) < 1):
            raise errors.TconvError(f"features {self.features} must be counts of at least 1, one per level")
        if not ((self.rate is None or self.rate > 0) and self.decay >= 0 and self.patience >= 0 and self.seed >= 0):
            raise errors.TconvError("rate must be above 0; decay, patience and seed must not be negative")
        if not 0 <= self.fold <= self.folds:
            raise errors.TconvError(f"fold {self.fold} must be one of the {self.folds} folds, or 0 for all")
        if self.encoder is not None and self.model not in (None, "unet"):
            raise errors.TconvError(f"encoder {self.encoder!r} is for a U-Net; leave --model {self.model} out")
        self._check_size()
        Loss(self.loss)
        self.augmentation()
        check_axes(self.axes)

    def _check_size(self) -> None:
        if self.size is None or self.features is None or self.model not in (None, "unet") or self.encoder:
            return
        least = 2 ** len(self.features)
        if self.size < least:
            raise errors.TconvError(f"size {self.size} is too small for {len(self.features)} levels; give {least}")

    def augmentation(self) -> Augmentation:
        """How crops differ from the images."""
        flip = "none" if self.flip == AUTO else self.flip
        return Augmentation(self.size or 1, self.zoom, self.turn, flip, self.light, self.noise)

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Settings:
        """Settings as `write` wrote them; what this version does not know is left out."""
        known = {field.name for field in fields(cls)}
        found: dict[str, Any] = {name: value for name, value in written.items() if name in known}
        return cls(**(found | {name: tuple(found[name]) for name in ("features",) if name in found}))

    def resumed(self, before: Mapping[str, Any]) -> Settings:
        """These settings, what is None from those of the training that goes on.

        A limit that is given, epochs or minutes, takes the place of both: it is how a training is made longer.
        """
        limits = {"epochs", "minutes"}
        kept = limits if self.epochs is not None or self.minutes is not None else set()
        names = {field.name for field in fields(self) if getattr(self, field.name) is None} - kept
        found = {name: value for name, value in before.items() if name in names}
        if "features" in found:
            found["features"] = tuple(found["features"])
        return replace(self, **found)

    def write(self, path: Path, reasons: Sequence[str] = ()) -> None:
        """As TOML, which `--config` reads; what is None is left out, and `reasons` are comments."""
        lines = [f"# {' '.join(reason.split())}\n" for reason in reasons]
        lines += [f"{name} = {json.dumps(value)}\n" for name, value in asdict(self).items() if value is not None]
        write(path, "".join(lines))

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Where settings that were written before are others, but for those that say when to stop."""
        found = []
        for name in (field.name for field in fields(self) if field.name not in ENDS):
            before = getattr(DEFAULTS, name)  # of what a training of an older version did not know
            mine, theirs = json.loads(json.dumps(getattr(self, name))), other.get(name, before)
            if mine != theirs and theirs is not None:
                found.append(f"{name} was {theirs} and is {mine}")
        return found


@dataclass(frozen=True)
class Chosen(Settings):
    """Settings in which nothing is open; of `epochs` and `minutes` one may be None, which is no limit."""

    model: str = "unet"
    features: tuple[int, ...] = (32, 64, 128, 256)
    up: str = "transposed"
    size: int = 256
    batch: int = 4
    rate: float = 2e-3


DEFAULTS = Settings()
