"""A training on disk: everything that the rest of it depends on, in one file that is always whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tconv import errors
from tconv.outputs import wholly
from tconv.segmentation.checkpoint import checksum, read_pt
from tconv.segmentation.train.settings import Settings

LAST = "last.pt"


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: that runs, from 0.
        step: of the epoch that comes next.
        losses: sum of the losses of this epoch's steps so far.
        waited, busy: seconds that this epoch's steps have waited for data, and taken in all.
        best: highest mean IoU so far.
        best_epoch: in which it was reached, from 1; 0 before.
        history: one row per finished epoch.
        spent: seconds in all, reading and measuring included.
        done: which part of the training that is, 0 to 1.
        after: seconds that measuring the finished model is expected to take.
        flip: how crops are mirrored, if that was found out; else empty.
    """

    epoch: int = 0
    step: int = 0
    losses: float = 0.0
    waited: float = 0.0
    busy: float = 0.0
    best: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    spent: float = 0.0
    done: float = 0.0
    after: float = 0.0
    flip: str = ""


def save_state(
    run: Path, settings: Settings, data: str, progress: Progress, model: nn.Module, optimiser: Any, scaler: Any = None
) -> None:
    """Write `last.pt`; the one before stays until the new one is complete."""
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    state = {
        "about": json.dumps({"settings": asdict(settings), "data": data, "progress": asdict(progress)}),
        "model": weights,
        "crc32": checksum(weights),
        "optimiser": optimiser.state_dict(),
        "scaler": scaler.state_dict() if scaler else {},
        "random": torch.get_rng_state(),
    }
    written = BytesIO()  # PyTorch's own writer ends the process where the disk is full
    torch.save(state, written)
    with wholly(run / LAST) as part:
        part.write_bytes(written.getbuffer())


def load_state(
    run: Path, settings: Settings, data: str, model: nn.Module, optimiser: Any, scaler: Any = None
) -> Progress:
    """Bring model, optimiser, loss scaler and random numbers to where `save_state` found them.

    Raises:
        FileNotFoundError: nothing to resume.
        TconvError: damaged, or a training with other settings or other data.
    """
    path = run / LAST
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is nothing to resume; leave --resume out")
    state = read_pt(path)
    try:
        about = json.loads(state["about"])
        progress = Progress(**about["progress"])
        others = settings.differences(about["settings"])
        if settings.epochs is not None and settings.epochs < progress.epoch + (progress.step > 0):
            raise errors.TconvError(
                f"{run} has been trained for {progress.epoch} epochs already; give --epochs above that, or leave it out"
            )
        if others:
            raise errors.TconvError(
                f"{run} was trained with other settings: {'; '.join(others)}; give the same ones, or another folder"
            )
        if about["data"] != data:
            raise errors.TconvError(f"{run} was trained on other images than these; restore them, or train anew")
        if checksum(state["model"]) != state["crc32"]:
            raise errors.TconvError(f"{path} is damaged: its numbers do not fit its checksum; take another copy")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        if scaler:
            scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
    except (KeyError, TypeError, AttributeError, RuntimeError, json.JSONDecodeError) as error:
        raise errors.TconvError(f"{path} is no training that can be resumed ({error}); train anew") from error
    return progress
